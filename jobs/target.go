package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
	"cronium.dev/store"
)

// offlineGrace is how long a server that is not known to be offline may be out
// of reach before it counts as such: a line that was cut, or an agent whose
// connection a restart ended, is back within it.
const offlineGrace = 20 * time.Second

// runTarget runs a job on one of its servers. The server is reached first; only
// then is the target claimed, so that one that is away takes no slot.
func (e *Engine) runTarget(ctx context.Context, args runArgs, content *prepared) error {
	backend := e.Backends[args.Target]
	if backend == nil || content.On == nil {
		return river.JobSnooze(10 * time.Second) // for a process that has it
	}
	if moved, err := e.forward(ctx, args); moved || err != nil {
		return err
	}
	r := e.newRun(cronium.Execution{ID: cronium.NewID(), WorkspaceID: args.WorkspaceID, JobID: args.JobID, Target: args.Target, ServerID: args.ServerID}, content)
	e.add(r)
	defer e.remove(r)
	reach, cancel := context.WithTimeoutCause(ctx, setupLimit, errSetupLimit)
	defer cancel()
	place, err := backend.Create(reach, r.spec(), func(text string) { e.reaching(ctx, args, text) })
	if err != nil {
		return e.notReached(ctx, args, content, err)
	}
	r.place, r.execution.TargetRef = place, place.Ref()
	switch err := r.claimTarget(ctx); {
	case errors.Is(err, store.ErrNotQueued):
		e.destroy(place)
		return e.notClaimed(ctx, args, content)
	case err != nil:
		return e.later(err)
	}
	e.Hub.Publish(live.JobTopic(r.job.ID))
	r.drive(ctx)
	return nil
}

// claimTarget makes the target this process's.
func (r *run) claimTarget(ctx context.Context) error {
	claim := store.TargetClaim{ServerID: *r.execution.ServerID, Claim: store.Claim{
		JobID: r.execution.JobID, ExecutionID: r.execution.ID, Owner: r.engine.id, Target: r.execution.Target, TargetRef: r.execution.TargetRef,
	}}
	claimed, err := r.engine.Store.ClaimTarget(ctx, claim, r.content.On, r.engine.targetQueue())
	if err != nil {
		return err
	}
	r.job, r.eventName, r.eventType, r.limited = claimed.Job, claimed.EventName, claimed.EventType, claimed.Limited
	r.execution.Attempt, r.server = claimed.Attempt, &claimed.Server
	return nil
}

// reaching shows what is done to reach a server. That it is not stored when the
// database fails is no reason to stop.
func (e *Engine) reaching(ctx context.Context, args runArgs, text string) {
	if err := e.Store.SetTargetReason(ctx, args.JobID, *args.ServerID, text); err == nil {
		e.Hub.Publish(live.JobTopic(args.JobID))
	}
}

// forward gives the entry of an agent to the process that is connected to it,
// if that is another. The entry is added before this one is done; should both
// come to run, one of them finds the target claimed.
func (e *Engine) forward(ctx context.Context, args runArgs) (bool, error) {
	holder, ok := e.Backends[args.Target].(Holder)
	if !ok || holder.Holds(*args.ServerID) {
		return false, nil
	}
	elsewhere, err := e.Store.HoldersElsewhere(ctx, e.id, []cronium.ID{*args.ServerID})
	if err != nil {
		return false, e.later(err)
	}
	other, ok := elsewhere[*args.ServerID]
	if !ok {
		return false, nil
	}
	job, err := e.Store.Job(ctx, args.WorkspaceID, args.JobID)
	if err != nil {
		return false, e.later(err)
	}
	err = pgx.BeginFunc(ctx, e.Store.WorkerPool(), func(tx pgx.Tx) error {
		return e.insertTargets(ctx, tx, job.Job, []store.Released{{ServerID: *args.ServerID, Kind: cronium.ServerAgent, Holder: &other}})
	})
	if err != nil {
		return false, e.later(err)
	}
	return true, nil
}

// notReached decides what becomes of a target whose server gave no place. It may
// be tried again later by the entry that this gives back.
func (e *Engine) notReached(ctx context.Context, args runArgs, content *prepared, err error) error {
	if ctx.Err() != nil {
		return e.later(err)
	}
	log := e.Log.With("workspace", args.WorkspaceID, "job", args.JobID, "server", args.ServerID)
	t, readErr := e.Store.Target(ctx, args.JobID, *args.ServerID)
	if cronium.CodeOf(readErr) == cronium.CodeNotFound || readErr == nil && t.Status != cronium.TargetQueued {
		return nil // cancelled meanwhile, or another's
	}
	if readErr != nil {
		return e.later(readErr)
	}
	reason := "Cronium could not reach the server. The server's log has the details."
	var public *cronium.Error
	if errors.As(err, &public) {
		reason = public.Message
	}
	log.Info("a server was not reached", "error", err)
	if !errors.Is(err, executor.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
		return e.endUnclaimed(ctx, args, content, cronium.TargetFailure, reason)
	}
	status, wait := offline(content.On, t)
	if status != "" {
		return e.endUnclaimed(ctx, args, content, status, reason)
	}
	_, err = e.Store.Away(ctx, store.Away{JobID: args.JobID, ServerID: *args.ServerID, Reason: reason, Next: wait, Fleet: content.On, Queue: e.targetQueue()})
	if err != nil {
		return e.later(err)
	}
	e.Hub.Publish(live.JobTopic(args.JobID))
	return river.JobSnooze(wait)
}

