package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
)

const scheduleColumns = `s.id, s.workspace_id, s.event_id, s.name, s.kind, s.expression, s.zone, s.starts_at, s.ends_at, s.max_runs,
	s.missed, s.missed_limit, s.overlap, s.jitter_seconds, s.input, s.paused, s.anchor, s.runs, s.last_job, s.next_at, s.created_at, s.updated_at`

// scanSchedule gives the destinations of scheduleColumns.
func scanSchedule(s *cronium.Schedule) []any {
	return []any{&s.ID, &s.WorkspaceID, &s.EventID, &s.Name, &s.Kind, &s.Expression, &s.Zone, &s.StartsAt, &s.EndsAt, &s.MaxRuns,
		&s.Missed, &s.MissedLimit, &s.Overlap, &s.JitterSeconds, &s.Input, &s.Paused, &s.Anchor, &s.Runs, &s.LastJob, &s.NextAt, &s.CreatedAt, &s.UpdatedAt}
}

// CreateSchedule stores a schedule of an event. It fills in id, workspace, times
// and the next instant. It fails with CodeInvalid for what is out of bounds or
// never fires, and with CodeNotFound where the event is none of the workspace.
func (s *Store) CreateSchedule(ctx context.Context, workspace cronium.ID, sched *cronium.Schedule) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		now, err := clock(ctx, tx)
		if err != nil {
			return err
		}
		return insertSchedule(ctx, tx, workspace, now, sched)
	})
	return mapError(err, "create schedule")
}

func insertSchedule(ctx context.Context, tx pgx.Tx, workspace cronium.ID, now time.Time, s *cronium.Schedule) error {
	s.ID, s.WorkspaceID, s.Anchor, s.Runs, s.LastJob = cronium.NewID(), workspace, now.Truncate(time.Second), 0, nil
	if err := setNext(s, now); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO schedules (id, workspace_id, event_id, name, kind, expression, zone, starts_at, ends_at, max_runs,
			missed, missed_limit, overlap, jitter_seconds, input, paused, anchor, next_at, due_at, created_at, updated_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20
		FROM events WHERE workspace_id = $2 AND id = $3 FOR KEY SHARE`,
		s.ID, workspace, s.EventID, s.Name, s.Kind, s.Expression, s.Zone, s.StartsAt, s.EndsAt, s.MaxRuns,
		s.Missed, s.MissedLimit, s.Overlap, s.JitterSeconds, s.Input, s.Paused, s.Anchor, s.NextAt, dueAt(s), now)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return pgx.ErrNoRows
	}
	s.CreatedAt, s.UpdatedAt = now, now
	return nil
}

// Schedule finds one schedule.
func (s *Store) Schedule(ctx context.Context, workspace, id cronium.ID) (*cronium.Schedule, error) {
	var found cronium.Schedule
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT `+scheduleColumns+` FROM schedules s WHERE s.workspace_id = $1 AND s.id = $2`, workspace, id).Scan(scanSchedule(&found)...)
	})
	if err != nil {
		return nil, mapError(err, "find schedule")
	}
	return &found, nil
}

// ChangeSchedule changes a schedule, which nobody else changes or fires
// meanwhile. The next instant is found anew where what decides it has changed.
// It fails with CodeNotFound, and with CodeInvalid as CreateSchedule does.
func (s *Store) ChangeSchedule(ctx context.Context, workspace, id cronium.ID, change func(*cronium.Schedule)) (*cronium.Schedule, error) {
	var changed cronium.Schedule
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT `+scheduleColumns+` FROM schedules s WHERE s.workspace_id = $1 AND s.id = $2 FOR UPDATE`, workspace, id).
			Scan(scanSchedule(&changed)...)
		if err != nil {
			return err
		}
		before := changed
		change(&changed)
		now, err := clock(ctx, tx)
		if err != nil {
			return err
		}
		if err := renewNext(&changed, &before, now); err != nil {
			return err
		}
		c := &changed
		return tx.QueryRow(ctx, `
			UPDATE schedules SET name = $3, kind = $4, expression = $5, zone = $6, starts_at = $7, ends_at = $8, max_runs = $9, missed = $10,
				missed_limit = $11, overlap = $12, jitter_seconds = $13, input = $14, paused = $15, next_at = $16, due_at = $17, updated_at = now()
			WHERE workspace_id = $1 AND id = $2 RETURNING updated_at`, workspace, id, c.Name, c.Kind, c.Expression, c.Zone, c.StartsAt, c.EndsAt, c.MaxRuns,
			c.Missed, c.MissedLimit, c.Overlap, c.JitterSeconds, c.Input, c.Paused, c.NextAt, dueAt(c)).Scan(&c.UpdatedAt)
	})
	if err != nil {
		return nil, mapError(err, "change schedule")
	}
	return &changed, nil
}

// DeleteSchedule removes a schedule. Jobs that it has fired stay. It fails with
// CodeNotFound.
func (s *Store) DeleteSchedule(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM schedules WHERE workspace_id = $1 AND id = $2`, workspace, id)
		if err == nil && tag.RowsAffected() == 0 {
			return pgx.ErrNoRows
		}
		return err
	})
	return mapError(err, "delete schedule")
}

