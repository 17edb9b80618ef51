package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/store"
)

func queueFigures() []figure {
	return []figure{
		{name: "queue_rate", unit: "ratio", goal: 0.25, atLeast: true, measure: queueRate},
		{name: "trigger_p99", unit: "ms", goal: 15, measure: triggerP99},
	}
}

// noop is a backend whose places do nothing for a while: they print a line and
// succeed, and tell both at once.
type noop struct{ takes time.Duration }

func (n noop) Warm(executor.Spec) executor.Place { return noopPlace(n) }
func (n noop) Create(context.Context, executor.Spec, func(string)) (executor.Place, error) {
	return noopPlace(n), nil
}
func (noop) Find(context.Context, string) (executor.Place, error) { return nil, executor.ErrGone }

type noopPlace struct{ takes time.Duration }

func (noopPlace) Ref() string                            { return "noop" }
func (noopPlace) Warm() bool                             { return true }
func (noopPlace) TargetID() string                       { return "noop" }
func (noopPlace) Dial(context.Context) (net.Conn, error) { return nil, executor.ErrGone }
func (noopPlace) Destroy(context.Context) error          { return nil }

func (p noopPlace) Run(ctx context.Context, _ executor.Run, sink executor.Sink) (*proto.Finish, error) {
	if err := sink.Started(ctx, 0); err != nil {
		return nil, err
	}
	if p.takes > 0 {
		select {
		case <-time.After(p.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	err := sink.Last(ctx, []*proto.Output{{Stream: proto.Stream_STREAM_STDOUT, Data: []byte("done\n")}})
	return &proto.Finish{Outcome: proto.Outcome_OUTCOME_EXITED}, err
}

// queueEngine is an engine whose jobs do nothing, with one event to run.
func queueEngine(ctx context.Context, m *machine, slots int) (*jobs.Engine, *store.Store, jobs.Request, func(), error) {
	s, _, err := m.database(ctx)
	if err != nil {
		return nil, nil, jobs.Request{}, nil, err
	}
	request, err := seed(ctx, s, "bench")
	if err != nil {
		return nil, nil, jobs.Request{}, nil, err
	}
	engine, stop, err := noopEngine(ctx, m, s, slots, noop{})
	return engine, s, request, func() { stop(); s.Close() }, err
}

// noopEngine is a server process on a database whose jobs do nothing.
func noopEngine(ctx context.Context, m *machine, s *store.Store, slots int, backend noop) (*jobs.Engine, func(), error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, nil, err
	}
	hub := live.New(s.Pool(), m.log)
	hub.Start(ctx)
	engine, err := jobs.New(jobs.Config{
		ID: cronium.NewID(), Store: s, Hub: hub, Key: key, Log: m.log, Version: "bench", MaxRuns: slots,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: backend},
	})
	stop := func() {
		if err := engine.Stop(context.WithoutCancel(ctx)); err != nil {
			m.log.Error("the engine did not stop", "error", err)
		}
		hub.Stop()
	}
	return engine, stop, err
}

// seed makes a workspace and an event.
func seed(ctx context.Context, s *store.Store, slug string) (jobs.Request, error) {
	w := &cronium.Workspace{ID: cronium.NewID(), Slug: slug, Name: "Bench"}
	if err := s.AddWorkspace(ctx, w); err != nil {
		return jobs.Request{}, err
	}
	event := &cronium.Event{Name: "Nothing", Type: cronium.EventPython, Status: cronium.EventActive}
	author := store.Author{ID: cronium.NewID(), Name: "bench"}
	err := s.CreateEvent(ctx, w.ID, event, cronium.NewContent(cronium.EventPython), "", author)
	return jobs.Request{WorkspaceID: w.ID, EventID: event.ID, Trigger: cronium.TriggerAPI, TriggeredBy: "bench"}, err
}

// queueRate compares whole lives of jobs that do nothing with bare entries of
// the same queue on the same PostgreSQL. Both sides work off a queue that was
// filled before.
func queueRate(ctx context.Context, m *machine) (float64, error) {
	const jobsCount, bareCount, rounds = 6_000, 20_000, 3
	var ratios []float64
	for range rounds {
		ours, err := ourRate(ctx, m, jobsCount)
		if err != nil {
			return 0, err
		}
		bare, err := bareRate(ctx, m, bareCount)
		if err != nil {
			return 0, err
		}
		fmt.Printf("  whole jobs %.0f/s, bare queue %.0f/s\n", ours, bare)
		ratios = append(ratios, ours/bare)
	}
	return median(ratios), nil
}

func ourRate(ctx context.Context, m *machine, count int) (float64, error) {
	engine, s, request, stop, err := queueEngine(ctx, m, 200)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := gather(ctx, engine, request, count); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := engine.Start(ctx); err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) {
		counts, err := s.Counts(ctx)
		return counts.Queued+counts.Running == 0, err
	})
	return float64(count) / time.Since(start).Seconds(), err
}

