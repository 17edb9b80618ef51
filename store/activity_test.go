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

func TestActivityOfThePastIsCountedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hour := time.Now().Add(-3 * time.Hour).Truncate(time.Hour)
	accept := func(at time.Time) cronium.ID {
		id := cronium.NewID()
		floor := cronium.IDFloor(at)
		copy(id[:6], floor[:6])
		j := &cronium.Job{ID: id, WorkspaceID: f.workspace, EventID: f.event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
		if _, err := f.Enqueue(f.ctx, j, nil, noQueue); err != nil {
			t.Fatal(err)
		}
		return id
	}
	count := func() ActivityBucket {
		t.Helper()
		buckets, err := f.Activity(f.ctx, f.workspace, hour, time.Hour)
		if err != nil || len(buckets) != 1 || !buckets[0].Start.Equal(hour) {
			t.Fatalf("%+v, %v", buckets, err)
		}
		return buckets[0]
	}
	cancel := func(job cronium.ID) {
		t.Helper()
		if _, err := f.Cancel(f.ctx, f.workspace, job, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	cancel(accept(hour))
	open := accept(hour.Add(time.Hour - time.Millisecond))
	if b := count(); b.Other != 2 {
		t.Fatalf("a job that is over and one that is not: %+v", b)
	}
	f.exec(t, `DELETE FROM jobs WHERE id <> $1`, open)
	if b := count(); b.Other != 1 {
		t.Fatalf("a span in which a job is open was not counted again: %+v", b)
	}
	cancel(open)
	count()
	f.exec(t, `DELETE FROM jobs`)
	if b := count(); b.Other != 1 {
		t.Fatalf("a span that cannot change any more was counted again: %+v", b)
	}
}
