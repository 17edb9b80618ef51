package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// turns order the entries of the queue so that workspaces share it: whoever has
// 10,000 jobs waiting does not delay the single job of another. It is start-time
// fair queuing (Goyal, Vin, Cheng 1996) with the priority as the weight: each
// entry gets a turn, a number that is one cost after the last of its lane, and
// not before the queue's clock, the latest turn that was taken. The queue hands
// out entries by their scheduled time, so a turn is written as a time long ago.
//
// A lane and the clock are known to this process alone between two calls of
// sync, so with several processes the order is fair within some seconds.
type turns struct {
	river.HookDefaults

	mu    sync.Mutex
	clock map[string]int64 // by queue
	last  map[lane]int64   // the latest turn given; lanes behind the clock are forgotten
}

// lane is what waits in one line: the entries of a workspace and a priority.
type lane struct {
	queue     string
	workspace cronium.ID
	priority  cronium.Priority
}

func newTurns() *turns { return &turns{clock: map[string]int64{}, last: map[lane]int64{}} }

// turnCost is how far an entry puts the next one of its lane back. A critical
// entry waits for one of every other lane of its queue at most; low ones go on,
// slowly, whatever else waits.
func turnCost(p cronium.Priority) int64 {
	switch p {
	case cronium.PriorityCritical:
		return 1
	case cronium.PriorityHigh:
		return 4
	case cronium.PriorityLow:
		return 64
	}
	return 16
}

// InsertBegin gives an entry that may be worked on now its turn.
func (t *turns) InsertBegin(_ context.Context, params *rivertype.JobInsertParams) error {
	args, ok := params.Args.(runArgs)
	if ok && params.State == rivertype.JobStateAvailable {
		at := store.TurnTime(t.next(lane{store.TurnQueue(params.Queue), args.WorkspaceID, args.Priority}))
		params.ScheduledAt = &at
	}
	return nil
}

func (t *turns) next(l lane) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	turn := max(t.clock[l.queue], t.last[l]) + turnCost(l.priority)
	t.last[l] = turn
	return turn
}

// took moves the clock of a queue to the turn of an entry that was fetched.
func (t *turns) took(queue string, at time.Time) {
	turn, ok := store.TurnOf(at)
	if !ok {
		return
	}
	queue = store.TurnQueue(queue)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock[queue] = max(t.clock[queue], turn)
}

// known lists the clocks and the lanes that are ahead of them, and forgets the
// others.
func (t *turns) known() []store.Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	var known []store.Turn
	for queue, turn := range t.clock {
		known = append(known, store.Turn{Queue: queue, Turn: turn})
	}
	for l, turn := range t.last {
		if turn <= t.clock[l.queue] {
			delete(t.last, l)
			continue
		}
		known = append(known, store.Turn{Queue: l.queue, WorkspaceID: l.workspace, Priority: l.priority, Turn: turn})
	}
	return known
}

// learn takes over what other processes know.
func (t *turns) learn(known []store.Turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range known {
		if k.Priority == "" {
			t.clock[k.Queue] = max(t.clock[k.Queue], k.Turn)
			continue
		}
		l := lane{k.Queue, k.WorkspaceID, k.Priority}
		t.last[l] = max(t.last[l], k.Turn)
	}
}

// syncTurns tells other processes what this one knows of turns, learns what they
// know, and gives turns to entries that came into the queue without one, like
// retries that have become due.
func (e *Engine) syncTurns(ctx context.Context) error {
	known, err := e.Store.SyncTurns(ctx, e.turns.known())
	if err != nil {
		return err
	}
	e.turns.learn(known)
	return e.Store.GiveTurns(ctx, e.queues, func(queue string, workspace cronium.ID, priority cronium.Priority) int64 {
		return e.turns.next(lane{queue, workspace, priority})
	})
}

// keepTurns shares turns until ctx ends.
func (e *Engine) keepTurns(ctx context.Context) {
	for pause(ctx, store.LeaseRenewal) {
		if err := e.syncTurns(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("the queue's turns were not shared", "error", err)
		}
	}
}
