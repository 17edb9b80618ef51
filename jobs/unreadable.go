package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// unreadable tells whether a version can never be read: trying again is useless,
// so what needs it ends.
func unreadable(err error) bool {
	return err != nil && (errors.Is(err, cronium.ErrNotFound) || errors.Is(err, store.ErrDamaged))
}

// noContent stands for what cannot be read: nothing is retried, and of a job on
// servers all that waits is let go, to end.
func noContent() *prepared {
	return &prepared{Content: cronium.Content{On: &cronium.Fleet{Strategy: cronium.StrategyAll}}}
}

// failUnreadable ends a job, or its target, whose version cannot be read.
func (e *Engine) failUnreadable(ctx context.Context, args runArgs, cause error) error {
	e.Log.Error("a version of an event cannot be read, so its job ends", "workspace", args.WorkspaceID, "job", args.JobID, "error", cause)
	reason := fmt.Sprintf("Version %d of the event cannot be read any more, so nothing was run. Save the event anew and run it again.", args.Version)
	if args.ServerID != nil {
		return e.endUnclaimed(ctx, args, noContent(), cronium.TargetFailure, reason)
	}
	if err := e.Store.Fail(ctx, args.JobID, reason); err != nil {
		return e.later(err)
	}
	e.Hub.Publish(live.JobTopic(args.JobID), live.JobsTopic(args.WorkspaceID))
	return nil
}

// loseUnreadable ends an adopted execution whose version cannot be read: its
// limits are not known, so nobody can follow it. Its place is removed.
func (r *run) loseUnreadable(ctx context.Context) {
	r.log().Error("the version that an adopted execution runs cannot be read", "version", r.job.Version)
	if backend := r.backend(); backend != nil && r.execution.TargetRef != "" {
		if place, err := backend.Find(ctx, r.execution.TargetRef); err == nil {
			r.place = place // else the sweep removes it
		}
	}
	r.hide(r.engine.masks.none) // nothing of the script's is stored
	r.finish(ctx, store.Finish{Status: cronium.ExecutionLost,
		Error: fmt.Sprintf("Version %d of the event cannot be read any more, so its script could not be followed to its end. Save the event anew and run it again.", r.job.Version)})
}

// queueOf is where a job's entry belongs. One whose version cannot be read goes
// to any queue: whoever fetches it ends the job.
func (e *Engine) queueOf(ctx context.Context, job cronium.Job) (cronium.TargetKind, error) {
	content, err := e.content.get(ctx, job.WorkspaceID, job.EventID, job.Version)
	if err == nil {
		return content.Target, nil
	}
	if unreadable(err) {
		for _, kind := range []cronium.TargetKind{cronium.TargetContainer, cronium.TargetServers, cronium.TargetProcess} {
			if e.runsOn(kind) {
				return kind, nil
			}
		}
	}
	return "", err
}

// postponed are executions that could not be adopted, and when they are tried
// again: after growing pauses.
type postponed map[cronium.ID]*postponement

type postponement struct {
	until time.Time
	wait  time.Duration
}

func (p postponed) add(id cronium.ID) {
	if p[id] == nil {
		p[id] = &postponement{}
	}
	p[id].wait = min(max(2*p[id].wait, adoptInterval), time.Minute)
	p[id].until = time.Now().Add(p[id].wait)
}

// now lists those that are left alone now, and drops those that were not
// postponed again.
func (p postponed) now() []cronium.ID {
	var ids []cronium.ID
	for id, at := range p {
		switch since := time.Since(at.until); {
		case since < 0:
			ids = append(ids, id)
		case since > time.Minute:
			delete(p, id)
		}
	}
	return ids
}
