package watch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/store"
)

// Waits between two tries to reach a server, before jitter.
const (
	firstWait = time.Second
	longWait  = 15 * time.Second
)

// watch follows one server until ctx ends.
func (w *Watch) watch(ctx context.Context, server store.Watched) {
	wait := firstWait
	lost := time.Now() // since when there is no connection
	for {
		answered, err := w.follow(ctx, server)
		if ctx.Err() != nil {
			return
		}
		if answered {
			wait, lost = firstWait, time.Now()
		}
		// An installed agent dials in; whether it is gone is for its backend
		// to say.
		if server.Kind == cronium.ServerSSH {
			w.miss(server, err, lost)
		}
		next := wait/2 + rand.N(wait/2)
		if until := time.Until(lost.Add(lossAfter)); until > 0 {
			next = min(next, until) // so that the loss is noted in time
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, longWait)
	}
}

// miss notes that a server did not answer, once that lasts.
func (w *Watch) miss(server store.Watched, err error, lost time.Time) {
	if time.Since(lost) < lossAfter {
		return
	}
	text := "It does not answer."
	var public *cronium.Error
	if errors.As(err, &public) {
		text = public.Message
	}
	w.book.note(server, cronium.ServerStatus{ServerID: server.ID, State: cronium.ServerOffline, Error: text})
}

// follow takes samples over one connection until it ends. answered tells whether
// there was one.
func (w *Watch) follow(ctx context.Context, server store.Watched) (answered bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	link, err := w.Agents[server.Kind](ctx, server.ID)
	if err != nil {
		return false, err
	}
	defer link.Close()
	stream, err := link.Client().Health(ctx, &proto.HealthRequest{IntervalMs: sampleEvery.Milliseconds()})
	if err != nil {
		return false, fmt.Errorf("watch server: %w", err)
	}
	for {
		sample, err := stream.Recv()
		if err != nil {
			return answered, fmt.Errorf("watch server: %w", err)
		}
		received := time.Now()
		latency, err := ask(ctx, link)
		if err != nil {
			return answered, err
		}
		answered = true
		w.book.note(server, status(server.ID, link.Info, sample, received, latency))
	}
}

// ask times one question and answer.
func ask(ctx context.Context, link *executor.Link) (time.Duration, error) {
	asked := time.Now()
	if _, err := link.Client().Info(ctx, &proto.InfoRequest{}); err != nil {
		return 0, fmt.Errorf("watch server: %w", err)
	}
	return time.Since(asked), nil
}

// status is what a sample says. The clock is compared with half of the way
// taken off.
func status(id cronium.ID, info *proto.InfoResponse, s *proto.HealthSample, received time.Time, latency time.Duration) cronium.ServerStatus {
	return cronium.ServerStatus{
		ServerID: id, State: cronium.ServerOnline, Latency: latency,
		Load1: max(s.GetLoad1(), 0), CPUs: int(s.GetCpus()),
		MemoryTotal: s.GetMemoryTotal(), MemoryUsed: used(s.GetMemoryTotal(), s.GetMemoryAvailable()),
		DiskTotal: s.GetDiskTotal(), DiskUsed: used(s.GetDiskTotal(), s.GetDiskAvailable()),
		Uptime:       time.Duration(s.GetUptimeS()) * time.Second,
		AgentVersion: bounded(info.GetVersion()), OS: bounded(info.GetOs()), Arch: bounded(info.GetArch()), Platform: bounded(s.GetPlatform()),
		ClockSkew: time.UnixMilli(s.GetClockUnixMs()).Sub(received.Add(-latency / 2)).Round(time.Millisecond),
	}
}

// used bounds what an agent says: it runs on a machine that is not ours.
func used(total, available int64) int64 { return max(total-max(available, 0), 0) }

func bounded(text string) string { return cronium.Printable(text, 200) }
