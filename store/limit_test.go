package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// A job of an older version, or of a test run, was made when there was no limit.
func TestTheConcurrencyLimitHoldsForEveryVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, second := f.enqueue(t), f.enqueue(t)
	f.claim(t, first)
	f.exec(t, `UPDATE events SET concurrency = 1 WHERE id = $1`, f.event)
	_, err := f.Claim(f.ctx, Claim{JobID: second.ID, ExecutionID: cronium.NewID(), Owner: f.process, Target: cronium.TargetContainer}, false)
	if w := (*Waits)(nil); !errors.As(err, &w) || w.For != cronium.WaitingConcurrency {
		t.Fatalf("%v: want the limit to hold", err)
	}
	f.exec(t, `UPDATE events SET concurrency = 2 WHERE id = $1`, f.event)
	claimed, err := f.Claim(f.ctx, Claim{JobID: second.ID, ExecutionID: cronium.NewID(), Owner: f.process, Target: cronium.TargetContainer}, false)
	if err != nil || !claimed.Limited {
		t.Fatalf("%+v, %v: want a claim whose end lets others run", claimed, err)
	}
}

func TestASaveThatRaisesTheLimitLetsWaitingJobsGo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `UPDATE events SET concurrency = 1 WHERE id = $1`, f.event)
	f.claim(t, f.enqueue(t))
	for range 4 {
		f.exec(t, `UPDATE jobs SET waiting = 'concurrency' WHERE id = $1`, f.enqueue(t).ID)
	}
	var released []cronium.ID
	f.OnRelease(func(_ context.Context, _ pgx.Tx, job cronium.Job, _ time.Time) error {
		released = append(released, job.ID)
		return nil
	})
	author := Author{ID: cronium.NewID(), Name: "ann"}
	content := cronium.NewContent(cronium.EventPython)
	content.Concurrency = 2
	if _, err := f.SaveVersion(f.ctx, f.workspace, f.event, 1, content, "", author); err != nil || len(released) != 1 {
		t.Fatalf("raised to 2: %d jobs were let go, %v", len(released), err)
	}
	// The one that was let go has not been claimed yet.
	f.exec(t, `UPDATE jobs SET status = 'CLAIMED' WHERE id = $1`, released[0])
	content.Concurrency = 1
	if _, err := f.SaveVersion(f.ctx, f.workspace, f.event, 2, content, "", author); err != nil || len(released) != 1 {
		t.Fatalf("lowered to 1: %d jobs were let go in all, %v", len(released), err)
	}
	content.Concurrency = 0
	if _, err := f.ReplaceEvent(f.ctx, f.workspace, f.event, 3, Replacement{Content: &content, Author: author}); err != nil || len(released) != 4 {
		t.Fatalf("lifted: %d jobs were let go in all, %v", len(released), err)
	}
}

// Nobody ends whose end would let it run, because the limit was raised since.
func TestAJobThatWaitsBelowTheLimitIsStranded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `UPDATE events SET concurrency = 1 WHERE id = $1`, f.event)
	running := f.enqueue(t)
	f.claim(t, running)
	old, random := cronium.IDFloor(time.Now().Add(-2*time.Minute)), cronium.NewID()
	copy(old[6:], random[6:])
	waiting := &cronium.Job{ID: old, WorkspaceID: f.workspace, EventID: f.event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := f.Enqueue(f.ctx, waiting, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	f.exec(t, `UPDATE jobs SET waiting = 'concurrency' WHERE id = $1`, waiting.ID)
	stranded := func() int {
		jobs, _, err := f.Stranded(f.ctx, cronium.ID{})
		if err != nil {
			t.Fatal(err)
		}
		return len(jobs)
	}
	if n := stranded(); n != 0 {
		t.Errorf("%d jobs are stranded at the limit, want none", n)
	}
	f.exec(t, `UPDATE events SET concurrency = 2 WHERE id = $1`, f.event)
	if n := stranded(); n != 1 {
		t.Errorf("%d jobs are stranded below the limit, want the one that waits", n)
	}
}

func TestACrowdThatWaitsRightlyHidesNoStrandedJob(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `UPDATE events SET concurrency = 1 WHERE id = $1`, f.event)
	f.claim(t, f.enqueue(t))
	crowd := make([]cronium.ID, strandedPage)
	for i := range crowd {
		crowd[i] = cronium.IDFloor(time.Now().Add(-time.Hour + time.Duration(i)*time.Millisecond))
	}
	f.exec(t, `INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, trigger, triggered_by, waiting)
		SELECT id, $2, $3, 1, 'NORMAL', 'QUEUED', 'MANUAL', 'ann', 'concurrency' FROM unnest($1::uuid[]) AS c (id)`, crowd, f.workspace, f.event)
	lost := cronium.IDFloor(time.Now().Add(-2 * time.Minute))
	f.exec(t, `INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, trigger, triggered_by)
		VALUES ($1, $2, $3, 1, 'NORMAL', 'QUEUED', 'MANUAL', 'ann')`, lost, f.workspace, f.event)
	jobs, next, err := f.Stranded(f.ctx, cronium.ID{})
	if err != nil || len(jobs) != 0 || next != crowd[strandedPage-1] {
		t.Fatalf("first %d jobs, next %s, %v", len(jobs), next, err)
	}
	jobs, next, err = f.Stranded(f.ctx, next)
	if err != nil || len(jobs) != 1 || jobs[0].ID != lost || next != (cronium.ID{}) {
		t.Fatalf("then %+v, next %s, %v; want the stranded one and the end", jobs, next, err)
	}
}
