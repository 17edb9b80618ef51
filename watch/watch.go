package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
	"cronium.dev/store"
)

// Times and shares of watching.
const (
	lookEvery    = 3 * time.Second  // for servers to take, and for states to write
	historyEvery = time.Minute      // for samples to write
	takeAtOnce   = 50               // servers taken at a time, so that several processes share them
	lossAfter    = 10 * time.Second // without a connection, until a server is OFFLINE
	sampleEvery  = 15 * time.Second
	stopLimit    = 5 * time.Second
)

// Registry is where servers and how they are is stored: *store.Store.
type Registry interface {
	WatchServers(ctx context.Context, process cronium.ID, limit int) ([]store.Watched, error)
	UnwatchServers(ctx context.Context, process cronium.ID) error
	SaveStatuses(ctx context.Context, process cronium.ID, statuses []cronium.ServerStatus) error
	AddSamples(ctx context.Context, samples []store.ServerSample) error
}

// Config is what a Watch works with.
type Config struct {
	Process  cronium.ID // this server process, which has a lease
	Registry Registry
	// Agents connect to the agent of a server, by the server's kind. The link
	// is closed after use.
	Agents  map[cronium.ServerKind]func(ctx context.Context, server cronium.ID) (*executor.Link, error)
	Publish func(...live.Topic)
	Log     *slog.Logger
}

// Watch watches servers.
type Watch struct {
	Config
	book book
}

// New makes a Watch.
func New(config Config) *Watch {
	return &Watch{Config: config, book: book{statuses: map[cronium.ID]*entry{}}}
}

// Run watches until ctx ends, and then gives its servers back.
func (w *Watch) Run(ctx context.Context) {
	var watchers sync.WaitGroup
	cancels := map[cronium.ID]context.CancelFunc{}
	look, history := time.NewTicker(lookEvery), time.NewTicker(historyEvery)
	defer look.Stop()
	defer history.Stop()
	for ctx.Err() == nil {
		w.take(ctx, cancels, &watchers)
		w.writeStatuses(ctx)
		select {
		case <-look.C:
		case <-history.C:
			w.writeHistory(ctx)
		case <-ctx.Done():
		}
	}
	watchers.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	w.writeHistory(end)
	if err := w.Registry.UnwatchServers(end, w.Process); err != nil {
		w.Log.Warn("watched servers were not given back; others take them when the lease ends", "error", err)
	}
}

// take begins to watch what has come to this process and ends with what has
// gone.
func (w *Watch) take(ctx context.Context, cancels map[cronium.ID]context.CancelFunc, watchers *sync.WaitGroup) {
	watched, err := w.Registry.WatchServers(ctx, w.Process, takeAtOnce)
	if err != nil {
		if ctx.Err() == nil {
			w.Log.Warn("could not look for servers to watch", "error", err)
		}
		return
	}
	mine := make(map[cronium.ID]bool, len(watched))
	for _, server := range watched {
		mine[server.ID] = true
		if cancels[server.ID] != nil || w.Agents[server.Kind] == nil {
			continue
		}
		one, cancel := context.WithCancel(ctx)
		cancels[server.ID] = cancel
		watchers.Go(func() { w.watch(one, server) })
	}
	for id, cancel := range cancels {
		if !mine[id] {
			cancel()
			delete(cancels, id)
			w.book.forget(id)
		}
	}
}

// writeStatuses stores what has changed since the last time.
func (w *Watch) writeStatuses(ctx context.Context) {
	statuses, workspaces := w.book.takeStatuses()
	if len(statuses) == 0 {
		return
	}
	if err := w.Registry.SaveStatuses(ctx, w.Process, statuses); err != nil {
		if ctx.Err() == nil {
			w.Log.Warn("how servers are was not stored", "error", err)
		}
		return // the next samples come soon
	}
	for workspace := range workspaces {
		w.Publish(live.ServersTopic(workspace))
	}
}

func (w *Watch) writeHistory(ctx context.Context) {
	samples := w.book.takeSamples(time.Now())
	if err := w.Registry.AddSamples(ctx, samples); err != nil && ctx.Err() == nil {
		w.Log.Warn("the history of servers was not stored", "servers", len(samples), "error", err)
	}
}
