package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
	"cronium.dev/store"
)

const (
	// lateAfter is when an instant that is fired counts as late.
	lateAfter = 5 * time.Second
	// missedAfter is when an instant that no process fired counts as missed, and
	// the schedule's policy decides. A restart is shorter.
	missedAfter = time.Minute
	// mostMissed bounds how many missed instants are counted.
	mostMissed = 100_000
)

// decision is the way to what becomes of one schedule's due instants.
type decision struct {
	*firer
	now    time.Time
	due    *store.DueSchedule
	plan   *schedule.Plan
	firing *store.Firing

	missed missedSpan
	fresh  []time.Time // due and not missed
}

// missedSpan are instants at which no process ran, the last ones one by one.
type missedSpan struct {
	first time.Time
	count int
	last  []time.Time // at most as many as the policy may run, and at least one
}

func (m *missedSpan) add(at time.Time, keep int) {
	if m.count == 0 {
		m.first = at
	}
	m.count++
	m.last = append(m.last, at)
	if len(m.last) > keep {
		m.last = m.last[1:]
	}
}

func (d *decision) decide(ctx context.Context) error {
	s := &d.due.Schedule
	d.firing.Schedule = s
	var err error
	if d.plan, err = d.plans.Of(s); err != nil {
		d.record(*s.NextAt, cronium.OutcomeSkipped, "The schedule cannot be read any more: "+err.Error())
		s.NextAt = nil
		return nil
	}
	d.collect()
	return d.settle(ctx)
}

// collect finds the instants that are due, and the next one.
func (d *decision) collect() {
	s := &d.due.Schedule
	keep := 1
	if s.Missed == cronium.MissedAll {
		keep = s.MissedLimit
	}
	for at := *s.NextAt; ; {
		due := at.Add(store.Jitter(s, at))
		if due.After(d.now) {
			s.NextAt = &at
			return
		}
		if d.isMissed(due) {
			d.missed.add(at, keep)
		} else {
			d.fresh = append(d.fresh, at)
		}
		after := at
		if d.missed.count == mostMissed && len(d.fresh) == 0 {
			after = d.now.Add(-2 * missedAfter) // nobody counts further
		}
		next, ok := d.plan.Next(after)
		if !ok {
			s.NextAt = nil
			return
		}
		at = next
	}
}

// isMissed tells whether an instant's time passed while no process looked.
func (d *decision) isMissed(due time.Time) bool {
	return d.now.Sub(due) > missedAfter && (d.busy.IsZero() || due.Before(d.busy))
}

// settle records the instants and fires those that are to be fired.
func (d *decision) settle(ctx context.Context) error {
	again := d.again()
	d.recordMissed(d.missed.count - len(again))
	for i, at := range again {
		reason := "No server was running at its time. It was run when one was back"
		if n := d.missed.count; i == 0 && n > 1 {
			reason += fmt.Sprintf(", with %d instants missed", n)
		}
		if err := d.fire(ctx, at, cronium.OutcomeLate, reason+".", i == len(again)-1 && len(d.fresh) == 0); err != nil {
			return err
		}
	}
	for i, at := range d.fresh {
		outcome, reason := cronium.OutcomeFired, ""
		if late := d.now.Sub(at.Add(store.Jitter(&d.due.Schedule, at))); late > lateAfter {
			outcome, reason = cronium.OutcomeLate, fmt.Sprintf("It was fired %d seconds late: the server was busy or had just been started.", int(late.Seconds()))
		}
		if err := d.fire(ctx, at, outcome, reason, i == len(d.fresh)-1); err != nil {
			return err
		}
	}
	return nil
}

// again lists the missed instants that are run nevertheless.
func (d *decision) again() []time.Time {
	s := &d.due.Schedule
	switch {
	case d.missed.count == 0 || s.Paused || d.due.Event.Status != cronium.EventActive:
		return nil
	case s.Missed == cronium.MissedAll:
		return d.missed.last
	case s.Missed == cronium.MissedOnce && len(d.fresh) == 0:
		return d.missed.last[len(d.missed.last)-1:]
	}
	return nil
}

// recordMissed records the first n of the missed instants as one.
func (d *decision) recordMissed(n int) {
	if n == 0 {
		return
	}
	reason := "No server was running."
	if d.missed.count >= mostMissed {
		reason = "No server was running. There were more than are counted here."
	}
	instant := cronium.Instant{ScheduleID: d.due.ID, WorkspaceID: d.due.WorkspaceID, At: d.missed.first, Count: n, Outcome: cronium.OutcomeMissed, Reason: reason}
	if n > 1 {
		last := d.missed.last[len(d.missed.last)-1]
		if kept := d.missed.count - n; kept > 0 {
			last = d.before(d.missed.last[len(d.missed.last)-kept])
		}
		instant.Last = &last
	}
	d.firing.Instants = append(d.firing.Instants, instant)
}

// before is the last missed instant before one of those that are run.
func (d *decision) before(at time.Time) time.Time {
	last := d.missed.first
	for next, ok := d.plan.Next(last); ok && next.Before(at); next, ok = d.plan.Next(last) {
		last = next
	}
	return last
}