// offline says what becomes of a target whose server cannot be reached: the
// status in which it ends, or how long to wait before it is tried again.
func offline(f *cronium.Fleet, t *store.TargetNow) (cronium.TargetStatus, time.Duration) {
	away := time.Duration(t.Away * float64(time.Second))
	limit, end := offlineGrace, cronium.TargetFailure
	switch {
	case f.Offline == cronium.OfflineWait:
		limit = time.Duration(f.OfflineSeconds) * time.Second
	case t.Offline:
		limit = 0 // known for long enough
	}
	if f.Offline == cronium.OfflineSkip || f.Offline != cronium.OfflineWait && f.Strategy == cronium.StrategyAny {
		end = cronium.TargetSkipped
	}
	if t.Attempts > 0 {
		end = cronium.TargetFailure // it has run, so it was not skipped
	}
	if away >= limit {
		return end, 0
	}
	wait := min(max(away/4, time.Second), time.Minute) // one that is seen to be back is tried sooner (backInterval)
	wait = wait*3/4 + rand.N(wait/2)                   // many that are away do not come back together
	return "", min(wait, limit-away+10*time.Millisecond)
}

// notClaimed ends a target that is still QUEUED and yet cannot be claimed,
// because its server is archived or was deleted.
func (e *Engine) notClaimed(ctx context.Context, args runArgs, content *prepared) error {
	t, err := e.Store.Target(ctx, args.JobID, *args.ServerID)
	if cronium.CodeOf(err) == cronium.CodeNotFound || err == nil && (t.Status != cronium.TargetQueued || !t.Archived) {
		return nil
	}
	if err != nil {
		return e.later(err)
	}
	return e.endUnclaimed(ctx, args, content, cronium.TargetFailure, "The server was archived or deleted while the job waited.")
}

// endUnclaimed ends a target for which there is no execution.
func (e *Engine) endUnclaimed(ctx context.Context, args runArgs, content *prepared, status cronium.TargetStatus, reason string) error {
	err := e.Store.EndTarget(ctx, store.TargetEnd{
		Finish:   store.Finish{JobID: args.JobID, Error: reason, Limited: true},
		ServerID: *args.ServerID, Status: status, Fleet: content.On, Queue: e.targetQueue(),
	})
	if err != nil && !errors.Is(err, store.ErrNotOwner) {
		return e.later(err)
	}
	e.Hub.Publish(live.JobTopic(args.JobID), live.JobsTopic(args.WorkspaceID))
	return nil
}

// endTarget stores the end of an execution on a server, and what follows.
func (r *run) endTarget(ctx context.Context, end store.Finish) error {
	hash, err := r.outputHash(ctx)
	if err != nil {
		return err
	}
	return r.engine.Store.EndTarget(ctx, store.TargetEnd{
		Finish: end, ServerID: *r.execution.ServerID, OutputHash: hash, Fleet: r.content.On, Queue: r.engine.targetQueue(),
	})
}

// maxHashed bounds the stored output that is read again for its hash.
const maxHashed = 64 << 20

// outputHash is equal for executions that printed the same. Where this process
// has not seen all of the output it reads it again, unless it is very long:
// then it is nil, not known.
func (r *run) outputHash(ctx context.Context) ([]byte, error) {
	if r.hash != nil || r.digest.bytes != r.stored.Bytes && r.stored.Bytes > maxHashed {
		return r.hash, nil
	}
	if r.digest.bytes != r.stored.Bytes {
		if err := r.readDigest(ctx); err != nil {
			return nil, err
		}
	}
	r.digest.add(r.last)
	r.hash = r.digest.sum()
	return r.hash, nil
}

// readDigest makes the digest of the output that is stored.
func (r *run) readDigest(ctx context.Context) error {
	var d digest
	var line int64
	for d.bytes < r.stored.Bytes {
		chunks, err := r.engine.Store.OutputAfter(ctx, r.execution.WorkspaceID, r.execution.ID, line, d.bytes, 1<<20)
		if err != nil {
			return err
		}
		if len(chunks) == 0 {
			return fmt.Errorf("output of execution %s ends at byte %d of %d", r.execution.ID, d.bytes, r.stored.Bytes)
		}
		d.add(chunks)
		line = chunks[len(chunks)-1].FirstLine
	}
	r.digest = d
	return nil
}
