package jobs

import (
	"context"
	"sync/atomic"
	"testing"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
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

// removed is a target whose first warm place others have removed while this
// process was taken for dead.
type removed struct {
	puppet
	dropped *atomic.Bool
}

func (b removed) Warm(executor.Spec) executor.Place {
	if b.dropped.Load() {
		return puppetPlace{b.puppet}
	}
	return puppetPlace{puppet{run: func(context.Context, executor.Run, executor.Sink) (*proto.Finish, error) {
		return nil, executor.ErrGone
	}}}
}

func (b removed) DropWarm() { b.dropped.Store(true) }

func TestAProcessWhoseLeaseHadEndedDropsItsPoolBeforeItClaims(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	quick := puppet{run: func(ctx context.Context, _ executor.Run, sink executor.Sink) (*proto.Finish, error) {
		return &proto.Finish{Outcome: proto.Outcome_OUTCOME_EXITED}, sink.Started(ctx, 0)
	}}
	p := s.startPuppet(removed{quick, &atomic.Bool{}})
	if err := s.store.EndLease(t.Context(), p.ID()); err != nil {
		t.Fatal(err)
	}
	job, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: s.event(cronium.EventBash, "true", nil), Trigger: cronium.TriggerManual})
	if err != nil {
		t.Fatal(err)
	}
	if row := s.final(job.ID); row.Result != cronium.ResultSuccess {
		t.Errorf("job %+v, executions %+v", row.Job, s.executions(job.ID))
	}
}