// fire makes the job of an instant, or records why there is none. last tells
// that no other instant of the schedule comes after it now.
func (d *decision) fire(ctx context.Context, at time.Time, outcome cronium.Outcome, reason string, last bool) error {
	s := &d.due.Schedule
	if s.MaxRuns > 0 && s.Runs >= s.MaxRuns {
		s.NextAt = nil
		return nil
	}
	if why, job := d.refusal(last); why != "" {
		d.record(at, cronium.OutcomeSkipped, why)
		d.firing.Instants[len(d.firing.Instants)-1].Job = job
		return nil
	}
	job, why, err := d.job(ctx, at)
	if err != nil {
		return err
	}
	if why != "" {
		d.record(at, cronium.OutcomeSkipped, why)
		return nil
	}
	if s.Overlap == cronium.OverlapCancel && d.running() {
		d.firing.Cancel = s.LastJob
	}
	d.record(at, outcome, reason)
	d.firing.Instants[len(d.firing.Instants)-1].Job = &job.ID
	d.firing.Jobs = append(d.firing.Jobs, job)
	s.LastJob, d.due.Last = &job.ID, cronium.JobQueued
	if s.Runs++; s.MaxRuns > 0 && s.Runs >= s.MaxRuns {
		s.NextAt = nil
	}
	return nil
}

func (d *decision) record(at time.Time, outcome cronium.Outcome, reason string) {
	d.firing.Instants = append(d.firing.Instants, cronium.Instant{
		ScheduleID: d.due.ID, WorkspaceID: d.due.WorkspaceID, At: at, Count: 1, Outcome: outcome, Reason: reason})
}

// running tells whether the schedule's last job has not ended.
func (d *decision) running() bool { return d.due.Last != "" && !d.due.Last.Final() }

// refusal says why an instant fires nothing; "": it does. The job is the one that
// is in the way.
func (d *decision) refusal(last bool) (why string, job *cronium.ID) {
	s := &d.due.Schedule
	switch d.due.Event.Status {
	case cronium.EventDraft:
		return "The event is a draft. Activate it, so that its schedules fire.", nil
	case cronium.EventPaused:
		return "The event is paused.", nil
	case cronium.EventArchived:
		return "The event is archived.", nil
	}
	switch {
	case s.Paused:
		return "The schedule is paused.", nil
	case s.Overlap == cronium.OverlapCancel && !last:
		return "The next instant was due as well, and its run would have cancelled this one at once.", nil
	case !d.running():
		return "", nil
	case s.Overlap == cronium.OverlapSkip:
		return "The run before it had not ended.", s.LastJob
	case s.Overlap == cronium.OverlapQueue && d.due.Last == cronium.JobQueued:
		return "The run before it had not started, and one waits at most.", s.LastJob
	}
	return "", nil
}

// job is the job of an instant, or why there is none.
func (d *decision) job(ctx context.Context, at time.Time) (job *cronium.Job, why string, err error) {
	s := &d.due.Schedule
	if err := d.mayWait(ctx); err != nil {
		return notAccepted(err)
	}
	name := s.Name
	if name == "" {
		name = d.plan.Short()
	}
	r := Request{WorkspaceID: s.WorkspaceID, EventID: s.EventID, Input: s.Input, Trigger: cronium.TriggerSchedule, TriggeredBy: name, Source: &s.ID, FireAt: &at}
	job, target, err := d.engine.jobOf(ctx, &r, &d.due.Event)
	if err != nil {
		return d.notMade(err)
	}
	job.Alone = s.Overlap == cronium.OverlapQueue || s.Overlap == cronium.OverlapCancel
	d.queues[job.ID] = target
	return job, "", nil
}

// notMade tells what concerns this schedule alone, as a reason, from what lets
// all wait, as an error.
func (d *decision) notMade(err error) (*cronium.Job, string, error) {
	if unreadable(err) {
		return nil, fmt.Sprintf("Version %d of the event cannot be read any more. Save the event anew.", d.due.Event.Version), nil
	}
	return notAccepted(err)
}

func notAccepted(err error) (*cronium.Job, string, error) {
	var public *cronium.Error
	if !errors.As(err, &public) || public.Code == cronium.CodeInternal || public.Code == cronium.CodeUnavailable {
		return nil, "", err
	}
	text := public.Message
	for _, f := range public.Fields {
		text += " " + f.Field + " " + f.Message + "."
	}
	return nil, text, nil
}

// mayWait tells whether the workspace's queue takes one more job. A workspace
// with a limit is counted once in a transaction.
func (d *decision) mayWait(ctx context.Context) error {
	event, workspace := &d.due.Event, d.due.WorkspaceID
	room, counted := d.room[workspace]
	if event.Queued == 0 || !counted {
		if err := d.engine.mayWait(ctx, workspace, event); err != nil || event.Queued == 0 {
			return err
		}
		waiting, err := d.engine.Store.QueuedUpTo(ctx, workspace, event.Queued)
		if err != nil {
			return err
		}
		room = event.Queued - waiting
	}
	if room <= 0 {
		return cronium.Errorf(cronium.CodeLimited, "As many jobs wait in this workspace as may.")
	}
	d.room[workspace] = room - 1
	return nil
}
