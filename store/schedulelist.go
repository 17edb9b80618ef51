package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// ScheduleRow is a schedule as lists show it.
type ScheduleRow struct {
	cronium.Schedule
	EventName   string
	EventStatus cronium.EventStatus
	LastStatus  cronium.JobStatus // of the last job; "" = none, or it is gone
	LastResult  cronium.Result
	LastFireAt  *time.Time
}

// ScheduleSort is the order of a list of schedules.
type ScheduleSort string

// The orders.
const (
	SchedulesByNext  ScheduleSort = "next"  // by the next instant, those without one last
	SchedulesByEvent ScheduleSort = "event" // by the event's name, A to Z
)

// ScheduleCursor is where the next page begins: after this schedule.
type ScheduleCursor struct {
	NextAt *time.Time // with SchedulesByNext
	Name   string     // of the event, with SchedulesByEvent
	ID     cronium.ID
}

// ScheduleFilter chooses schedules. Zero fields do not restrict.
type ScheduleFilter struct {
	Event  *cronium.ID
	Query  string // part of the event's or the schedule's name, in any case
	Paused *bool
	Active bool         // only of events that are not archived
	Sort   ScheduleSort // "" = SchedulesByNext
	After  *ScheduleCursor
	Limit  int // 1 to 200; 0 = 50; below zero = all
}

// Cursor is where the page after the row begins.
func (r *ScheduleRow) Cursor() ScheduleCursor {
	return ScheduleCursor{NextAt: r.NextAt, Name: r.EventName, ID: r.ID}
}

// where builds the condition and the order; every value is a parameter.
func (f ScheduleFilter) where(workspace cronium.ID) (where, order string, args []any) {
	conditions := []string{"s.workspace_id = $1", "e.workspace_id = $1"} // schedules are found by their events
	args = []any{workspace}
	add := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			numbers[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(condition, numbers...))
	}
	if f.Event != nil {
		add("s.event_id = $%d", *f.Event)
	}
	if f.Query != "" {
		add("(strpos(lower(e.name), lower($%[1]d)) > 0 OR strpos(lower(s.name), lower($%[1]d)) > 0)", f.Query)
	}
	if f.Paused != nil {
		add("s.paused = $%d", *f.Paused)
	}
	if f.Active {
		add("e.status <> 'ARCHIVED'")
	}
	const next = "coalesce(s.next_at, 'infinity')"
	order = next + ", s.id"
	if f.Sort == SchedulesByEvent {
		order = "lower(e.name), s.id"
	}
	switch {
	case f.After == nil:
	case f.Sort == SchedulesByEvent:
		add("(lower(e.name), s.id) > (lower($%d), $%d::uuid)", f.After.Name, f.After.ID)
	default:
		add("("+next+", s.id) > (coalesce($%d::timestamptz, 'infinity'), $%d::uuid)", f.After.NextAt, f.After.ID)
	}
	return strings.Join(conditions, " AND "), order, args
}

// Schedules lists schedules with their events and last jobs.
func (s *Store) Schedules(ctx context.Context, workspace cronium.ID, filter ScheduleFilter) ([]ScheduleRow, error) {
	where, order, args := filter.where(workspace)
	limit := ""
	if filter.Limit >= 0 {
		args = append(args, pageLimit(filter.Limit))
		limit = fmt.Sprintf("LIMIT $%d", len(args))
	}
	var list []ScheduleRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT %s, e.name, e.status, coalesce(j.status, ''), coalesce(j.result, ''), j.fire_at
			FROM schedules s JOIN events e ON e.id = s.event_id LEFT JOIN jobs j ON j.id = s.last_job
			WHERE %s ORDER BY %s %s`, scheduleColumns, where, order, limit), args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r ScheduleRow, err error) {
			return r, row.Scan(append(scanSchedule(&r.Schedule), &r.EventName, &r.EventStatus, &r.LastStatus, &r.LastResult, &r.LastFireAt)...)
		})
		return err
	})
	return list, mapError(err, "list schedules")
}

// InstantRow is an instant as lists show it.
type InstantRow struct {
	cronium.Instant
	EventID      cronium.ID
	EventName    string
	ScheduleName string
	JobStatus    cronium.JobStatus // of the job; "" = there is none
	JobResult    cronium.Result
	JobError     string
}

// InstantFilter chooses instants. Zero fields do not restrict.
type InstantFilter struct {
	Schedule, Event *cronium.ID
	Outcomes        []cronium.Outcome
	From, To        time.Time  // from one up to before the other
	Before          *time.Time // the next page: older than this one
	BeforeSchedule  cronium.ID // with Before, among those at the same time
	Limit           int        // 1 to 200; 0 = 50
}

// Instants lists instants and what became of them, the newest first.
func (s *Store) Instants(ctx context.Context, workspace cronium.ID, filter InstantFilter) ([]InstantRow, error) {
	conditions, args := []string{"i.workspace_id = $1"}, []any{workspace}
	add := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			numbers[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(condition, numbers...))
	}
	if filter.Schedule != nil {
		add("i.schedule_id = $%d", *filter.Schedule)
	}
	if filter.Event != nil {
		add("i.schedule_id = ANY(ARRAY(SELECT id FROM schedules WHERE event_id = $%d))", *filter.Event)
	}
	if len(filter.Outcomes) > 0 {
		add("i.outcome = ANY($%d)", filter.Outcomes)
		if !hasFired(filter.Outcomes) {
			conditions = append(conditions, "i.outcome <> 'FIRED'") // the index schedule_exceptions
		}
	}
	if !filter.From.IsZero() {
		add("coalesce(i.last_instant, i.instant) >= $%d", filter.From)
	}
	if !filter.To.IsZero() {
		add("i.instant < $%d", filter.To)
	}
	if filter.Before != nil {
		add("(i.instant, i.schedule_id) < ($%d, $%d::uuid)", *filter.Before, filter.BeforeSchedule)
	}
	args = append(args, pageLimit(filter.Limit))
	var list []InstantRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT i.schedule_id, i.workspace_id, i.instant, i.last_instant, i.count, i.outcome, i.job_id, i.reason, i.at,
				s.event_id, e.name, s.name, coalesce(j.status, ''), coalesce(j.result, ''), coalesce(j.error, '')
			FROM schedule_instants i JOIN schedules s ON s.id = i.schedule_id JOIN events e ON e.id = s.event_id LEFT JOIN jobs j ON j.id = i.job_id
			WHERE %s ORDER BY i.instant DESC, i.schedule_id DESC LIMIT $%d`, strings.Join(conditions, " AND "), len(args)), args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r InstantRow, err error) {
			return r, row.Scan(&r.ScheduleID, &r.WorkspaceID, &r.At, &r.Last, &r.Count, &r.Outcome, &r.Job, &r.Reason, &r.Decided,
				&r.EventID, &r.EventName, &r.ScheduleName, &r.JobStatus, &r.JobResult, &r.JobError)
		})
		return err
	})
	return list, mapError(err, "list instants of schedules")
}

