package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// JobEnd is a job that has ended and whose event has something that follows.
type JobEnd struct {
	cronium.Job
	EventName string
	Attempts  int // of what follows, that failed
}

// FollowUp is what followed a job by one of its actions, or why nothing did.
type FollowUp struct {
	JobID       cronium.ID
	Number      int // of the action in the version, from 0
	WorkspaceID cronium.ID
	When        cronium.When
	EventID     *cronium.ID // that was to run
	EventName   string      // of FollowUps alone; "" where it is gone
	NextJob     *cronium.ID // that it fired
	Note        string
}

// endTries is how often what follows is tried before it is given up.
const endTries = 20

// FollowEnds takes up to limit ends of jobs and has follow store what follows
// each, in the transaction that removes it: it happens once, or the end stays.
// Where follow fails its end is tried again later, with growing pauses, and the
// others go on. Processes that do it at the same time take different ends. It
// tells how many were taken.
func (s *Store) FollowEnds(ctx context.Context, limit int, follow func(ctx context.Context, tx pgx.Tx, end *JobEnd) error) (taken int, err error) {
	var failed error
	err = s.system(ctx, func(tx pgx.Tx) error {
		ends, err := takeEnds(ctx, tx, limit)
		if err != nil {
			return err
		}
		taken = len(ends)
		for i := range ends {
			err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				if err := follow(ctx, tx, &ends[i]); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, `DELETE FROM job_ends WHERE job_id = $1`, ends[i].ID)
				return err
			})
			if err == nil {
				continue
			}
			failed = errors.Join(failed, err)
			if err := laterEnd(ctx, tx, &ends[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return taken, errors.Join(mapError(err, "follow ended jobs"), failed)
}

func takeEnds(ctx context.Context, tx pgx.Tx, limit int) ([]JobEnd, error) {
	rows, err := tx.Query(ctx, `
		WITH taken AS (
			SELECT job_id, attempts FROM job_ends WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		SELECT `+jobColumns("j")+`, e.name, taken.attempts FROM taken JOIN jobs j ON j.id = taken.job_id JOIN events e ON e.id = j.event_id
		ORDER BY j.id`, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (end JobEnd, err error) {
		return end, row.Scan(append(scanJob(&end.Job), &end.EventName, &end.Attempts)...)
	})
}

// laterEnd puts an end off, or gives it up and says so on the page of its job.
func laterEnd(ctx context.Context, tx pgx.Tx, end *JobEnd) error {
	if end.Attempts+1 < endTries {
		pause := min(time.Second<<min(end.Attempts, 8), 5*time.Minute)
		_, err := tx.Exec(ctx, `UPDATE job_ends SET attempts = attempts + 1, due_at = now() + $2::interval WHERE job_id = $1`, end.ID, pause)
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM job_ends WHERE job_id = $1`, end.ID); err != nil {
		return err
	}
	return AddFollowUp(ctx, tx, FollowUp{JobID: end.ID, Number: -1, WorkspaceID: end.WorkspaceID, When: cronium.WhenAlways,
		Note: "What should have followed failed again and again and was given up. The server's log has the reason."})
}

// AddFollowUp records what followed, in the transaction of FollowEnds.
func AddFollowUp(ctx context.Context, tx pgx.Tx, f FollowUp) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO follow_ups (job_id, number, workspace_id, reason, event_id, next_job, note) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, f.JobID, f.Number, f.WorkspaceID, f.When, f.EventID, f.NextJob, clean(f.Note))
	return err
}

// FollowUps lists what followed a job, in the order of its actions.
func (s *Store) FollowUps(ctx context.Context, workspace, job cronium.ID) ([]FollowUp, error) {
	var list []FollowUp
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT f.job_id, f.number, f.workspace_id, f.reason, f.event_id, coalesce(e.name, ''), f.next_job, f.note
			FROM follow_ups f LEFT JOIN events e ON e.id = f.event_id
			WHERE f.workspace_id = $1 AND f.job_id = $2 ORDER BY f.number`, workspace, job)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (f FollowUp, err error) {
			return f, row.Scan(&f.JobID, &f.Number, &f.WorkspaceID, &f.When, &f.EventID, &f.EventName, &f.NextJob, &f.Note)
		})
		return err
	})
	return list, mapError(err, "list what followed")
}
