package jobs

import (
	"encoding/json"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

func TestJobsOfOneCustomerRunOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	change := func(c *cronium.Content) { c.Group = &cronium.Group{Key: "customer-{{input.customer}}", Limit: 1} }
	one, two := s.event(cronium.EventBash, "echo ready; sleep 600", change), s.event(cronium.EventBash, "echo ready; sleep 600", change)
	first := s.run(p, one, `{"customer": 7}`)
	s.printed(first.ID, "ready")
	second := s.run(p, two, `{"customer": 7}`)
	s.eventually(second.ID, "waiting for its group", func(j *store.JobRow) bool { return j.Waiting == cronium.WaitingGroup && j.GroupKey == "customer-7" })
	other := s.run(p, two, `{"customer": 8}`)
	s.printed(other.ID, "ready")
	if err := p.Cancel(t.Context(), s.workspace, first.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	s.printed(second.ID, "ready")
	_, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: one, Trigger: cronium.TriggerManual, Input: json.RawMessage(`{"kunde": 7}`)})
	if cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("an input without the customer: %v, want it to be refused", err)
	}
}
