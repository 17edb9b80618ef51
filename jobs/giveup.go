package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// errOverdue says that an execution was given up.
var errOverdue = errors.New("no end in the time that the limits allow")

// runBounded is runSomewhere with an end. Limits are the agent's, but one that
// cannot be reached any more, or that the script has replaced, may never tell
// an end, and the job would wait for it for ever.
func (r *run) runBounded(ctx context.Context) (*proto.Finish, error) {
	driving, giveUp := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		if r.overdue(driving, r.engine.Store.Ping) {
			giveUp(errOverdue)
		}
	})
	finish, err := r.runSomewhere(driving)
	if err != nil && context.Cause(driving) == errOverdue {
		err = errors.Join(errOverdue, err)
	}
	giveUp(nil)
	watch.Wait()
	return finish, err
}

// overdue waits until the execution should have ended long ago. It tells false
// when ctx ends before.
func (r *run) overdue(ctx context.Context, ping func(context.Context) error) bool {
	patience := r.engine.Patience
	limit := r.execution.CreatedAt().Add(2*setupLimit + r.content.Limits.Timeout() + cleanupTime + r.lineDown())
	if now := time.Now(); limit.Before(now) {
		limit = now // it may have ended while no server was there to hear of it
	}
	select {
	case <-time.After(time.Until(limit) + patience):
	case <-r.cancelled.Done():
		if !pause(ctx, min(patience, cleanupTime)) {
			return false
		}
	case <-ctx.Done():
		return false
	}
	// While the database is away no end can be stored; afterwards it needs a
	// moment.
	for {
		if err := ping(ctx); err == nil {
			if !pause(ctx, patience/10) {
				return false
			}
			if ping(ctx) == nil {
				return true
			}
		} else if !pause(ctx, time.Second) {
			return false
		}
	}
}

// serverAway is how long the line to a server may be down beyond the script's
// limits: its output waits there.
const serverAway = time.Hour

// lineDown is how much longer the end of an execution on a server is waited for
// than that of one on this machine.
func (r *run) lineDown() time.Duration {
	switch {
	case r.server == nil:
		return 0
	case r.content.On.Offline == cronium.OfflineWait:
		return max(serverAway, time.Duration(r.content.On.OfflineSeconds)*time.Second)
	}
	return serverAway
}

// away shows that an execution's agent cannot be reached.
func (r *run) away(ctx context.Context, reason error) {
	text := "What runs the script cannot be reached. The script may be running; nothing of it is lost while this waits."
	var public *cronium.Error
	if errors.As(reason, &public) {
		text = public.Message
	}
	r.progress(ctx, text)
}
