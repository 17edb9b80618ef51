package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/store"
)

// left stores a job whose execution runs on a puppet since a time and belongs
// to nobody: its server has died.
func (s *site) left(event cronium.ID, since time.Duration) *cronium.Job {
	s.Helper()
	job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: s.workspace, EventID: event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := s.store.Enqueue(s.Context(), job, nil, noQueue); err != nil {
		s.Fatal(err)
	}
	execution, random, dead := cronium.IDFloor(time.Now().Add(-since)), cronium.NewID(), s.mortal()
	copy(execution[6:], random[6:])
	claim := store.Claim{JobID: job.ID, ExecutionID: execution, Owner: dead, Target: cronium.TargetContainer, TargetRef: "puppet"}
	if _, err := s.store.Claim(s.Context(), claim, false); err != nil {
		s.Fatal(err)
	}
	if err := s.store.Start(s.Context(), store.Started{ExecutionID: execution, JobID: job.ID, Owner: dead}); err != nil {
		s.Fatal(err)
	}
	if _, err := s.store.HandOver(s.Context(), dead); err != nil {
		s.Fatal(err)
	}
	return job
}

// mortal is a process that claims and then dies without a trace.
func (s *site) mortal() cronium.ID {
	s.Helper()
	id := cronium.NewID()
	if err := s.store.RenewLease(s.Context(), store.Process{ID: id, Hostname: "h", PID: 1, Version: "v"}); err != nil {
		s.Fatal(err)
	}
	return id
}

func unreachable(string) error { return executor.ErrUnavailable }

func TestAnExecutionWhoseTargetNeverComesBackSaysSoAndIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	job := s.left(s.event(cronium.EventBash, "true", nil), 0)
	p := s.startPuppet(puppet{find: unreachable})
	s.eventually(job.ID, "what is waited for", func(*store.JobRow) bool {
		return strings.Contains(s.executions(job.ID)[0].Progress, "cannot be reached")
	})
	if err := p.Cancel(t.Context(), s.workspace, job.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	row, e := s.final(job.ID), s.executions(job.ID)[0]
	if row.Result != cronium.ResultCancelled || e.Status != cronium.ExecutionLost || !strings.Contains(e.Error, "may still run") || e.Progress != "" {
		t.Errorf("job %+v, execution %+v", row.Job, e)
	}
}

func TestAnExecutionLongAfterItsLimitsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	event := s.event(cronium.EventBash, "true", nil)
	old, young := s.left(event, time.Hour), s.left(event, 0)
	s.startPatient(puppet{find: unreachable}, time.Second)
	row, e := s.final(old.ID), s.executions(old.ID)[0]
	if row.Result != cronium.ResultFailure || e.Status != cronium.ExecutionLost || !strings.Contains(row.Error, "given up") {
		t.Errorf("job %+v, execution %+v", row.Job, e)
	}
	if e := s.executions(young.ID)[0]; e.Status != cronium.ExecutionRunning {
		t.Errorf("one within its limits is %s", e.Status)
	}
}

func TestACancelEndsAnExecutionWhoseAgentDoesNotObey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	deaf := func(ctx context.Context, _ executor.Run, sink executor.Sink) (*proto.Finish, error) {
		if err := sink.Started(ctx, 0); err != nil {
			return nil, err
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	p := s.startPatient(puppet{run: deaf}, time.Second)
	event := s.event(cronium.EventBash, "true", func(c *cronium.Content) { c.Retry.Attempts = 3 })
	job, err := p.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual})
	if err != nil {
		t.Fatal(err)
	}
	s.eventually(job.ID, "a running job", func(j *store.JobRow) bool { return j.Status == cronium.JobRunning })
	if err := p.Cancel(t.Context(), s.workspace, job.ID, "bob"); err != nil {
		t.Fatal(err)
	}
	row, executions := s.final(job.ID), s.executions(job.ID)
	if row.Result != cronium.ResultCancelled || len(executions) != 1 || executions[0].Status != cronium.ExecutionLost {
		t.Errorf("job %+v, executions %+v", row.Job, executions)
	}
}

// What happens while the database is away cannot be told in time.
func TestNothingIsGivenUpWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{Config: Config{Patience: 10 * time.Minute}}
		began := time.Now()
		r := e.newRun(cronium.Execution{ID: cronium.IDFloor(began)}, &prepared{Content: cronium.Content{Limits: cronium.Limits{TimeoutSeconds: 3600}}})
		back := began.Add(5 * time.Hour)
		ping := func(context.Context) error {
			if time.Now().Before(back) {
				return errors.New("away")
			}
			return nil
		}
		if !r.overdue(t.Context(), ping) || time.Now().Before(back.Add(30*time.Second)) {
			t.Errorf("given up after %s, want a moment after the database is back", time.Since(began))
		}
		again := time.Now()
		if !r.overdue(t.Context(), ping) || time.Since(again) < 10*time.Minute {
			t.Errorf("an adopted one is given up after %s, want 10 minutes at least", time.Since(again))
		}
	})
}
