package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// addSchedule makes a schedule of the fixture's event.
func (f *fixture) addSchedule(t *testing.T, change func(*cronium.Schedule)) *cronium.Schedule {
	t.Helper()
	s := cronium.DefaultSchedule()
	s.EventID, s.Expression = f.event, "*/5 * * * *"
	if change != nil {
		change(&s)
	}
	if err := f.CreateSchedule(f.ctx, f.workspace, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// due makes a schedule's next instant one that has passed.
func (f *fixture) due(t *testing.T, s *cronium.Schedule, ago time.Duration) {
	t.Helper()
	f.exec(t, `UPDATE schedules SET next_at = date_trunc('second', now() - $2::interval), due_at = date_trunc('second', now() - $2::interval) WHERE id = $1`, s.ID, ago)
}

// simple fires each schedule's next instant alone.
type simple struct {
	fail   error
	queued int
}

func (*simple) Decide(_ context.Context, _ pgx.Tx, now time.Time, due []DueSchedule) ([]Firing, error) {
	var firings []Firing
	for i := range due {
		s := &due[i].Schedule
		at := *s.NextAt
		job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: s.WorkspaceID, EventID: s.EventID, Version: 1, Priority: cronium.PriorityNormal,
			Trigger: cronium.TriggerSchedule, TriggeredBy: s.Name, Source: &s.ID, FireAt: &at, Input: s.Input}
		next := now.Add(time.Hour)
		s.NextAt, s.LastJob = &next, &job.ID
		s.Runs++
		firings = append(firings, Firing{Schedule: s, Jobs: []*cronium.Job{job},
			Instants: []cronium.Instant{{ScheduleID: s.ID, WorkspaceID: s.WorkspaceID, At: at, Outcome: cronium.OutcomeFired, Job: &job.ID}}})
	}
	return firings, nil
}

func (s *simple) Queue(_ context.Context, _ pgx.Tx, jobs []*cronium.Job) error {
	s.queued += len(jobs)
	return s.fail
}

func TestASchedulesNextInstantIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.addSchedule(t, func(s *cronium.Schedule) {
		s.Name, s.Zone, s.Input = "often", "Europe/Berlin", []byte(`{"a":"\u0000"}`)
	})
	found, err := f.Schedule(f.ctx, f.workspace, s.ID)
	if err != nil || found.NextAt == nil || found.Name != "often" || string(found.Input) != `{"a":"\u0000"}` {
		t.Fatalf("%+v, %v", found, err)
	}
	f.due(t, s, 3*time.Second)
	passed, err := f.Schedule(f.ctx, f.workspace, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	renamed, err := f.ChangeSchedule(f.ctx, f.workspace, s.ID, func(s *cronium.Schedule) { s.Name, s.Overlap = "renamed", cronium.OverlapSkip })
	if err != nil || !renamed.NextAt.Equal(*passed.NextAt) {
		t.Errorf("a change of other things moved the next instant: %v, %v", renamed.NextAt, err)
	}
	moved, err := f.ChangeSchedule(f.ctx, f.workspace, s.ID, func(s *cronium.Schedule) { s.Expression = "0 0 1 1 *" })
	if err != nil || moved.NextAt.In(time.UTC).Format("01-02 15:04") != "12-31 23:00" {
		t.Errorf("after a new expression the next instant is %v, %v", moved.NextAt, err)
	}
	if err := f.DeleteSchedule(f.ctx, f.workspace, s.ID); err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.DeleteSchedule(f.ctx, f.workspace, s.ID), cronium.CodeNotFound)
}

func TestSchedulesThatNeverFireAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	past := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		field, word string
		change      func(*cronium.Schedule)
	}{
		{"expression", "never run", func(s *cronium.Schedule) { s.Expression = "0 0 31 2 *" }},
		{"zone", "Mars", func(s *cronium.Schedule) { s.Zone = "Mars/Base" }},
		{"expression", "over", func(s *cronium.Schedule) {
			s.Kind, s.Expression = cronium.ScheduleOnce, "2001-01-01 00:00"
		}},
		{"ends_at", "over", func(s *cronium.Schedule) { s.EndsAt = &past }},
		{"missed_limit", "1,000", func(s *cronium.Schedule) { s.Missed, s.MissedLimit = cronium.MissedAll, 0 }},
		{"overlap", "QUEUE", func(s *cronium.Schedule) { s.Overlap = "MAYBE" }},
		{"jitter_seconds", "3,600", func(s *cronium.Schedule) { s.JitterSeconds = 3601 }},
		{"input", "JSON", func(s *cronium.Schedule) { s.Input = []byte("{") }},
	} {
		s := cronium.DefaultSchedule()
		s.EventID, s.Expression = f.event, "* * * * *"
		c.change(&s)
		err := f.CreateSchedule(f.ctx, f.workspace, &s)
		var refused *cronium.Error
		if !errors.As(err, &refused) || len(refused.Fields) != 1 || refused.Fields[0].Field != c.field || !strings.Contains(refused.Fields[0].Message, c.word) {
			t.Errorf("%s: %v", c.field, err)
		}
	}
	s := cronium.DefaultSchedule()
	s.EventID, s.Expression = cronium.NewID(), "* * * * *"
	wantCode(t, f.CreateSchedule(f.ctx, f.workspace, &s), cronium.CodeNotFound)
}

func TestAnInstantIsFiredOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const n = 60
	for range n {
		f.due(t, f.addSchedule(t, nil), time.Second)
	}
	total := make(chan int, 4)
	for range 4 {
		go func() {
			sum := 0
			for {
				fired, err := f.FireDue(f.ctx, 7, &simple{})
				if err != nil {
					t.Error(err)
				}
				if err != nil || fired.Due == 0 {
					break
				}
				sum += fired.Due
			}
			total <- sum
		}()
	}
	sum := 0
	for range 4 {
		sum += <-total
	}
	jobs, err := f.Jobs(f.ctx, f.workspace, JobFilter{Limit: 200})
	if err != nil || sum != n || len(jobs) != n {
		t.Fatalf("%d schedules fired, %d jobs, %v", sum, len(jobs), err)
	}
	if jobs[0].Source == nil || jobs[0].FireAt == nil {
		t.Errorf("the job does not know its schedule: %+v", jobs[0].Job)
	}
}

// Whatever leads to it, an instant that is stored fires nothing again.
func TestAnInstantThatIsStoredFiresNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.addSchedule(t, nil)
	f.due(t, s, 30*time.Second)
	before, err := f.Schedule(f.ctx, f.workspace, s.ID)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.exec(t, `UPDATE schedules SET next_at = $2, due_at = $2 WHERE id = $1`, s.ID, *before.NextAt)
		if _, err := f.FireDue(f.ctx, 10, &simple{}); err != nil {
			t.Fatal(err)
		}
	}
	jobs, err := f.Jobs(f.ctx, f.workspace, JobFilter{})
	after, _ := f.Schedule(f.ctx, f.workspace, s.ID)
	if err != nil || len(jobs) != 1 || after.Runs != 1 {
		t.Fatalf("%d jobs, %d runs, %v", len(jobs), after.Runs, err)
	}
}

func TestNothingIsFiredWhereTheQueueTakesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.addSchedule(t, nil)
	f.due(t, s, time.Second)
	if _, err := f.FireDue(f.ctx, 10, &simple{fail: errors.New("no")}); err == nil {
		t.Fatal("the queue's error was lost")
	}
	instants, err := f.Instants(f.ctx, f.workspace, InstantFilter{})
	jobs, _ := f.Jobs(f.ctx, f.workspace, JobFilter{})
	if err != nil || len(instants) != 0 || len(jobs) != 0 {
		t.Fatalf("%d instants and %d jobs are left, %v", len(instants), len(jobs), err)
	}
	fired, err := f.FireDue(f.ctx, 10, &simple{})
	if err != nil || fired.Due != 1 || fired.Next <= 0 || fired.Next > time.Hour {
		t.Fatalf("%+v, %v", fired, err)
	}
}

