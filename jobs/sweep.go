package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// backInterval is how often a process looks for servers that are back and waited
// for.
const backInterval = 2 * time.Second

// sweepLoop puts right, now and then, what crashes between two steps leave
// behind, and tidies up.
func (e *Engine) sweepLoop(ctx context.Context) {
	compact := time.NewTicker(3 * time.Second)
	defer compact.Stop()
	sweep := time.NewTicker(10 * time.Second)
	defer sweep.Stop()
	wake := time.NewTicker(backInterval)
	defer wake.Stop()
	daily := time.NewTicker(6 * time.Hour)
	defer daily.Stop()
	var looked cronium.ID // up to which waiting jobs were looked at
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-compact.C:
			err = e.compact(ctx)
		case <-sweep.C:
			e.masks.tidy()
			looked, err = e.requeueStranded(ctx, looked)
			err = errors.Join(err, e.mendFleets(ctx), e.sweepPlaces(ctx), e.removeDeleted(ctx), e.Store.ForgetAnswers(ctx))
		case <-wake.C:
			_, err = e.Store.WakeTargets(ctx, 3*backInterval)
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

// removingTime bounds how long a sweep removes what deleted events left, so that
// its other work does not wait for a large one.
const removingTime = 3 * time.Second

// removeDeleted removes what deleted events left, or a part of it.
func (e *Engine) removeDeleted(ctx context.Context) error {
	began := time.Now()
	for more := true; more && ctx.Err() == nil && time.Since(began) < removingTime; {
		var err error
		if more, err = e.Store.RemoveDeleted(ctx); err != nil {
			return err
		}
	}
	return nil
}

// strandedPages is how many pages of waiting jobs one sweep looks at. The next
// goes on where it stopped, so that a crowd that waits rightly hides nobody.
const strandedPages = 10

// requeueStranded gives jobs that wait without an entry in the queue a new one:
// of those after an id, and gives the id from which to go on. What hinders one
// job does not hinder the others.
func (e *Engine) requeueStranded(ctx context.Context, after cronium.ID) (next cronium.ID, failed error) {
	for range strandedPages {
		jobs, last, err := e.Store.Stranded(ctx, after)
		if err != nil {
			return after, errors.Join(failed, err)
		}
		for _, job := range jobs {
			if err := e.requeue(ctx, job); err != nil {
				failed = errors.Join(failed, fmt.Errorf("put job %s into the queue again: %w", job.ID, err))
				continue
			}
			e.Log.Warn("a job had lost its place in the queue and gets a new one", "job", job.ID)
		}
		if after = last; after == (cronium.ID{}) {
			break
		}
	}
	return after, failed
}

func (e *Engine) requeue(ctx context.Context, job cronium.Job) error {
	return pgx.BeginFunc(ctx, e.Store.WorkerPool(), func(tx pgx.Tx) error {
		return e.requeueJob(ctx, tx, job, time.Time{})
	})
}

// sweepPlaces removes what crashes left on the targets: places of dead
// processes that no open execution names.
func (e *Engine) sweepPlaces(ctx context.Context) error {
	var failed error
	for kind, backend := range e.Backends {
		sweeper, ok := backend.(executor.Sweeper)
		if !ok {
			continue
		}
		k := &keeper{engine: e, ctx: ctx}
		n, err := sweeper.Sweep(ctx, k.alive, k.open)
		if n > 0 {
			e.Log.Info("removed places that crashes had left", "target", kind, "count", n)
		}
		failed = errors.Join(failed, err, k.err)
	}
	return failed
}

// keeper says what a sweep must leave alone. It asks the database only when it
// is asked itself, after the sweep has listed what is there, so that what came
// meanwhile is known; and when the database does not answer, all is kept.
type keeper struct {
	engine *Engine
	ctx    context.Context
	once   sync.Once
	living map[cronium.ID]bool
	names  map[string]bool
	err    error
}

func (k *keeper) load() {
	processes, err := k.engine.Store.Processes(k.ctx)
	if err != nil {
		k.err = err
		return
	}
	refs, err := k.engine.Store.OpenRefs(k.ctx)
	if err != nil {
		k.err = err
		return
	}
	k.living, k.names = map[cronium.ID]bool{k.engine.id: true}, map[string]bool{}
	for _, p := range processes {
		if p.Alive {
			k.living[p.ID] = true
		}
	}
	for ref := range refs {
		k.names[executor.PlaceName(ref)] = true
	}
}

func (k *keeper) alive(process string) bool {
	k.once.Do(k.load)
	id, ok := cronium.ParseID(process)
	return k.err != nil || ok && k.living[id]
}

func (k *keeper) open(name string) bool {
	k.once.Do(k.load)
	return k.err != nil || k.names[name]
}
