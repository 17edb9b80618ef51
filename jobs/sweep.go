package jobs

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// sweepLoop puts right, now and then, what crashes between two steps leave
// behind, and tidies up.
func (e *Engine) sweepLoop(ctx context.Context) {
	compact := time.NewTicker(3 * time.Second)
	defer compact.Stop()
	sweep := time.NewTicker(20 * time.Second)
	defer sweep.Stop()
	daily := time.NewTicker(6 * time.Hour)
	defer daily.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-compact.C:
			err = e.compact(ctx)
		case <-sweep.C:
			err = e.requeueStranded(ctx)
		case <-daily.C:
			err = e.Store.Tidy(ctx, time.Now())
		}
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("a sweep failed and will be tried again", "error", err)
		}
	}
}

// compact rewrites output of ended executions while there is any.
func (e *Engine) compact(ctx context.Context) error {
	for {
		n, err := e.Store.CompactOutput(ctx, 20)
		if err != nil || n < 20 {
			return err
		}
	}
}

// requeueStranded gives jobs that wait without an entry in the queue a new one.
func (e *Engine) requeueStranded(ctx context.Context) error {
	jobs, err := e.Store.Stranded(ctx)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		content, err := e.content.get(ctx, job.WorkspaceID, job.EventID, job.Version)
		if err != nil {
			return err
		}
		e.Log.Warn("a job had lost its place in the queue and gets a new one", "job", job.ID)
		err = pgx.BeginFunc(ctx, e.Store.WorkerPool(), func(tx pgx.Tx) error {
			return e.insert(ctx, tx, job, content.Target, time.Time{})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// KeepRef tells whether the sweep of places must leave a place alone: its
// execution is open, or could not be asked for.
func (e *Engine) KeepRef(ctx context.Context) (func(ref string) bool, func(process string) bool, error) {
	open, err := e.Store.OpenRefs(ctx)
	if err != nil {
		return nil, nil, err
	}
	processes, err := e.Store.Processes(ctx)
	if err != nil {
		return nil, nil, err
	}
	alive := map[cronium.ID]bool{e.id: true}
	for _, p := range processes {
		alive[p.ID] = p.Alive || alive[p.ID]
	}
	return func(ref string) bool { return open[ref] }, func(process string) bool {
		id, ok := cronium.ParseID(process)
		return ok && alive[id]
	}, nil
}
