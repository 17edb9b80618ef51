package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// followed makes an event that runs after the fixture's.
func (f *fixture) followed(t *testing.T) (next cronium.ID) {
	t.Helper()
	author := Author{ID: cronium.NewID(), Name: "ann"}
	e := &cronium.Event{Name: "next " + cronium.NewID().String(), Type: cronium.EventBash, Status: cronium.EventActive}
	if err := f.CreateEvent(f.ctx, f.workspace, e, cronium.NewContent(cronium.EventBash), "", author); err != nil {
		t.Fatal(err)
	}
	f.lead(t, f.event, e.ID)
	f.follows = true
	return e.ID
}

// lead has one event run after another.
func (f *fixture) lead(t *testing.T, from, to cronium.ID) {
	t.Helper()
	if err := f.tryLead(from, to); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) tryLead(from, to cronium.ID) error {
	e, err := f.Event(f.ctx, f.workspace, from)
	if err != nil {
		return err
	}
	v, err := f.EventVersion(f.ctx, f.workspace, from, e.Version)
	if err != nil {
		return err
	}
	if len(v.Content.Files) == 0 { // the fixture's
		v.Content = cronium.NewContent(cronium.EventPython)
	}
	v.Content.Then = append(v.Content.Then, cronium.Action{When: cronium.WhenAlways, Event: &cronium.EventStep{ID: to}})
	_, err = f.SaveVersion(f.ctx, f.workspace, from, e.Version, v.Content, "", Author{ID: cronium.NewID(), Name: "ann"})
	return err
}

// ends takes all ends and tells whose they were.
func (f *fixture) ends(t *testing.T) (jobs []cronium.ID) {
	t.Helper()
	_, err := f.FollowEnds(f.ctx, 100, func(_ context.Context, _ pgx.Tx, end *JobEnd) error {
		jobs = append(jobs, end.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

func TestEachWayInWhichAJobEndsIsFollowed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	silent := f.enqueue(t)
	if _, err := f.Cancel(f.ctx, f.workspace, silent.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	if got := f.ends(t); len(got) != 0 {
		t.Fatalf("an event that nothing follows left the ends of %v", got)
	}
	f.followed(t)
	for what, end := range map[string]func(j *cronium.Job) error{
		"finish": func(j *cronium.Job) error {
			_, err := f.Finish(f.ctx, Finish{ExecutionID: f.claim(t, j), JobID: j.ID, Owner: f.process, Status: cronium.ExecutionSuccess}, noRequeue)
			return err
		},
		"finish with a limit": func(j *cronium.Job) error {
			_, err := f.Finish(f.ctx, Finish{ExecutionID: f.claim(t, j), JobID: j.ID, Owner: f.process, Status: cronium.ExecutionLost, Limited: true}, noRequeue)
			return err
		},
		"cancel while it waits": func(j *cronium.Job) error {
			_, err := f.Cancel(f.ctx, f.workspace, j.ID, "ann")
			return err
		},
		"fail unclaimed": func(j *cronium.Job) error { return f.Fail(f.ctx, j.ID, "unreadable") },
	} {
		j := f.enqueue(t)
		if got := f.ends(t); len(got) != 0 {
			t.Errorf("%s: followed before the end: %v", what, got)
		}
		if err := end(j); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := f.ends(t); len(got) != 1 || got[0] != j.ID {
			t.Errorf("%s: followed are %v, want %s", what, got, j.ID)
		}
		if got := f.ends(t); len(got) != 0 {
			t.Errorf("%s: followed twice", what)
		}
	}
}

func TestWhatFailsToFollowIsTriedAgainAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.followed(t)
	bad, good := f.enqueue(t), f.enqueue(t)
	for _, j := range []*cronium.Job{bad, good} {
		if _, err := f.Cancel(f.ctx, f.workspace, j.ID, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("broken")
	n, err := f.FollowEnds(f.ctx, 10, func(ctx context.Context, tx pgx.Tx, end *JobEnd) error {
		if err := AddFollowUp(ctx, tx, FollowUp{JobID: end.ID, WorkspaceID: end.WorkspaceID, When: cronium.WhenAlways, Note: "x"}); err != nil {
			return err
		}
		if end.ID == bad.ID {
			return broken
		}
		return nil
	})
	if n != 2 || !errors.Is(err, broken) {
		t.Fatalf("%d, %v", n, err)
	}
	for j, want := range map[*cronium.Job]int{bad: 0, good: 1} {
		if done, err := f.FollowUps(f.ctx, f.workspace, j.ID); err != nil || len(done) != want {
			t.Errorf("followed by %v, %v; want %d", done, err, want)
		}
	}
	if got := f.ends(t); len(got) != 0 {
		t.Errorf("%v is tried again without a pause", got)
	}
	if _, err := f.worker.Exec(f.ctx, `UPDATE job_ends SET due_at = now()`); err != nil {
		t.Fatal(err)
	}
	if got := f.ends(t); len(got) != 1 || got[0] != bad.ID {
		t.Errorf("tried again are %v, want %s", got, bad.ID)
	}
}

func TestACircleOfEventsIsNamedWhenItIsSaved(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := f.followed(t)
	third := f.followed(t)
	f.lead(t, second, third)
	for _, from := range []cronium.ID{third, second, f.event} {
		err := f.tryLead(from, f.event)
		var public *cronium.Error
		if !errors.As(err, &public) || len(public.Fields) != 1 {
			t.Fatalf("from %s: %v", from, err)
		}
		if from != f.event && !strings.Contains(public.Fields[0].Message, " → ") {
			t.Errorf("the circle is not named: %s", public.Fields[0].Message)
		}
	}
	if err := f.tryLead(second, cronium.NewID()); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("an event that is not there: %v", err)
	}
	leading, err := f.LeadsTo(f.ctx, f.workspace, third)
	if err != nil || len(leading) != 2 {
		t.Errorf("to the third lead %v, %v", leading, err)
	}
}
