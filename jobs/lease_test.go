package jobs

import (
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// A claim may be stored between the moment when the loop notes what is driven and
// the moment when it asks the database.
func TestAnExecutionThatWasJustClaimedIsNotAdopted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	job := s.run(p, s.event(cronium.EventBash, "echo ready; sleep 600", nil), "")
	execution := s.printed(job.ID, "ready")
	driving := func() *run {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.runs[execution.ID]
	}
	before := driving()
	if err := p.adopt(t.Context(), store.Adopted{Execution: execution, Job: *job}); err != nil {
		t.Fatal(err)
	}
	if now := driving(); now != before {
		t.Error("one execution is driven twice in one process")
	}
	if err := p.Cancel(t.Context(), s.workspace, job.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	s.final(job.ID)
}
