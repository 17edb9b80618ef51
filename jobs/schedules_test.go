package jobs

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
	"cronium.dev/store"
)

// somewhere is a target that is switched on and never used.
type somewhere struct{ executor.Backend }

// idle is an engine that accepts jobs and runs none.
func (s *site) idle() *Engine {
	s.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		s.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(s.Output(), nil))
	e, err := New(Config{ID: cronium.NewID(), Store: s.store, Hub: live.New(s.store.Pool(), log), Key: key, Log: log, Version: "test", MaxRuns: 1,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: somewhere{}}})
	if err != nil {
		s.Fatal(err)
	}
	return e
}

// schedule makes a schedule of an event.
func (s *site) schedule(event cronium.ID, expression string, change func(*cronium.Schedule)) *cronium.Schedule {
	s.Helper()
	made := cronium.DefaultSchedule()
	made.EventID, made.Expression = event, expression
	if change != nil {
		change(&made)
	}
	if err := s.store.CreateSchedule(s.Context(), s.workspace, &made); err != nil {
		s.Fatal(err)
	}
	return &made
}

// dueSince sets back the instant that comes next.
func (s *site) dueSince(id cronium.ID, at time.Time) {
	s.Helper()
	if _, err := s.store.WorkerPool().Exec(s.Context(), `UPDATE schedules SET next_at = $2, due_at = $2 WHERE id = $1`, id, at); err != nil {
		s.Fatal(err)
	}
}

// at reads a moment of a day that is long from now.
func at(t *testing.T, clock string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.DateTime, "2027-03-01 "+clock)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// told says in a word each what became of instants, and what comes next.
func told(t *testing.T, f store.Firing) string {
	t.Helper()
	var words []string
	for _, i := range f.Instants {
		word := string(i.Outcome) + i.At.UTC().Format("@15:04")
		if i.Last != nil {
			word += fmt.Sprintf("-%s*%d", i.Last.UTC().Format("15:04"), i.Count)
		}
		if (i.Reason == "") != (i.Outcome == cronium.OutcomeFired) {
			t.Errorf("%s with the reason %q", i.Outcome, i.Reason)
		}
		words = append(words, word)
	}
	next := "never"
	if f.Schedule.NextAt != nil {
		next = f.Schedule.NextAt.UTC().Format("15:04")
	}
	return strings.Join(append(words, fmt.Sprintf("%d jobs", len(f.Jobs)), next), " ")
}

