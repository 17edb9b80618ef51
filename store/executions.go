package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

func executionColumns(table string) string {
	return columns(table, `id workspace_id job_id attempt target target_ref status owner exit_code signal out_of_memory error progress
		started_at finished_at warm setup_us run_us cleanup_us cpu_us peak_memory output_bytes output_lines output_dropped output_blocks server_id`)
}

// microseconds scans a bigint of microseconds into a duration.
type microseconds struct{ d *time.Duration }

// Scan makes it a sql.Scanner.
func (m microseconds) Scan(value any) error {
	us, _ := value.(int64)
	*m.d = time.Duration(us) * time.Microsecond
	return nil
}

// scanExecution gives the destinations of executionColumns.
func scanExecution(e *cronium.Execution) []any {
	return []any{&e.ID, &e.WorkspaceID, &e.JobID, &e.Attempt, &e.Target, &e.TargetRef, &e.Status, &e.Owner, &e.ExitCode, &e.Signal,
		&e.OutOfMemory, &e.Error, &e.Progress, &e.StartedAt, &e.FinishedAt, &e.Warm,
		microseconds{&e.Setup}, microseconds{&e.Run}, microseconds{&e.Cleanup}, microseconds{&e.CPU},
		&e.PeakMemory, &e.OutputBytes, &e.OutputLines, &e.OutputDropped, &e.OutputBlocks, &e.ServerID}
}

func rowToExecution(row pgx.CollectableRow) (cronium.Execution, error) {
	var e cronium.Execution
	return e, row.Scan(scanExecution(&e)...)
}

// ExecutionCursor is where the next page begins: after this execution.
type ExecutionCursor struct {
	Attempt int
	ID      cronium.ID
}

// ExecutionsPage lists up to limit executions of a job in the order of Executions,
// after one of them; after the zero cursor from the first on.
func (s *Store) ExecutionsPage(ctx context.Context, workspace, job cronium.ID, after ExecutionCursor, limit int) ([]cronium.Execution, error) {
	var executions []cronium.Execution
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+executionColumns("e")+` FROM executions e
			WHERE e.workspace_id = $1 AND e.job_id = $2 AND e.id >= $3 AND (e.attempt, e.id) > ($4, $5::uuid) ORDER BY e.attempt, e.id LIMIT $6`,
			workspace, job, firstPossible(job), after.Attempt, after.ID, pageLimit(limit))
		if err != nil {
			return err
		}
		executions, err = pgx.CollectRows(rows, rowToExecution)
		return err
	})
	return executions, mapError(err, "list executions")
}

// Executions lists the attempts of a job, the first first.
func (s *Store) Executions(ctx context.Context, workspace, job cronium.ID) ([]cronium.Execution, error) {
	var executions []cronium.Execution
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+executionColumns("e")+` FROM executions e
			WHERE e.workspace_id = $1 AND e.job_id = $2 AND e.id >= $3 ORDER BY e.attempt, e.id`, workspace, job, firstPossible(job))
		if err != nil {
			return err
		}
		executions, err = pgx.CollectRows(rows, rowToExecution)
		return err
	})
	return executions, mapError(err, "list executions")
}

// TargetExecutions lists the attempts of a job on one server, the first first.
func (s *Store) TargetExecutions(ctx context.Context, workspace, job, server cronium.ID) ([]cronium.Execution, error) {
	var executions []cronium.Execution
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+executionColumns("e")+` FROM executions e
			WHERE e.workspace_id = $1 AND e.job_id = $2 AND e.server_id = $3 AND e.id >= $4 ORDER BY e.attempt, e.id`, workspace, job, server, firstPossible(job))
		if err != nil {
			return err
		}
		executions, err = pgx.CollectRows(rows, rowToExecution)
		return err
	})
	return executions, mapError(err, "list executions on a server")
}

// firstPossible bounds the ids of a job's executions from below, so that older
// partitions are not looked at; two days are left for clocks that differ.
func firstPossible(job cronium.ID) cronium.ID {
	return cronium.IDFloor(cronium.IDTime(job).Add(-48 * time.Hour))
}

// Execution finds one execution.
func (s *Store) Execution(ctx context.Context, workspace, id cronium.ID) (*cronium.Execution, error) {
	var execution cronium.Execution
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+executionColumns("e")+` FROM executions e WHERE e.workspace_id = $1 AND e.id = $2`, workspace, id)
		if err != nil {
			return err
		}
		execution, err = pgx.CollectExactlyOneRow(rows, rowToExecution)
		return err
	})
	if err != nil {
		return nil, mapError(err, "find execution")
	}
	return &execution, nil
}

// SetProgress stores what an execution waits for, for a person: before its
// start, or while its target cannot be reached. Its start, its next output and
// its end remove it.
func (s *Store) SetProgress(ctx context.Context, execution, owner cronium.ID, progress string) error {
	tag, err := s.worker.Exec(ctx, `UPDATE executions SET progress = $3 WHERE id = $1 AND owner = $2 AND status IN ('PENDING', 'RUNNING')`, execution, owner, clean(progress))
	return changedOne(tag.RowsAffected(), err, "store progress")
}

// OpenRefs tells which of the target references belong to executions that are
// not final, or to terminals that have not ended. Sweeps keep those.
func (s *Store) OpenRefs(ctx context.Context) (map[string]bool, error) {
	rows, err := s.worker.Query(ctx, `SELECT target_ref FROM executions WHERE status IN ('PENDING', 'RUNNING') AND target_ref <> ''
		UNION ALL SELECT target_ref FROM terminals WHERE ended_at IS NULL AND target_ref <> ''`)
	if err != nil {
		return nil, mapError(err, "list what is open")
	}
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	open := make(map[string]bool, len(refs))
	for _, ref := range refs {
		open[ref] = true
	}
	return open, mapError(err, "list what is open")
}
