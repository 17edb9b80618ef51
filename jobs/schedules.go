package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/schedule"
	"cronium.dev/store"
)

const (
	// dueBatch is how many schedules are fired in one transaction.
	dueBatch = 1000
	// dueLook is how often schedules are looked for unasked.
	dueLook = 10 * time.Second
	// duePause is how long to wait for what another process has just locked, and
	// after an error.
	duePause = 20 * time.Millisecond
	dueRetry = time.Second
	// dueHelpers is how many more transactions a crowd is fired by at once: while
	// the database works on one, this process makes the next.
	dueHelpers = 2
)

// fireSchedules fires what is due until ctx ends. Each process does; the
// database gives each schedule to one of them. It sleeps until the next instant,
// and is woken when schedules change.
func (e *Engine) fireSchedules(ctx context.Context) {
	changed := e.Hub.Subscribe(live.DueTopic)
	defer changed.Close()
	f := &firer{engine: e}
	for ctx.Err() == nil {
		wait, err := f.fire(ctx)
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("schedules were not fired and will be tried again", "error", err)
		}
		if wait == 0 {
			e.fireCrowd(ctx, f.busy)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-changed.C():
		}
		timer.Stop()
	}
}

// fireCrowd fires with several hands until fewer are due than one transaction
// takes. busy is since when there were more.
func (e *Engine) fireCrowd(ctx context.Context, busy time.Time) {
	var hands sync.WaitGroup
	for range 1 + dueHelpers {
		hands.Go(func() {
			f := &firer{engine: e, busy: busy}
			for ctx.Err() == nil {
				if wait, err := f.fire(ctx); wait > 0 {
					if err != nil && ctx.Err() == nil {
						e.Log.Warn("schedules were not fired and will be tried again", "error", err)
					}
					return
				}
			}
		})
	}
	hands.Wait()
}

// firer decides what becomes of instants: the store's Scheduler.
type firer struct {
	engine *Engine
	plans  schedule.Plans
	// busy is since when there was always more that is due than one transaction
	// fires, by the database's time; zero: it was not so. What came due since is
	// late and not missed.
	busy time.Time

	queues map[cronium.ID]cronium.TargetKind // of the jobs of this transaction
	room   map[cronium.ID]int                // how many more jobs may wait, of workspaces with a limit
}

// fire fires what is due, or a part of it, and tells how long to wait then.
func (f *firer) fire(ctx context.Context) (time.Duration, error) {
	fired, err := f.engine.Store.FireDue(ctx, dueBatch, f)
	if err != nil {
		f.busy = time.Time{}
		return dueRetry, err
	}
	if err := f.tell(ctx, fired); err != nil {
		return dueRetry, err
	}
	switch {
	case fired.Due == dueBatch:
		if f.busy.IsZero() {
			f.busy = fired.Now
		}
		return 0, nil
	case fired.Due == 0:
		fired.Next = max(fired.Next, duePause)
	}
	f.busy = time.Time{}
	return min(max(fired.Next, time.Millisecond), dueLook), nil
}

// tell wakes whoever shows or stops what has changed.
func (f *firer) tell(ctx context.Context, fired *store.Fired) error {
	topics := map[live.Topic]bool{}
	var failed error
	for _, firing := range fired.Firings {
		workspace := firing.Schedule.WorkspaceID
		topics[live.SchedulesTopic(workspace)] = true
		if len(firing.Jobs) > 0 {
			topics[live.JobsTopic(workspace)] = true
		}
		if firing.Cancel != nil {
			topics[live.CancelTopic], topics[live.JobTopic(*firing.Cancel)] = true, true
			if err := f.engine.settle(ctx, workspace, *firing.Cancel); err != nil && failed == nil {
				failed = err
			}
		}
	}
	for topic := range topics {
		f.engine.Hub.Publish(topic)
	}
	return failed
}

// Queue puts jobs into the queue.
func (f *firer) Queue(ctx context.Context, tx pgx.Tx, jobs []*cronium.Job) error {
	entries := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		entries[i] = river.InsertManyParams{
			Args:       argsOf(j),
			InsertOpts: &river.InsertOpts{Queue: string(f.queues[j.ID])},
		}
	}
	if _, err := f.engine.queue.InsertManyFastTx(ctx, tx, entries); err != nil {
		return fmt.Errorf("put %d jobs into the queue: %w", len(jobs), err)
	}
	return nil
}

// Decide says what becomes of schedules that are due.
func (f *firer) Decide(ctx context.Context, _ pgx.Tx, now time.Time, due []store.DueSchedule) ([]store.Firing, error) {
	f.queues, f.room = map[cronium.ID]cronium.TargetKind{}, map[cronium.ID]int{}
	if err := f.engine.content.load(ctx, due); err != nil {
		return nil, err
	}
	firings := make([]store.Firing, len(due))
	for i := range due {
		d := &decision{firer: f, now: now, due: &due[i], firing: &firings[i]}
		if err := d.decide(ctx); err != nil {
			return nil, err
		}
	}
	return firings, nil
}

// load reads the versions that schedules run, as far as they are not in memory,
// at once.
func (c *contents) load(ctx context.Context, due []store.DueSchedule) error {
	missing := map[store.VersionKey]bool{}
	for i := range due {
		d := &due[i]
		if c.cached(contentKey{d.WorkspaceID, d.EventID, d.Event.Version}) == nil {
			missing[store.VersionKey{Workspace: d.WorkspaceID, Event: d.EventID, Version: d.Event.Version}] = true
		}
	}
	if len(missing) < 2 {
		return nil // found when it is asked for
	}
	keys := make([]store.VersionKey, 0, len(missing))
	for key := range missing {
		keys = append(keys, key)
	}
	found, err := c.store.Contents(ctx, keys)
	if err != nil {
		return err
	}
	for key, content := range found {
		c.keep(contentKey{key.Workspace, key.Event, key.Version}, prepare(content))
	}
	return nil
}
