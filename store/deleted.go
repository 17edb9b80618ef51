package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Bounds of one piece of what deleted events left, so that no transaction is
// long: jobs, and blocks of output, of about 256 KB.
const (
	deletedJobs   = 100
	deletedBlocks = 400
)

// RemoveDeleted removes one piece of what a deleted event left: jobs, their
// executions, output and artifacts. It tells whether there may be more. Processes that do
// it at the same time take different events.
func (s *Store) RemoveDeleted(ctx context.Context) (more bool, err error) {
	err = s.system(ctx, func(tx pgx.Tx) error {
		var event cronium.ID
		err := tx.QueryRow(ctx, `SELECT id FROM deleted_events ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`).Scan(&event)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		more = true
		jobs, err := ids(ctx, tx, `SELECT id FROM jobs WHERE event_id = $1 ORDER BY id LIMIT $2`, event, deletedJobs)
		if err != nil {
			return err
		}
		if len(jobs) == 0 {
			_, err := tx.Exec(ctx, `DELETE FROM deleted_events WHERE id = $1`, event)
			return err
		}
		return removeJobs(ctx, tx, jobs)
	})
	return more && err == nil, mapError(err, "remove what a deleted event left")
}

// removeJobs removes jobs with all that belongs to them, or, where their output
// is long, a part of that alone.
func removeJobs(ctx context.Context, tx pgx.Tx, jobs []cronium.ID) error {
	executions, err := ids(ctx, tx, `SELECT id FROM executions WHERE job_id = ANY($1)`, jobs)
	if err != nil {
		return err
	}
	room := int64(deletedBlocks)
	for _, execution := range executions {
		tag, err := tx.Exec(ctx, `
			DELETE FROM output WHERE execution_id = $1 AND (first_line, start) IN (
				SELECT first_line, start FROM output WHERE execution_id = $1 ORDER BY first_line, start LIMIT $2)`, execution, room)
		if err != nil {
			return err
		}
		if room -= tag.RowsAffected(); room == 0 {
			return nil
		}
		// A part of an artifact is as large as two blocks.
		tag, err = tx.Exec(ctx, `
			DELETE FROM artifact_parts WHERE execution_id = $1 AND (artifact_id, start) IN (
				SELECT artifact_id, start FROM artifact_parts WHERE execution_id = $1 ORDER BY artifact_id, start LIMIT $2)`, execution, (room+1)/2)
		if err != nil {
			return err
		}
		if room -= 2 * tag.RowsAffected(); room <= 0 {
			return nil
		}
		list, err := ids(ctx, tx, `SELECT id FROM artifacts WHERE execution_id = $1`, execution)
		if err != nil {
			return err
		}
		if err := removeArtifacts(ctx, tx, execution, list); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `DELETE FROM executions WHERE id = ANY($1)`, executions); err != nil {
		return err
	}
	for _, sql := range []string{
		`DELETE FROM job_targets WHERE job_id = ANY($1)`,
		`DELETE FROM jobs WHERE id = ANY($1)`,
	} {
		if _, err := tx.Exec(ctx, sql, jobs); err != nil {
			return err
		}
	}
	return nil
}

func ids(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]cronium.ID, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
}
