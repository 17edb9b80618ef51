package store

import (
	"testing"
	"time"

	"cronium.dev/cronium"
)

func (f *fixture) finish(t *testing.T, j *cronium.Job, status cronium.ExecutionStatus) {
	t.Helper()
	end := Finish{ExecutionID: f.claim(t, j), JobID: j.ID, Owner: f.process, Status: status, Run: 2 * time.Second}
	if _, err := f.Finish(f.ctx, end, noRequeue); err != nil {
		t.Fatal(err)
	}
}

func TestHomeShowsWhatFailsAndSinceWhen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.finish(t, f.enqueue(t), cronium.ExecutionFailure)
	var success, firstFailure *cronium.Job
	for range 3 {
		success = f.enqueue(t)
		f.finish(t, success, cronium.ExecutionSuccess)
	}
	firstFailure = f.enqueue(t)
	f.finish(t, firstFailure, cronium.ExecutionTimeout)
	last := f.enqueue(t)
	f.finish(t, last, cronium.ExecutionFailure)
	f.enqueue(t)

	items, err := f.Attention(f.ctx, f.workspace)
	if err != nil || len(items) != 1 {
		t.Fatalf("%+v, %v", items, err)
	}
	if a := items[0]; a.Failures != 2 || a.LastJobID != last.ID || !a.Since.Equal(firstFailure.QueuedAt()) || a.LastResult != cronium.ResultFailure {
		t.Fatalf("%+v", a)
	}
	buckets, err := f.Activity(f.ctx, f.workspace, time.Now().Add(-24*time.Hour), 30*time.Minute)
	if err != nil || len(buckets) == 0 {
		t.Fatal(buckets, err)
	}
	var sum ActivityBucket
	for _, b := range buckets {
		sum.Succeeded, sum.Failed, sum.Other = sum.Succeeded+b.Succeeded, sum.Failed+b.Failed, sum.Other+b.Other
		if age := time.Since(b.Start); age < 0 || age > 31*time.Minute {
			t.Errorf("bucket of %v ago", age)
		}
	}
	if sum.Succeeded != 3 || sum.Failed != 3 || sum.Other != 1 {
		t.Fatalf("%+v", sum)
	}
	usual, ok, err := f.UsualDuration(f.ctx, f.workspace, f.event)
	if err != nil || !ok || usual != 2*time.Second {
		t.Fatal(usual, ok, err)
	}
	before, err := f.LastSuccess(f.ctx, f.workspace, f.event, last.ID)
	if err != nil || before == nil || before.ID != success.ID {
		t.Fatal(before, err)
	}
}
