package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/store"
)

func fairFigures() []figure {
	return []figure{{name: "fairness", unit: "ratio", goal: 3, measure: fairness}}
}

// What fairness measures with: a run that is short, so that a slot becomes free
// often, and a crowd that takes some seconds to work off.
const (
	crowd     = 10_000
	crowdRun  = 20 * time.Millisecond
	crowdSlot = 16
	singles   = 40
)

// fairness is how long a workspace's single job waits for its claim while
// another workspace has 10,000 waiting, over its wait on an idle system; each
// the median of forty.
func fairness(ctx context.Context, m *machine) (float64, error) {
	s, _, err := m.database(ctx)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	single, err := seed(ctx, s, "single")
	if err != nil {
		return 0, err
	}
	many, err := seed(ctx, s, "many")
	if err != nil {
		return 0, err
	}
	engine, stop, err := noopEngine(ctx, m, s, crowdSlot, noop{takes: crowdRun})
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := engine.Start(ctx); err != nil {
		return 0, err
	}
	idle, err := singleWaits(ctx, s, engine, single)
	if err != nil {
		return 0, err
	}
	if err := gather(ctx, engine, many, crowd); err != nil {
		return 0, err
	}
	crowded, err := singleWaits(ctx, s, engine, single)
	if err != nil {
		return 0, err
	}
	counts, err := s.Counts(ctx)
	if err == nil && counts.Queued == 0 {
		err = fmt.Errorf("the crowd was gone before the single jobs had been claimed")
	}
	fmt.Printf("  idle %.1f ms, behind %d others %.1f ms\n", median(idle), counts.Queued, median(crowded))
	return median(crowded) / median(idle), err
}

// gather has so many jobs accepted, twenty at a time.
func gather(ctx context.Context, engine *jobs.Engine, request jobs.Request, count int) error {
	var filling sync.WaitGroup
	var failed atomic.Pointer[error]
	for range 20 {
		filling.Go(func() {
			for range count / 20 {
				if _, err := engine.Enqueue(ctx, request); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	filling.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// singleWaits asks for one job after another and gives their waits, in
// milliseconds.
func singleWaits(ctx context.Context, s *store.Store, engine *jobs.Engine, request jobs.Request) ([]float64, error) {
	var waits []float64
	for range singles {
		at := time.Now()
		job, err := engine.Enqueue(ctx, request)
		if err != nil {
			return nil, err
		}
		var row *store.JobRow
		err = until(ctx, func() (bool, error) {
			row, err = s.Job(ctx, request.WorkspaceID, job.ID)
			return err == nil && row.Status == cronium.JobCompleted, err
		})
		if err != nil {
			return nil, err
		}
		waits = append(waits, float64(row.ClaimedAt.Sub(at).Microseconds())/1000)
	}
	return waits, nil
}