func hasFired(outcomes []cronium.Outcome) bool {
	for _, o := range outcomes {
		if o == cronium.OutcomeFired {
			return true
		}
	}
	return false
}

// SlotCount counts the jobs that schedules of an event fired in a slot of time.
type SlotCount struct {
	EventID cronium.ID
	Slot    int // from 0
	Status  cronium.JobStatus
	Result  cronium.Result
	Count   int
}

// lateness is how long after its instant a job may have been made to be counted.
const lateness = 36 * time.Hour

// ScheduledJobs counts the jobs that schedules fired for instants from a time up
// to before another, in slots of some width, by event and state.
func (s *Store) ScheduledJobs(ctx context.Context, workspace cronium.ID, from, to time.Time, width time.Duration) ([]SlotCount, error) {
	var counts []SlotCount
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT event_id, floor(extract(epoch FROM fire_at - $4::timestamptz) / $6)::int AS slot, status, result, count(*)::int
			FROM jobs WHERE workspace_id = $1 AND id >= $2 AND id < $3 AND trigger = 'SCHEDULE' AND fire_at >= $4 AND fire_at < $5
			GROUP BY 1, 2, 3, 4`, workspace, cronium.IDFloor(from.Add(-5*time.Minute)), cronium.IDFloor(to.Add(lateness)), from, to, width.Seconds())
		if err != nil {
			return err
		}
		counts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c SlotCount, err error) {
			return c, row.Scan(&c.EventID, &c.Slot, &c.Status, &c.Result, &c.Count)
		})
		return err
	})
	return counts, mapError(err, "count the jobs of schedules")
}

// FailedInstants lists instants whose jobs failed, the newest first: of those
// that fired in time.
func (s *Store) FailedInstants(ctx context.Context, workspace cronium.ID, from, to time.Time, limit int) ([]InstantRow, error) {
	var list []InstantRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT j.source_id, j.fire_at, j.id, j.event_id, e.name, s.name, j.status, j.result, j.error
			FROM jobs j JOIN schedules s ON s.id = j.source_id JOIN events e ON e.id = j.event_id
			WHERE j.workspace_id = $1 AND j.id >= $2 AND j.id < $3 AND j.status IN ('FAILED', 'CANCELLED') AND j.trigger = 'SCHEDULE'
				AND j.fire_at >= $4 AND j.fire_at < $5
				AND NOT EXISTS (SELECT FROM schedule_instants i WHERE i.schedule_id = j.source_id AND i.instant = j.fire_at AND i.outcome = 'LATE')
			ORDER BY j.id DESC LIMIT $6`, workspace, cronium.IDFloor(from.Add(-5*time.Minute)), cronium.IDFloor(to.Add(lateness)), from, to, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (InstantRow, error) {
			r := InstantRow{Instant: cronium.Instant{WorkspaceID: workspace, Count: 1, Outcome: cronium.OutcomeFired}}
			return r, row.Scan(&r.ScheduleID, &r.At, &r.Job, &r.EventID, &r.EventName, &r.ScheduleName, &r.JobStatus, &r.JobResult, &r.JobError)
		})
		return err
	})
	return list, mapError(err, "list failed instants of schedules")
}