// clock is the database's time, by which schedules fire.
func clock(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	err = tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	return now, err
}

// setNext checks a schedule and finds its next instant.
func setNext(s *cronium.Schedule, now time.Time) error {
	plan, err := checkSchedule(s)
	if err != nil {
		return err
	}
	s.NextAt = nil
	if next, ok := plan.Next(now); ok {
		s.NextAt = &next
		return nil
	}
	p := cronium.Problems{}
	field := "expression"
	if s.EndsAt != nil && s.Kind != cronium.ScheduleOnce {
		field = "ends_at"
	}
	p.Add(false, field, "would never fire: that time is over")
	return p.Err("The schedule")
}

// checkSchedule tells all that is wrong with a schedule, or gives its plan.
func checkSchedule(s *cronium.Schedule) (*schedule.Plan, error) {
	problems := s.Validate()
	plan, err := schedule.Of(s)
	var problem *schedule.Problem
	if errors.As(err, &problem) {
		problems.Add(false, problem.Field, "%s", problem.Message)
	}
	return plan, problems.Err("The schedule")
}

// renewNext finds the next instant of a schedule that was changed, where the
// change has to do with it.
func renewNext(s, before *cronium.Schedule, now time.Time) error {
	same := s.Kind == before.Kind && s.Expression == before.Expression && s.Zone == before.Zone &&
		sameTime(s.StartsAt, before.StartsAt) && sameTime(s.EndsAt, before.EndsAt)
	if !same {
		return setNext(s, now)
	}
	plan, err := checkSchedule(s)
	if err != nil {
		return err
	}
	switch used := s.MaxRuns > 0 && s.Runs >= s.MaxRuns; {
	case used:
		s.NextAt = nil
	case s.NextAt == nil:
		if next, ok := plan.Next(now); ok {
			s.NextAt = &next
		}
	}
	return nil
}

func sameTime(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// dueAt is when the next instant of a schedule is to be fired.
func dueAt(s *cronium.Schedule) *time.Time {
	if s.NextAt == nil {
		return nil
	}
	due := s.NextAt.Add(Jitter(s, *s.NextAt))
	return &due
}

// Jitter is how much later than due an instant is fired: the same for an instant
// each time, and spread evenly over instants and schedules.
func Jitter(s *cronium.Schedule, instant time.Time) time.Duration {
	if s.JitterSeconds == 0 {
		return 0
	}
	hash := fnv64(s.ID[:], uint64(instant.Unix()))
	return time.Duration(hash%uint64(s.JitterSeconds*1000)) * time.Millisecond
}

// fnv64 is the FNV-1a hash of bytes and a number, mixed once more because its
// low bits alone are used.
func fnv64(data []byte, n uint64) uint64 {
	hash := uint64(14695981039346656037)
	for _, b := range data {
		hash = (hash ^ uint64(b)) * 1099511628211
	}
	for range 8 {
		hash = (hash ^ n&0xff) * 1099511628211
		n >>= 8
	}
	hash ^= hash >> 33
	hash *= 0xff51afd7ed558ccd
	return hash ^ hash>>33
}
