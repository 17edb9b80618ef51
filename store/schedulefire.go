package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// DueSchedule is a schedule with an instant to be fired, and what decides what
// becomes of that.
type DueSchedule struct {
	cronium.Schedule
	Event Runnable
	Last  cronium.JobStatus // of the schedule's last job; "" = none, or it is gone
}

// Firing is what becomes of the due instants of a schedule.
type Firing struct {
	Schedule *cronium.Schedule // with the new Runs, LastJob and NextAt
	Instants []cronium.Instant
	Jobs     []*cronium.Job // fired by instants, which name them
	Cancel   *cronium.ID    // a job that makes room for them
}

// Scheduler decides what FireDue stores. Both run in its transaction, and an
// error of them undoes it.
type Scheduler interface {
	// Decide says what becomes of schedules that are due, by the database's time.
	Decide(ctx context.Context, tx pgx.Tx, now time.Time, due []DueSchedule) ([]Firing, error)
	// Queue puts jobs, which are stored, into the queue.
	Queue(ctx context.Context, tx pgx.Tx, jobs []*cronium.Job) error
}

// Fired is what FireDue has done.
type Fired struct {
	Due     int           // schedules
	Firings []Firing      // whose jobs are those that were stored
	Now     time.Time     // by the database
	Next    time.Duration // until something is due again, where Due is below the limit; at least 0, and Idle where nothing is
}

// Idle is a Next without an end.
const Idle = time.Duration(1<<63 - 1)

// FireDue fires schedules that are due, at most limit of them: their jobs, the
// entries of these in the queue and the schedules' next instants are stored in
// one transaction. Processes that do it at the same time take different
// schedules, and an instant that is stored already fires nothing.
func (s *Store) FireDue(ctx context.Context, limit int, scheduler Scheduler) (*Fired, error) {
	var fired Fired
	err := s.system(ctx, func(tx pgx.Tx) error {
		due, err := takeDue(ctx, tx, limit, &fired.Now)
		if err != nil || len(due) == 0 {
			return err
		}
		fired.Due = len(due)
		if fired.Firings, err = scheduler.Decide(ctx, tx, fired.Now, due); err != nil {
			return err
		}
		return storeFirings(ctx, tx, fired.Firings, scheduler)
	})
	if err != nil {
		return nil, mapError(err, "fire schedules")
	}
	if fired.Due < limit {
		fired.Next, err = s.nextDue(ctx)
	}
	return &fired, err
}

