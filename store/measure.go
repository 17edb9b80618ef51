package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Measures are what /metrics shows of the database, of all workspaces.
type Measures struct {
	Jobs  map[cronium.JobStatus]int64 // not final, up to 100,000 in all
	Queue []QueueDepth
	Bytes int64 // size of the database
}

// QueueDepth is how many entries of a queue are in one state.
type QueueDepth struct {
	Queue string
	State string
	Count int64
}

// Measure counts what waits and what runs.
func (s *Store) Measure(ctx context.Context) (Measures, error) {
	m := Measures{Jobs: map[cronium.JobStatus]int64{cronium.JobQueued: 0, cronium.JobClaimed: 0, cronium.JobRunning: 0}}
	err := s.system(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT status, count(*) FROM (
			SELECT status FROM jobs WHERE status IN ('QUEUED', 'CLAIMED', 'RUNNING') LIMIT 100000) j GROUP BY status`)
		if err != nil {
			return err
		}
		var status cronium.JobStatus
		var count int64
		if _, err := pgx.ForEachRow(rows, []any{&status, &count}, func() error { m.Jobs[status] = count; return nil }); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `SELECT queue, state::text, count(*) FROM river_job
			WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled') GROUP BY queue, state`)
		if err != nil {
			return err
		}
		if m.Queue, err = pgx.CollectRows(rows, pgx.RowToStructByPos[QueueDepth]); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&m.Bytes)
	})
	return m, mapError(err, "measure the database")
}