func TestWhatBecomesOfInstants(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	plain := s.event(cronium.EventBash, "true", nil)
	strict := s.event(cronium.EventBash, "true", func(c *cronium.Content) {
		c.InputSchema, c.Input = []byte(`{"type":"object","required":["n"]}`), []byte(`{"n":1}`)
	})
	elsewhere := s.event(cronium.EventBash, "true", func(c *cronium.Content) { c.Target = cronium.TargetProcess })
	last := cronium.NewID()
	all := func(n int) func(*store.DueSchedule) {
		return func(d *store.DueSchedule) { d.Missed, d.MissedLimit = cronium.MissedAll, n }
	}
	overlap := func(policy cronium.OverlapPolicy, status cronium.JobStatus) func(*store.DueSchedule) {
		return func(d *store.DueSchedule) { d.Overlap, d.Last, d.LastJob = policy, status, &last }
	}
	for _, c := range []struct {
		why, next, now, want string
		change               func(*store.DueSchedule)
	}{
		{"in time", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs 12:01", nil},
		{"late", "12:00:00", "12:00:30", "LATE@12:00 1 jobs 12:01", nil},
		{"older than a minute", "12:00:00", "12:01:02", "MISSED@12:00 FIRED@12:01 1 jobs 12:02", nil},
		{"missed ones are skipped", "12:00:00", "12:10:01", "MISSED@12:00-12:09*10 FIRED@12:10 1 jobs 12:11", nil},
		{"one of them is run", "12:00:00", "12:10:01", "MISSED@12:00-12:09*10 FIRED@12:10 1 jobs 12:11", func(d *store.DueSchedule) { d.Missed = cronium.MissedOnce }},
		{"one of them is run where none is due now", "10:00:00", "12:10:01", "MISSED@10:00-11:00*2 LATE@12:00 1 jobs 13:00", func(d *store.DueSchedule) {
			d.Expression, d.Missed = "0 * * * *", cronium.MissedOnce
		}},
		{"the last three are run", "12:00:00", "12:10:01", "MISSED@12:00-12:06*7 LATE@12:07 LATE@12:08 LATE@12:09 FIRED@12:10 4 jobs 12:11", all(3)},
		{"all are run", "12:08:00", "12:10:01", "LATE@12:08 LATE@12:09 FIRED@12:10 3 jobs 12:11", all(3)},
		{"one too many", "12:08:00", "12:10:01", "MISSED@12:08 LATE@12:09 FIRED@12:10 2 jobs 12:11", all(1)},
		{"as many as may be in all", "12:08:00", "12:10:01", "LATE@12:08 LATE@12:09 2 jobs never", func(d *store.DueSchedule) {
			all(3)(d)
			d.MaxRuns, d.Runs = 5, 3
		}},
		{"the last one before the end", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs never", func(d *store.DueSchedule) {
			end := at(t, "12:00:30")
			d.EndsAt = &end
		}},
		{"the schedule is paused", "12:08:00", "12:10:01", "MISSED@12:08-12:09*2 SKIPPED@12:10 0 jobs 12:11", func(d *store.DueSchedule) {
			all(3)(d)
			d.Paused = true
		}},
		{"the event is paused", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", func(d *store.DueSchedule) { d.Event.Status = cronium.EventPaused }},
		{"the event is a draft", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", func(d *store.DueSchedule) { d.Event.Status = cronium.EventDraft }},
		{"the queue is drained", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", func(d *store.DueSchedule) { d.Event.Mode = cronium.QueueDraining }},
		{"the event refuses the input", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", func(d *store.DueSchedule) { d.EventID, d.Input = strict, []byte(`{}`) }},
		{"the event's own input", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs 12:01", func(d *store.DueSchedule) { d.EventID = strict }},
		{"its target is switched off", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", func(d *store.DueSchedule) { d.EventID = elsewhere }},
		{"its version is gone", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", func(d *store.DueSchedule) { d.Event.Version = 7 }},
		{"it cannot be read any more", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs never", func(d *store.DueSchedule) { d.Zone = "Europe/Atlantis" }},
		{"the last run goes on, and both may", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs 12:01", overlap(cronium.OverlapAllow, cronium.JobRunning)},
		{"the last run goes on", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", overlap(cronium.OverlapSkip, cronium.JobRunning)},
		{"the last run has ended", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs 12:01", overlap(cronium.OverlapSkip, cronium.JobFailed)},
		{"one waits for the last run", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs 12:01", overlap(cronium.OverlapQueue, cronium.JobRunning)},
		{"one waits already", "12:00:00", "12:00:01", "SKIPPED@12:00 0 jobs 12:01", overlap(cronium.OverlapQueue, cronium.JobQueued)},
		{"the last run makes room", "12:00:00", "12:00:01", "FIRED@12:00 1 jobs 12:01", overlap(cronium.OverlapCancel, cronium.JobRunning)},
		{"of several that were missed the last one makes room", "12:08:00", "12:10:01", "SKIPPED@12:08 SKIPPED@12:09 FIRED@12:10 1 jobs 12:11", func(d *store.DueSchedule) {
			all(3)(d)
			d.Overlap = cronium.OverlapCancel
		}},
	} {
		d := store.DueSchedule{Schedule: cronium.DefaultSchedule(), Event: store.Runnable{Name: "x", Type: cronium.EventBash, Status: cronium.EventActive, Version: 1, Mode: cronium.QueueOpen}}
		next := at(t, c.next)
		d.ID, d.WorkspaceID, d.EventID, d.Expression, d.NextAt = cronium.NewID(), s.workspace, plain, "* * * * *", &next
		if c.change != nil {
			c.change(&d)
		}
		firings, err := (&firer{engine: engine}).Decide(t.Context(), nil, at(t, c.now), []store.DueSchedule{d})
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if got := told(t, firings[0]); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.why, got, c.want)
		}
		cancels := d.Overlap == cronium.OverlapCancel && d.Last == cronium.JobRunning
		if (firings[0].Cancel != nil) != cancels {
			t.Errorf("%s: cancels %v", c.why, firings[0].Cancel)
		}
		for _, j := range firings[0].Jobs {
			if alone := d.Overlap == cronium.OverlapQueue || d.Overlap == cronium.OverlapCancel; j.Alone != alone {
				t.Errorf("%s: the job runs alone: %t", c.why, j.Alone)
			}
		}
	}
}

// What came due while all processes were busy with firing is late, not missed.
func TestACrowdIsNotMissed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	event, next := s.event(cronium.EventBash, "true", nil), at(t, "12:00:00")
	d := store.DueSchedule{Schedule: cronium.DefaultSchedule(), Event: store.Runnable{Status: cronium.EventActive, Version: 1}}
	d.ID, d.WorkspaceID, d.EventID, d.Expression, d.NextAt = cronium.NewID(), s.workspace, event, "0 * * * *", &next
	f := &firer{engine: s.idle(), busy: at(t, "11:59:59")}
	firings, err := f.Decide(t.Context(), nil, at(t, "12:05:00"), []store.DueSchedule{d})
	if err != nil {
		t.Fatal(err)
	}
	if got := told(t, firings[0]); got != "LATE@12:00 1 jobs 13:00" {
		t.Error(got)
	}
}

func TestAWorkspaceWithFullQueueGetsNoMoreThanItsRoom(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	event := s.event(cronium.EventBash, "true", nil)
	var due []store.DueSchedule
	for range 5 {
		next := at(t, "12:00:00")
		d := store.DueSchedule{Schedule: cronium.DefaultSchedule(), Event: store.Runnable{Status: cronium.EventActive, Version: 1, Queued: 3}}
		d.ID, d.WorkspaceID, d.EventID, d.Expression, d.NextAt = cronium.NewID(), s.workspace, event, "* * * * *", &next
		due = append(due, d)
	}
	firings, err := (&firer{engine: s.idle()}).Decide(t.Context(), nil, at(t, "12:00:00"), due)
	if err != nil {
		t.Fatal(err)
	}
	jobs := 0
	for _, f := range firings {
		jobs += len(f.Jobs)
	}
	if jobs != 3 {
		t.Errorf("%d jobs were made where 3 may wait", jobs)
	}
}

// jobsOf lists the jobs of a schedule, the newest first.
func (s *site) jobsOf(schedule cronium.ID) []store.JobRow {
	s.Helper()
	jobs, err := s.store.Jobs(s.Context(), s.workspace, store.JobFilter{Limit: 200})
	if err != nil {
		s.Fatal(err)
	}
	return slices.DeleteFunc(jobs, func(j store.JobRow) bool { return j.Source == nil || *j.Source != schedule })
}

// fires makes a schedule due now and waits until it has fired its n-th job.
func (s *site) fires(p *server, id cronium.ID, n int) cronium.ID {
	s.Helper()
	s.dueSince(id, time.Now().Truncate(time.Second))
	p.Hub.Publish(live.DueTopic)
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	for {
		if jobs := s.jobsOf(id); len(jobs) == n {
			return jobs[0].ID
		}
		if !pause(ctx, 10*time.Millisecond) {
			s.Fatalf("the schedule has fired %d jobs, want %d", len(s.jobsOf(id)), n)
		}
	}
}

func TestRunsOfAScheduleMakeRoomForEachOther(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	event := s.event(cronium.EventBash, "echo ready; sleep 600", nil)
	often := func(policy cronium.OverlapPolicy) cronium.ID {
		return s.schedule(event, "0 0 1 1 *", func(c *cronium.Schedule) { c.Overlap = policy }).ID
	}
	queue, cancel := often(cronium.OverlapQueue), often(cronium.OverlapCancel)

	first := s.fires(p, queue, 1)
	s.printed(first, "ready")
	s.second()
	second := s.fires(p, queue, 2)
	s.eventually(second, "waiting for the run before it", func(j *store.JobRow) bool { return j.Waiting == cronium.WaitingOverlap })
	if err := p.Cancel(t.Context(), s.workspace, first, "bob"); err != nil {
		t.Fatal(err)
	}
	s.printed(second, "ready")

	first = s.fires(p, cancel, 1)
	s.printed(first, "ready")
	s.second()
	second = s.fires(p, cancel, 2)
	if job := s.final(first); job.Result != cronium.ResultCancelled || job.CancelledBy != "the next run of its schedule" {
		t.Errorf("the run before it: %+v", job.Job)
	}
	s.printed(second, "ready")
}

// second waits for another second to begin: instants have whole ones.
func (s *site) second() {
	s.Helper()
	for now := time.Now().Unix(); time.Now().Unix() == now; {
		if !pause(s.Context(), 10*time.Millisecond) {
			s.Fatal("the test has ended")
		}
	}
}

func TestASecondlyScheduleFiresInItsSecond(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.start(0)
	id := s.schedule(s.event(cronium.EventBash, "true", nil), "* * * * * *", func(c *cronium.Schedule) { c.MaxRuns = 3 }).ID
	p.Hub.Publish(live.DueTopic)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for len(s.jobsOf(id)) < 3 {
		if !pause(ctx, 20*time.Millisecond) {
			t.Fatal("three seconds never came")
		}
	}
	for i, j := range s.jobsOf(id) {
		job := s.final(j.ID)
		if job.Trigger != cronium.TriggerSchedule || job.TriggeredBy != "Every second" || job.FireAt == nil {
			t.Errorf("job %+v", job.Job)
			continue
		}
		if late := job.QueuedAt().Sub(*job.FireAt); late < -100*time.Millisecond || late > 5*time.Second {
			t.Errorf("run %d was made %s after its instant", i, late)
		}
	}
	if left, err := s.store.Schedule(t.Context(), s.workspace, id); err != nil || left.NextAt != nil || left.Runs != 3 {
		t.Errorf("after its last run: %+v, %v", left, err)
	}
}
