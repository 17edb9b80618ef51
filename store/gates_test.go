package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// tryClaim claims a job, or tells what it waits for.
func (f *fixture) tryClaim(t *testing.T, j *cronium.Job) (cronium.ID, *Waits) {
	t.Helper()
	id := cronium.NewID()
	_, err := f.Claim(f.ctx, Claim{JobID: j.ID, ExecutionID: id, Owner: f.process, Target: cronium.TargetContainer}, false)
	var w *Waits
	if err != nil && !errors.As(err, &w) {
		t.Fatal(err)
	}
	return id, w
}

// letGo notes the jobs that are put into the queue again.
func (f *fixture) letGo() *[]cronium.ID {
	var released []cronium.ID
	f.OnRelease(func(_ context.Context, _ pgx.Tx, job cronium.Job, _ time.Time) error {
		released = append(released, job.ID)
		return nil
	})
	return &released
}

func (f *fixture) endAndRelease(t *testing.T, j *cronium.Job, execution cronium.ID) {
	t.Helper()
	_, err := f.Finish(f.ctx, Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionSuccess, Limited: true}, *f.release.Load())
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) enqueueIn(t *testing.T, group string, limit int) *cronium.Job {
	t.Helper()
	j := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: f.event, Version: 1, Priority: cronium.PriorityNormal,
		Trigger: cronium.TriggerManual, GroupKey: group, GroupLimit: limit}
	if _, err := f.Enqueue(f.ctx, j, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestJobsOfOneGroupShareItsLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	released := f.letGo()
	first, second, other := f.enqueueIn(t, "customer-7", 1), f.enqueueIn(t, "customer-7", 1), f.enqueueIn(t, "customer-8", 1)
	execution, w := f.tryClaim(t, first)
	if w != nil {
		t.Fatal(w)
	}
	if _, w := f.tryClaim(t, second); w == nil || w.For != cronium.WaitingGroup {
		t.Fatalf("the second of the group: %v, want it to wait for the group", w)
	}
	if _, w := f.tryClaim(t, other); w != nil {
		t.Fatalf("another group: %v", w)
	}
	f.endAndRelease(t, first, execution)
	if len(*released) != 1 || (*released)[0] != second.ID {
		t.Fatalf("the end of the first let go %v, want the second", *released)
	}
}

func TestARateLetsItsCountStartAndThenOneInEachShare(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.letGo()
	f.exec(t, `UPDATE events SET rate_count = 2, rate_seconds = 3600 WHERE id = $1`, f.event)
	for range 2 {
		if _, w := f.tryClaim(t, f.enqueue(t)); w != nil {
			t.Fatal(w)
		}
	}
	third := f.enqueue(t)
	_, w := f.tryClaim(t, third)
	if w == nil || w.For != cronium.WaitingRate || w.After < 29*time.Minute || w.After > 30*time.Minute {
		t.Fatalf("the third start: %+v, want it to wait half an hour", w)
	}
	if row, err := f.Job(f.ctx, f.workspace, third.ID); err != nil || row.Waiting != cronium.WaitingRate || row.NextAttempt == nil {
		t.Fatalf("%+v, %v: want a page to say when it starts", row, err)
	}
	f.exec(t, `UPDATE rates SET due = due - interval '31 minutes'`)
	if _, w := f.tryClaim(t, third); w != nil {
		t.Fatalf("half an hour later: %v", w)
	}
}

func TestAWorkspaceRunsAsManyJobsAsItMay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	released := f.letGo()
	set := func(l cronium.WorkspaceLimits) {
		t.Helper()
		if err := f.SetWorkspaceLimits(f.ctx, f.workspace, l, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	set(cronium.WorkspaceLimits{Running: 1})
	first, second, third := f.enqueue(t), f.enqueue(t), f.enqueue(t)
	execution, w := f.tryClaim(t, first)
	if w != nil {
		t.Fatal(w)
	}
	for _, j := range []*cronium.Job{second, third} {
		if _, w := f.tryClaim(t, j); w == nil || w.For != cronium.WaitingQuota {
			t.Fatalf("beyond the limit: %v", w)
		}
	}
	f.endAndRelease(t, first, execution)
	if len(*released) != 1 || (*released)[0] != second.ID {
		t.Fatalf("the end let go %v, want the second", *released)
	}
	set(cronium.WorkspaceLimits{})
	if len(*released) != 2 || (*released)[1] != third.ID {
		t.Fatalf("without a limit %v were let go, want the third as well", *released)
	}
}

func TestAPausedQueueStartsNothingAndGoesOnWhenItIsOpened(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	released := f.letGo()
	if err := f.SetQueueMode(f.ctx, f.workspace, cronium.QueuePaused, "ann"); err != nil {
		t.Fatal(err)
	}
	j := f.enqueue(t)
	if _, w := f.tryClaim(t, j); w == nil || w.For != cronium.WaitingPaused {
		t.Fatalf("while paused: %v", w)
	}
	if err := f.SetQueueMode(f.ctx, f.workspace, cronium.QueueOpen, "ann"); err != nil {
		t.Fatal(err)
	}
	if len(*released) != 1 || (*released)[0] != j.ID {
		t.Fatalf("opening let go %v, want the job", *released)
	}
	if _, w := f.tryClaim(t, j); w != nil {
		t.Fatalf("when open: %v", w)
	}
}

// A job that one limit let go and another holds back does not keep its place
// from those that could use it.
func TestAJobThatAnotherLimitHoldsBackLetsOthersOfItsGroupGo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	released := f.letGo()
	running := f.enqueueIn(t, "deploy", 1)
	execution, w := f.tryClaim(t, running)
	if w != nil {
		t.Fatal(w)
	}
	held, able := f.enqueueIn(t, "deploy", 1), f.enqueueIn(t, "deploy", 1)
	for _, j := range []*cronium.Job{held, able} {
		if _, w := f.tryClaim(t, j); w == nil || w.For != cronium.WaitingGroup {
			t.Fatalf("want both to wait for the group, got %v", w)
		}
	}
	f.endAndRelease(t, running, execution)
	// The event's rate, spent meanwhile by others, holds back the one that was let go.
	f.exec(t, `UPDATE events SET rate_count = 1, rate_seconds = 3600 WHERE id = $1`, f.event)
	f.exec(t, `INSERT INTO rates (workspace_id, subject, due) VALUES ($1, $2, now() + interval '2 hours')`, f.workspace, f.event)
	if _, w := f.tryClaim(t, held); w == nil || w.For != cronium.WaitingRate {
		t.Fatalf("the first that was let go: %v, want it to wait for the rate", w)
	}
	if n := len(*released); n != 2 || (*released)[1] != able.ID {
		t.Fatalf("let go: %v, want the other of the group too", *released)
	}
}