// takeDue locks schedules that are due, and their events against removal; what
// somebody else has locked is left to them.
func takeDue(ctx context.Context, tx pgx.Tx, limit int, now *time.Time) ([]DueSchedule, error) {
	if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(now); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT `+scheduleColumns+`, e.name, e.type, e.status, e.version, coalesce(l.mode, 'OPEN'), coalesce(l.queued, 0),
			coalesce((SELECT j.status FROM jobs j WHERE j.id = s.last_job), '')
		FROM schedules s JOIN events e ON e.id = s.event_id LEFT JOIN workspace_limits l ON l.workspace_id = s.workspace_id
		WHERE s.due_at <= $1 ORDER BY s.due_at LIMIT $2
		FOR NO KEY UPDATE OF s SKIP LOCKED FOR KEY SHARE OF e SKIP LOCKED`, *now, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DueSchedule, err error) {
		e := &d.Event
		return d, row.Scan(append(scanSchedule(&d.Schedule), &e.Name, &e.Type, &e.Status, &e.Version, &e.Mode, &e.Queued, &d.Last)...)
	})
}

// nextDue is how long until something is due.
func (s *Store) nextDue(ctx context.Context) (time.Duration, error) {
	var seconds *float64
	err := s.worker.QueryRow(ctx, `
		SELECT extract(epoch FROM due_at - clock_timestamp())::float8 FROM schedules WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1`).Scan(&seconds)
	if errors.Is(err, pgx.ErrNoRows) {
		return Idle, nil
	}
	if err != nil {
		return 0, mapError(err, "look for the next schedule")
	}
	return max(0, time.Duration(*seconds*float64(time.Second))), nil
}

// storeFirings stores what was decided. Instants that are there already, which
// can only be after somebody has set the database's clock back, lose their jobs.
func storeFirings(ctx context.Context, tx pgx.Tx, firings []Firing, scheduler Scheduler) error {
	known, err := insertInstants(ctx, tx, firings)
	if err != nil {
		return err
	}
	var jobs []*cronium.Job
	for i := range firings {
		f := &firings[i]
		f.dropKnown(known)
		jobs = append(jobs, f.Jobs...)
		if f.Cancel != nil && len(f.Jobs) > 0 {
			if _, err := cancelJob(ctx, tx, f.Schedule.WorkspaceID, *f.Cancel, "the next run of its schedule"); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
	}
	if len(jobs) > 0 {
		if err := insertJobs(ctx, tx, jobs); err != nil {
			return err
		}
		if err := scheduler.Queue(ctx, tx, jobs); err != nil {
			return err
		}
	}
	return moveSchedules(ctx, tx, firings)
}

// dropKnown drops the jobs of instants that were stored before.
func (f *Firing) dropKnown(known map[cronium.ID]bool) {
	if len(known) == 0 {
		return
	}
	var kept []*cronium.Job
	for _, j := range f.Jobs {
		if !known[j.ID] {
			kept = append(kept, j)
		}
	}
	f.Schedule.Runs -= len(f.Jobs) - len(kept)
	f.Jobs = kept
}

// insertInstants stores instants, and gives the jobs of those that were there
// already.
func insertInstants(ctx context.Context, tx pgx.Tx, firings []Firing) (known map[cronium.ID]bool, err error) {
	var schedules, workspaces []cronium.ID
	var at, last []*time.Time
	var outcomes, reasons []string
	var jobs []*cronium.ID
	var counts []int32
	fires := map[cronium.ID]bool{}
	for _, f := range firings {
		for _, i := range f.Instants {
			schedules, workspaces = append(schedules, i.ScheduleID), append(workspaces, i.WorkspaceID)
			at, last = append(at, &i.At), append(last, i.Last)
			outcomes, reasons = append(outcomes, string(i.Outcome)), append(reasons, clean(i.Reason))
			jobs, counts = append(jobs, i.Job), append(counts, int32(max(i.Count, 1)))
			if i.Job != nil && i.Outcome != cronium.OutcomeSkipped {
				fires[*i.Job] = true
			}
		}
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO schedule_instants (schedule_id, workspace_id, instant, last_instant, outcome, reason, job_id, count)
		SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[], $7::uuid[], $8::int[])
		ON CONFLICT DO NOTHING`, schedules, workspaces, at, last, outcomes, reasons, jobs, counts)
	if err != nil {
		return nil, fmt.Errorf("insert instants: %w", err)
	}
	if int(tag.RowsAffected()) == len(schedules) {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT i.job_id FROM unnest($1::uuid[], $2::timestamptz[]) k(schedule, instant)
		JOIN schedule_instants i ON i.schedule_id = k.schedule AND i.instant = k.instant WHERE i.job_id IS NOT NULL`, schedules, at)
	if err != nil {
		return nil, fmt.Errorf("read instants: %w", err)
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	for _, job := range stored {
		delete(fires, job)
	}
	return fires, err
}

// insertJobs stores new jobs of events that are locked against removal.
func insertJobs(ctx context.Context, tx pgx.Tx, jobs []*cronium.Job) error {
	n := len(jobs)
	ids, workspaces, events, sources := make([]cronium.ID, n), make([]cronium.ID, n), make([]cronium.ID, n), make([]*cronium.ID, n)
	versions, groupLimits, depths := make([]int32, n), make([]int32, n), make([]int32, n)
	priorities, triggers, names, groups := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	inputs, fireAt, alone, follows := make([]*string, n), make([]*time.Time, n), make([]bool, n), make([]bool, n)
	for i, j := range jobs {
		ids[i], workspaces[i], events[i], sources[i], fireAt[i] = j.ID, j.WorkspaceID, j.EventID, j.Source, j.FireAt
		versions[i], groupLimits[i], depths[i] = int32(j.Version), int32(j.GroupLimit), int32(j.Depth)
		priorities[i], triggers[i], names[i], groups[i] = string(j.Priority), string(j.Trigger), j.TriggeredBy, j.GroupKey
		alone[i], follows[i] = j.Alone, j.Follows
		if len(j.Input) > 0 {
			text := string(j.Input)
			inputs[i] = &text
		}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, trigger, triggered_by, input, source_id, fire_at, depth, group_key, group_limit, alone, follows)
		SELECT id, workspace, event, version, priority, 'QUEUED', trigger, by, input::json, source, fire_at, depth, group_key, group_limit, alone, follows
		FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::timestamptz[], $11::int[], $12::text[], $13::int[], $14::bool[], $15::bool[])
			AS j(id, workspace, event, version, priority, trigger, by, input, source, fire_at, depth, group_key, group_limit, alone, follows)`,
		ids, workspaces, events, versions, priorities, triggers, names, inputs, sources, fireAt, depths, groups, groupLimits, alone, follows)
	if err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}

// moveSchedules stores what comes next.
func moveSchedules(ctx context.Context, tx pgx.Tx, firings []Firing) error {
	n := len(firings)
	ids, lasts, next, due, runs := make([]cronium.ID, n), make([]*cronium.ID, n), make([]*time.Time, n), make([]*time.Time, n), make([]int32, n)
	for i, f := range firings {
		s := f.Schedule
		ids[i], lasts[i], next[i], due[i], runs[i] = s.ID, s.LastJob, s.NextAt, dueAt(s), int32(s.Runs)
	}
	tag, err := tx.Exec(ctx, `
		UPDATE schedules s SET last_job = m.last_job, next_at = m.next_at, due_at = m.due_at, runs = m.runs
		FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::int[]) AS m(id, last_job, next_at, due_at, runs)
		WHERE s.id = m.id`, ids, lasts, next, due, runs)
	if err != nil {
		return fmt.Errorf("move schedules: %w", err)
	}
	if int(tag.RowsAffected()) != n {
		return fmt.Errorf("moved %d of %d schedules", tag.RowsAffected(), n)
	}
	return nil
}

// How long instants are kept: those that fired in time are told of by their
// jobs; the reasons of the others longer.
const (
	keepFired      = 8 * 24 * time.Hour
	keepExceptions = 60 * 24 * time.Hour
	dropPiece      = 20_000 // in a transaction
)

// dropInstants removes old instants of schedules, piece by piece.
func (s *Store) dropInstants(ctx context.Context, now time.Time) error {
	for {
		tag, err := s.worker.Exec(ctx, `
			DELETE FROM schedule_instants WHERE ctid = ANY(ARRAY(
				SELECT ctid FROM schedule_instants WHERE at < $1 AND (outcome = 'FIRED' OR at < $2) LIMIT $3))`,
			now.Add(-keepFired), now.Add(-keepExceptions), dropPiece)
		if err != nil || tag.RowsAffected() < dropPiece {
			return mapError(err, "remove old instants of schedules")
		}
	}
}