type bareArgs struct {
	N int `json:"n"`
}

func (bareArgs) Kind() string { return "bare" }

type bareWorker struct {
	river.WorkerDefaults[bareArgs]
	done *atomic.Int64
}

func (w *bareWorker) Work(context.Context, *river.Job[bareArgs]) error {
	w.done.Add(1)
	return nil
}

// bareRate is the queue alone, with the settings that ours has.
func bareRate(ctx context.Context, m *machine, count int) (float64, error) {
	s, _, err := m.database(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var done atomic.Int64
	workers := river.NewWorkers()
	river.AddWorker(workers, &bareWorker{done: &done})
	client, err := river.NewClient(riverpgxv5.New(s.Pool()), &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 200}}, Workers: workers,
		Logger: m.log, FetchCooldown: 2 * time.Millisecond,
	})
	if err != nil {
		return 0, err
	}
	batch := make([]river.InsertManyParams, 1000)
	for i := range batch {
		batch[i] = river.InsertManyParams{Args: bareArgs{N: i}}
	}
	for range count / len(batch) {
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	if err := client.Start(ctx); err != nil {
		return 0, err
	}
	err = until(ctx, func() (bool, error) { return done.Load() == int64(count), nil })
	rate := float64(count) / time.Since(start).Seconds()
	return rate, errors.Join(err, client.Stop(ctx))
}

// triggerP99 asks for 100 jobs a second for 30 s and looks at the time from
// the call to the claim as stored.
func triggerP99(ctx context.Context, m *machine) (float64, error) {
	engine, s, request, stop, err := queueEngine(ctx, m, 50)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := engine.Start(ctx); err != nil {
		return 0, err
	}
	asked := map[cronium.ID]time.Time{}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		<-tick.C
		at := time.Now()
		job, err := engine.Enqueue(ctx, request)
		if err != nil {
			return 0, err
		}
		asked[job.ID] = at
	}
	err = until(ctx, func() (bool, error) {
		counts, err := s.Counts(ctx)
		return counts.Queued+counts.Running == 0, err
	})
	if err != nil {
		return 0, err
	}
	waits, err := claimWaits(ctx, s, asked)
	if err != nil {
		return 0, err
	}
	fmt.Printf("  p50 %.1f ms\n", quantile(waits, 0.5))
	return quantile(waits, 0.99), nil
}

func claimWaits(ctx context.Context, s *store.Store, asked map[cronium.ID]time.Time) ([]float64, error) {
	rows, err := s.WorkerPool().Query(ctx, `SELECT id, claimed_at FROM jobs WHERE claimed_at IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	var id cronium.ID
	var claimed time.Time
	var waits []float64
	_, err = pgx.ForEachRow(rows, []any{&id, &claimed}, func() error {
		waits = append(waits, float64(claimed.Sub(asked[id]).Microseconds())/1000)
		return nil
	})
	return waits, err
}
