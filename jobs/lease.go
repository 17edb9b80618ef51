package jobs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// adoptInterval is how often a process looks for executions without an owner.
const adoptInterval = time.Second

// adoptShare is how many it takes at a time, so that several processes share
// the work.
const adoptShare = 20

// tenure orders what is made without a name in the database, and then named by
// a claim, against an end of the lease between the two: others may have removed
// it. Whoever names something holds its lock for reading.
type tenure struct {
	sync.RWMutex
	number int // of times that the lease had ended
}

func (t *tenure) now() int {
	t.RLock()
	defer t.RUnlock()
	return t.number
}

// pooled is a backend that keeps places ready.
type pooled interface {
	// DropWarm lets go of all of them, and of those that are being made. It waits
	// for nothing.
	DropWarm()
}

// keepLease renews the lease until ctx ends. While the database cannot be
// reached it tries more often.
func (e *Engine) keepLease(ctx context.Context) {
	for wait := store.LeaseRenewal; pause(ctx, wait); {
		wait = store.LeaseRenewal
		renew, cancel := context.WithTimeout(ctx, store.LeaseRenewal)
		err := e.Store.RenewLease(renew, e.process())
		if errors.Is(err, store.ErrNoLease) {
			err = e.regainLease(renew)
		}
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("the lease was not renewed", "error", err)
			wait = 500 * time.Millisecond
		}
		cancel()
	}
}

// regainLease goes on after the lease had ended: this process was stopped, or
// the database was away. Others may be removing the places that it kept ready, so
// they are dropped before anything can be claimed again.
func (e *Engine) regainLease(ctx context.Context) error {
	e.tenure.Lock()
	defer e.tenure.Unlock()
	e.tenure.number++
	for _, backend := range e.Backends {
		if p, ok := backend.(pooled); ok {
			p.DropWarm()
		}
	}
	e.Log.Warn("the lease of this process had ended; it lets go of what it kept ready and goes on")
	return e.Store.RegainLease(ctx, e.id)
}

// adoptLoop takes over executions that nobody drives.
func (e *Engine) adoptLoop(ctx context.Context) {
	later := postponed{}
	for more := true; more || pause(ctx, adoptInterval); {
		more = false
		if e.lock != nil {
			e.endLeasesOfTheDead(ctx)
		}
		if err := e.giveUpMoved(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("could not look for servers that another process is connected to", "error", err)
		}
		adopted, err := e.Store.TakeOver(ctx, e.id, store.Serves{Targets: slices.Collect(maps.Keys(e.Backends)), Held: e.held()}, slices.Concat(e.driven(), later.now()), adoptShare)
		if err != nil {
			if ctx.Err() == nil {
				e.Log.Warn("could not look for executions to take over", "error", err)
			}
			continue
		}
		for _, a := range adopted {
			if err := e.adopt(ctx, a); err != nil {
				e.Log.Warn("could not read what an adopted execution runs", "execution", a.Execution.ID, "error", err)
				later.add(a.Execution.ID)
			}
		}
		more = len(adopted) == adoptShare && ctx.Err() == nil
	}
}

// endLeasesOfTheDead shortens the wait after a crash: a process of this machine
// whose lock is free is dead, whatever its lease says.
func (e *Engine) endLeasesOfTheDead(ctx context.Context) {
	for _, id := range e.lock.dead() {
		if err := e.Store.EndLease(ctx, id); err != nil {
			return
		}
		e.lock.forget(id)
	}
}

// adopt goes on with an execution where its last owner stopped. One that has a
// run here was claimed after TakeOver was told which have, and is left to it. It
// fails when what the execution runs cannot be read now.
func (e *Engine) adopt(ctx context.Context, a store.Adopted) error {
	content, err := e.content.get(ctx, a.Job.WorkspaceID, a.Job.EventID, a.Job.Version)
	lost := unreadable(err)
	if lost {
		content, err = noContent(), nil
	}
	if err != nil {
		return err
	}
	r := e.newRun(a.Execution, content)
	r.adopted = true
	r.job, r.eventName, r.eventType, r.limited, r.server = a.Job, a.EventName, a.EventType, a.Limited, a.Server
	r.stored = store.Appended{Bytes: a.Execution.OutputBytes, Lines: a.Execution.OutputLines}
	if a.Job.CancelledAt != nil {
		r.stop()
	}
	if !e.add(r) {
		return nil
	}
	e.metrics.adopted.Inc()
	r.log().Info("execution adopted", "status", a.Execution.Status, "output_bytes", a.Execution.OutputBytes)
	e.loops.Go(func() {
		defer e.remove(r)
		if lost {
			r.loseUnreadable(ctx)
			return
		}
		r.drive(ctx)
	})
	return nil
}

// watchCancels stops runs of this process for which cancel was asked, here or
// in another process. It looks again now and then, because a notification may
// be lost and the wish is in the database.
func (e *Engine) watchCancels(ctx context.Context) {
	asked := e.Hub.Subscribe(live.CancelTopic)
	defer asked.Close()
	ticker := time.NewTicker(store.LeaseRenewal)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked.C():
			asked.Take()
		case <-ticker.C:
		}
		if len(e.driven()) == 0 {
			continue
		}
		jobs, err := e.Store.CancelAsked(ctx, e.id)
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("could not look for cancelled jobs", "error", err)
		}
		e.stopRuns(jobs)
	}
}

func (e *Engine) stopRuns(jobs []cronium.ID) {
	if len(jobs) == 0 {
		return
	}
	wanted := make(map[cronium.ID]bool, len(jobs))
	for _, id := range jobs {
		wanted[id] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		if wanted[r.execution.JobID] {
			r.stop()
		}
	}
}
