package jobs

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// stranded stores a job that waits since two minutes without an entry in the
// queue.
func (s *site) stranded(event cronium.ID, version int) *cronium.Job {
	s.Helper()
	old, random := cronium.IDFloor(time.Now().Add(-2*time.Minute)), cronium.NewID()
	copy(old[6:], random[6:])
	job := &cronium.Job{ID: old, WorkspaceID: s.workspace, EventID: event, Version: version, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := s.store.Enqueue(s.Context(), job, nil, noQueue); err != nil {
		s.Fatal(err)
	}
	return job
}

func TestAJobWithoutAQueueEntryIsFoundAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "echo ready", nil)
	without := s.stranded(event, 7) // a version that does not exist
	job := s.stranded(event, 1)
	if _, err := p.requeueStranded(t.Context(), cronium.ID{}); err != nil {
		t.Error(err)
	}
	if row := s.final(without.ID); row.Result != cronium.ResultFailure || !strings.Contains(row.Error, "Version 7") {
		t.Errorf("%+v", row.Job)
	}
	if row := s.final(job.ID); row.Result != cronium.ResultSuccess {
		t.Errorf("%+v", row.Job)
	}
}

// Who got no answer repeats the request, whatever has become of the event's
// defaults meanwhile.
func TestARepeatedRequestGetsTheFirstJobThoughTheEventWasSaved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "true", nil)
	ask := func(input string) (*cronium.Job, error) {
		return p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerAPI, Input: json.RawMessage(input), IdempotencyKey: "k"})
	}
	first, err := ask("")
	if err != nil {
		t.Fatal(err)
	}
	content := cronium.NewContent(cronium.EventBash)
	content.Network, content.Priority, content.Input = cronium.NetworkNone, cronium.PriorityLow, json.RawMessage(`{"n":1}`)
	if _, err := s.store.SaveVersion(t.Context(), s.workspace, event, 1, content, "", store.Author{ID: cronium.NewID(), Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	if again, err := ask(""); err != nil || again.ID != first.ID {
		t.Errorf("%+v, %v: want the job %s", again, err, first.ID)
	}
	for _, status := range []cronium.EventStatus{cronium.EventPaused, cronium.EventArchived} {
		if _, err := s.store.SetEventStatus(t.Context(), s.workspace, event, status); err != nil {
			t.Fatal(err)
		}
		if again, err := ask(""); err != nil || again.ID != first.ID {
			t.Errorf("%s: %+v, %v: want the job %s", status, again, err, first.ID)
		}
	}
	if _, err := ask(`{"n":2}`); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("%v: want a conflict for another request", err)
	}
}

func TestAJobThatWaitsRunsWhenASaveRaisesTheLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	limit := func(n int) func(*cronium.Content) { return func(c *cronium.Content) { c.Concurrency = n } }
	event := s.event(cronium.EventBash, "echo ready; sleep 600", limit(1))
	s.printed(s.run(p, event, "").ID, "ready")
	second := s.run(p, event, "")
	s.eventually(second.ID, "waiting for the first", func(j *store.JobRow) bool { return j.Waiting == "concurrency" })
	content, err := s.store.Content(t.Context(), s.workspace, event, 1)
	if err != nil {
		t.Fatal(err)
	}
	limit(2)(content)
	asked := time.Now()
	if _, err := s.store.SaveVersion(t.Context(), s.workspace, event, 1, *content, "", store.Author{ID: cronium.NewID(), Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	s.printed(second.ID, "ready")
	if took := time.Since(asked); took > 40*time.Second {
		t.Errorf("it ran after %s: that was the sweep", took)
	}
}
