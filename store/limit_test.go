package store

import (
	"errors"
	"testing"
	"time"

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
	if !errors.Is(err, ErrConcurrency) {
		t.Fatalf("%v: want the limit to hold", err)
	}
	f.exec(t, `UPDATE events SET concurrency = 2 WHERE id = $1`, f.event)
	claimed, err := f.Claim(f.ctx, Claim{JobID: second.ID, ExecutionID: cronium.NewID(), Owner: f.process, Target: cronium.TargetContainer}, false)
	if err != nil || !claimed.Limited {
		t.Fatalf("%+v, %v: want a claim whose end lets others run", claimed, err)
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
		jobs, err := f.Stranded(f.ctx)
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
