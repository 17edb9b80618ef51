package jobs

import (
	"slices"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

func TestAWorkspaceThatFloodsTheQueueDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.maxRuns = 1
	p := s.start(0)
	busy := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	s.printed(busy.ID, "ready")
	flood := s.event(cronium.EventBash, "true", nil)
	var waiting []cronium.ID
	for range 12 {
		waiting = append(waiting, s.run(p, flood, "").ID)
	}
	// A second workspace, which the site's helpers then work in.
	first := s.workspace
	other := &cronium.Workspace{ID: cronium.NewID(), Slug: "other", Name: "Other"}
	if err := s.store.AddWorkspace(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	s.workspace = other.ID
	single := s.run(p, s.event(cronium.EventBash, "true", nil), "")
	if err := p.Cancel(t.Context(), first, busy.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	claimed := *s.final(single.ID).ClaimedAt
	s.workspace = first
	before := 0
	var order []time.Time
	for _, id := range waiting {
		at := *s.final(id).ClaimedAt
		order = append(order, at)
		if at.Before(claimed) {
			before++
		}
	}
	if before > 2 {
		t.Errorf("%d of 12 jobs that another workspace had waiting ran first", before)
	}
	if !slices.IsSortedFunc(order, time.Time.Compare) {
		t.Errorf("jobs of one workspace did not run in their order: %v", order)
	}
}

func TestAJobThatBecomesDueGetsItsTurnAmongThoseThatWait(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.maxRuns = 1
	p := s.start(0)
	failing := s.run(p, s.event(cronium.EventBash, "exit 1", func(c *cronium.Content) {
		c.Retry = cronium.Retry{Attempts: 2, InitialSeconds: 1, Factor: 1, MaxSeconds: 1}
	}), "")
	s.eventually(failing.ID, "a retry", func(j *store.JobRow) bool { return j.NextAttempt != nil || j.Attempts == 2 })
	busy := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	s.printed(busy.ID, "ready")
	// While the slot is taken the retry becomes due; it gets a turn like others.
	s.eventually(failing.ID, "a turn of the retry", func(*store.JobRow) bool {
		var at time.Time
		err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT scheduled_at FROM river_job
			WHERE state = 'available' AND args @> jsonb_build_object('job_id', $1::uuid)`, failing.ID).Scan(&at)
		_, turn := store.TurnOf(at)
		return err == nil && turn
	})
	if err := p.Cancel(t.Context(), s.workspace, busy.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	s.final(failing.ID)
}

func TestTurnsOutliveTheProcessesThatGaveThem(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	workspace := cronium.NewID()
	l := lane{"container", workspace, cronium.PriorityNormal}
	one, two := newTurns(), newTurns()
	one.took("container", store.TurnTime(1000))
	for range 10 {
		one.next(l)
	}
	for _, process := range []*turns{one, two} {
		known, err := s.store.SyncTurns(t.Context(), process.known())
		if err != nil {
			t.Fatal(err)
		}
		process.learn(known)
	}
	if got, want := two.next(l), int64(1000+11*16); got != want {
		t.Errorf("the next turn of the lane is %d in another process, want %d", got, want)
	}
	if got, want := two.next(lane{"container", cronium.NewID(), cronium.PriorityCritical}), int64(1001); got != want {
		t.Errorf("the first turn of another workspace is %d, want %d", got, want)
	}
}

func TestAJobThatIsPutFirstRunsBeforeThoseThatWaitedLonger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.maxRuns = 1
	p := s.start(0)
	busy := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	s.printed(busy.ID, "ready")
	event := s.event(cronium.EventBash, "true", nil)
	early, late := s.run(p, event, ""), s.run(p, event, "")
	if err := s.store.PutFirst(t.Context(), s.workspace, late.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.Cancel(t.Context(), s.workspace, busy.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	if first, second := s.final(late.ID), s.final(early.ID); !first.ClaimedAt.Before(*second.ClaimedAt) {
		t.Errorf("claimed at %s and %s: want the one that was put first before the other", first.ClaimedAt, second.ClaimedAt)
	}
}