// An event that is being deleted is left alone, and takes its schedules along.
func TestDeletingAnEventTakesItsSchedulesAlong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.addSchedule(t, nil)
	f.due(t, s, time.Second)
	err := f.workspaceTx(func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.ctx, `SELECT FROM events WHERE id = $1 FOR UPDATE`, f.event); err != nil {
			return err
		}
		fired, err := f.FireDue(f.ctx, 10, &simple{})
		if err == nil && fired.Due != 0 {
			t.Errorf("fired %d schedules of an event that is being deleted", fired.Due)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteEvent(f.ctx, f.workspace, f.event); err != nil {
		t.Fatal(err)
	}
	_, err = f.Schedule(f.ctx, f.workspace, s.ID)
	wantCode(t, err, cronium.CodeNotFound)
}

func (f *fixture) workspaceTx(do func(pgx.Tx) error) error {
	return f.Store.workspace(f.ctx, f.workspace, do)
}

func TestSchedulesAndInstantsAreListed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var all []cronium.ID
	for _, expression := range []string{"0 0 1 1 *", "*/5 * * * *", "0 * * * *"} {
		all = append(all, f.addSchedule(t, func(s *cronium.Schedule) { s.Expression = expression }).ID)
	}
	var got []ScheduleRow
	var after *ScheduleCursor
	for range 3 {
		page, err := f.Schedules(f.ctx, f.workspace, ScheduleFilter{Limit: 1, After: after})
		if err != nil || len(page) != 1 {
			t.Fatalf("%d rows, %v", len(page), err)
		}
		got = append(got, page[0])
		cursor := page[0].Cursor()
		after = &cursor
	}
	if got[2].ID != all[0] || got[0].EventName != "backup" {
		t.Errorf("pages by the next instant: %+v", got)
	}
	if page, err := f.Schedules(f.ctx, f.workspace, ScheduleFilter{Query: "nothing like it"}); err != nil || len(page) != 0 {
		t.Errorf("a query that matches nothing gave %d, %v", len(page), err)
	}
	f.due(t, &got[1].Schedule, time.Second)
	if _, err := f.FireDue(f.ctx, 10, &simple{}); err != nil {
		t.Fatal(err)
	}
	instants, err := f.Instants(f.ctx, f.workspace, InstantFilter{Event: &f.event, Outcomes: []cronium.Outcome{cronium.OutcomeFired}})
	if err != nil || len(instants) != 1 || instants[0].JobStatus != cronium.JobQueued || instants[0].ScheduleID != got[1].ID {
		t.Fatalf("%+v, %v", instants, err)
	}
	if instants, err = f.Instants(f.ctx, f.workspace, InstantFilter{Outcomes: []cronium.Outcome{cronium.OutcomeSkipped}}); err != nil || len(instants) != 0 {
		t.Errorf("skipped: %+v, %v", instants, err)
	}
	now := time.Now()
	counts, err := f.ScheduledJobs(f.ctx, f.workspace, now.Add(-time.Hour), now.Add(time.Hour), 15*time.Minute)
	if err != nil || len(counts) != 1 || counts[0].Slot != 3 || counts[0].Count != 1 {
		t.Errorf("slots: %+v, %v", counts, err)
	}
	other := cronium.NewID()
	if list, err := f.Schedules(f.ctx, other, ScheduleFilter{}); err != nil || len(list) != 0 {
		t.Errorf("another workspace sees %d schedules, %v", len(list), err)
	}
}

func TestOldInstantsAreRemoved(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.addSchedule(t, nil)
	for _, row := range []struct {
		outcome string
		days    int
	}{{"FIRED", 1}, {"FIRED", 9}, {"SKIPPED", 9}, {"MISSED", 61}} {
		f.exec(t, `INSERT INTO schedule_instants (schedule_id, instant, workspace_id, outcome, at)
			VALUES ($1, now() - make_interval(days => $2::int, secs => $2::int), $3, $4, now() - make_interval(days => $2::int))`, s.ID, row.days, f.workspace, row.outcome)
	}
	if err := f.Tidy(f.ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	left, err := f.Instants(f.ctx, f.workspace, InstantFilter{})
	if err != nil || len(left) != 2 || left[0].Outcome != cronium.OutcomeFired || left[1].Outcome != cronium.OutcomeSkipped {
		t.Fatalf("left: %+v, %v", left, err)
	}
}
