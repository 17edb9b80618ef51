package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
	"cronium.dev/store"
)

// runArgs is a job's entry in the queue: enough to take a place before the
// claim, so that a warm start needs one transaction.
type runArgs struct {
	JobID       cronium.ID       `json:"job_id"`
	WorkspaceID cronium.ID       `json:"workspace_id"`
	EventID     cronium.ID       `json:"event_id"`
	Priority    cronium.Priority `json:"priority,omitempty"` // what its turn is by; the queue's own priority is always the same
	Version     int              `json:"version"`

	// Of a target of a job on servers; without, the job's servers are found first.
	ServerID *cronium.ID        `json:"server_id,omitempty"`
	Target   cronium.TargetKind `json:"target,omitempty"`
}

// argsOf is the entry of a job.
func argsOf(j *cronium.Job) runArgs {
	return runArgs{JobID: j.ID, WorkspaceID: j.WorkspaceID, EventID: j.EventID, Version: j.Version, Priority: j.Priority}
}

// Kind names the entries. It is in the database: never change it.
func (runArgs) Kind() string { return "run" }

// retryPolicy is for entries whose worker failed before the job was claimed,
// which only a failing database does.
type retryPolicy struct{}

func (retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(time.Duration(min(job.Attempt, 15)) * time.Second)
}

// worker holds one slot of this process while a job runs.
type worker struct {
	river.WorkerDefaults[runArgs]
	engine *Engine
}

// Work claims the job and runs it to its end. It returns nil when there is
// nothing to do: the job is final, or somebody else's, or waits for another.
// The context of the queue is not used: it does not end when this process
// shall stop.
func (w *worker) Work(_ context.Context, entry *river.Job[runArgs]) error {
	e, args := w.engine, entry.Args
	ctx := e.ctx
	e.turns.took(entry.Queue, entry.ScheduledAt)
	content, err := e.content.get(ctx, args.WorkspaceID, args.EventID, args.Version)
	if unreadable(err) {
		return e.failUnreadable(ctx, args, err)
	}
	if err != nil {
		return e.later(err)
	}
	if args.ServerID != nil {
		return e.runTarget(ctx, args, content)
	}
	if content.Target == cronium.TargetServers {
		return e.resolve(ctx, args, content)
	}
	r := e.newRun(cronium.Execution{ID: cronium.NewID(), WorkspaceID: args.WorkspaceID, JobID: args.JobID, Target: content.Target}, content)
	e.add(r)
	defer e.remove(r)
	if err := r.claim(ctx); err != nil {
		if w := waits(err); w != nil {
			return e.wait(args, w)
		}
		if errors.Is(err, store.ErrNotQueued) {
			return nil
		}
		return e.later(err)
	}
	e.metrics.claimed(time.Since(r.job.QueuedAt()), r.job.Attempts)
	e.Hub.Publish(live.JobTopic(r.job.ID), live.JobsTopic(r.job.WorkspaceID))
	r.drive(ctx)
	return nil
}

// waits is what a claim waits for; nil when it failed for another reason.
func waits(err error) *store.Waits {
	var w *store.Waits
	errors.As(err, &w)
	return w
}

// wait ends the entry of a job that a limit keeps from running; it is marked,
// which pages show. What only has to wait a while keeps its entry until then.
func (e *Engine) wait(args runArgs, w *store.Waits) error {
	e.Hub.Publish(live.JobTopic(args.JobID), live.JobsTopic(args.WorkspaceID))
	e.crowded.add(args.WorkspaceID)
	if w.After > 0 {
		return river.JobSnooze(w.After)
	}
	return nil
}

// later gives the entry back to the queue. While this process stops, or has no
// lease, that is no failure.
func (e *Engine) later(err error) error {
	if e.ctx.Err() != nil || errors.Is(err, store.ErrNoLease) {
		return river.JobSnooze(time.Second)
	}
	return err
}

// claim takes a warm place, if one fits, and the job.
func (r *run) claim(ctx context.Context) error {
	r.engine.tenure.RLock() // the place is of this time of the lease
	defer r.engine.tenure.RUnlock()
	limited := r.content.Limited() || r.engine.crowded.has(r.execution.WorkspaceID)
	if !limited {
		// With a limit the claim may well be refused, and a place that was
		// taken from the pool cannot be given back.
		r.place = r.backend().Warm(r.spec())
	}
	claim := store.Claim{JobID: r.execution.JobID, ExecutionID: r.execution.ID, Owner: r.engine.id, Target: r.content.Target}
	if r.place != nil {
		claim.TargetRef, claim.Warm = r.place.Ref(), r.place.Warm()
	}
	claimed, err := r.engine.Store.Claim(ctx, claim, limited)
	if err != nil {
		if r.place != nil && (errors.Is(err, store.ErrNotQueued) || errors.Is(err, store.ErrNoLease) || waits(err) != nil) {
			r.engine.destroy(r.place)
		}
		return err
	}
	r.job, r.eventName, r.eventType, r.limited = claimed.Job, claimed.EventName, claimed.EventType, claimed.Limited
	r.execution.Attempt, r.execution.TargetRef = claimed.Job.Attempts, claim.TargetRef
	return nil
}

// destroy removes a place that nothing needs any more, beside what goes on.
func (e *Engine) destroy(place executor.Place) {
	e.tidy.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := place.Destroy(ctx); err != nil {
			e.Log.Warn("a place was not removed; the sweep will try again", "place", place.Ref(), "error", err)
		}
	})
}
