package store

import (
	"testing"

	"cronium.dev/cronium"
)

func TestTheQueueSaysWhatWaitsForWhat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.letGo()
	f.exec(t, `UPDATE events SET concurrency = 1 WHERE id = $1`, f.event)
	f.claim(t, f.enqueue(t))
	for range 3 {
		if _, w := f.tryClaim(t, f.enqueue(t)); w == nil {
			t.Fatal("want the limit to hold")
		}
	}
	f.enqueue(t)
	reasons, err := f.QueueReasons(f.ctx, f.workspace)
	if err != nil || len(reasons) != 2 {
		t.Fatalf("%+v, %v: want two reasons", reasons, err)
	}
	if r := reasons[0]; r.Waiting != cronium.WaitingConcurrency || r.Jobs != 3 || r.Running != 1 || r.Limit != 1 || r.EventID == nil || *r.EventID != f.event {
		t.Errorf("%+v: want three to wait for the event, of which 1 of 1 runs", r)
	}
	if r := reasons[1]; r.Waiting != "" || r.Jobs != 1 {
		t.Errorf("%+v: want one to wait for its turn", r)
	}
}

func TestAJobThatIsPutFirstIsTheFirstOfTheQueue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var jobs []*cronium.Job
	for range 5 {
		jobs = append(jobs, f.enqueue(t))
	}
	for _, j := range []*cronium.Job{jobs[3], jobs[4]} {
		if err := f.PutFirst(f.ctx, f.workspace, j.ID); err != nil {
			t.Fatal(err)
		}
	}
	var order []cronium.ID
	var cursor *QueueCursor
	for {
		page, next, err := f.QueueJobs(f.ctx, f.workspace, nil, cursor, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page {
			order = append(order, j.ID)
		}
		if cursor = next; next == nil {
			break
		}
	}
	want := []int{4, 3, 0, 1, 2}
	if len(order) != len(want) {
		t.Fatalf("%d jobs in the queue, want %d", len(order), len(want))
	}
	for i, w := range want {
		if order[i] != jobs[w].ID {
			t.Errorf("place %d is not of job %d", i, w)
		}
	}
	f.claim(t, jobs[0])
	if err := f.PutFirst(f.ctx, f.workspace, jobs[0].ID); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("a job that was claimed: %v, want a conflict", err)
	}
}
