package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Started is the moment when an execution's process runs.
type Started struct {
	ExecutionID cronium.ID
	JobID       cronium.ID
	Owner       cronium.ID
	Setup       time.Duration
}

// Start makes a PENDING execution and its job RUNNING. For one that runs
// already it does nothing. It fails with ErrNotOwner.
func (s *Store) Start(ctx context.Context, started Started) error {
	ok, err := s.starts.do(ctx, started)
	if err == nil && !ok {
		return ErrNotOwner
	}
	return err
}

func (s *Store) startBatch(ctx context.Context, batch []Started) ([]bool, error) {
	n := len(batch)
	executions, jobs, owners, setups := make([]cronium.ID, n), make([]cronium.ID, n), make([]cronium.ID, n), make([]int64, n)
	for i, b := range batch {
		executions[i], jobs[i], owners[i], setups[i] = b.ExecutionID, b.JobID, b.Owner, b.Setup.Microseconds()
	}
	rows, err := s.worker.Query(ctx, `
		WITH asked AS (
			SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[]) AS a (id, job_id, owner, setup_us)),
		started AS (
			UPDATE executions e SET status = 'RUNNING', progress = '', started_at = coalesce(e.started_at, now()), setup_us = asked.setup_us
			FROM asked WHERE e.id = asked.id AND e.owner = asked.owner AND e.status = ANY($5)
			RETURNING e.id, e.job_id),
		moved AS (
			UPDATE jobs j SET status = 'RUNNING', started_at = coalesce(j.started_at, now())
			FROM (SELECT DISTINCT job_id FROM started ORDER BY job_id) s WHERE j.id = s.job_id AND j.status = ANY($6))
		SELECT id FROM started`, executions, jobs, owners, setups, openExecution, claimedJob)
	if err != nil {
		return nil, mapError(err, "start executions")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	return found(executions, ids), mapError(err, "start executions")
}

// found tells for each id that was asked whether it is among those that changed.
func found(asked, changed []cronium.ID) []bool {
	set := make(map[cronium.ID]bool, len(changed))
	for _, id := range changed {
		set[id] = true
	}
	answers := make([]bool, len(asked))
	for i, id := range asked {
		answers[i] = set[id]
	}
	return answers
}

// Finish is the end of an execution, and what follows for its job.
type Finish struct {
	ExecutionID cronium.ID
	JobID       cronium.ID
	Owner       cronium.ID
	Status      cronium.ExecutionStatus
	Result      cronium.Result // of the job, when it is final; "" = what follows from Status
	ExitCode    *int
	Signal      int
	OutOfMemory bool
	Error       string
	Setup       time.Duration
	Run         time.Duration
	Cleanup     time.Duration
	CPU         time.Duration
	PeakMemory  int64
	Dropped     int64
	Output      json.RawMessage
	Condition   *bool
	Stored      Appended        // output that is stored, with Last
	Last        []cronium.Chunk // output that follows it and is stored with the end
	Retry       *time.Duration  // another attempt follows after this; nil: the job is final
	Limited     bool            // a limit counts the job: others may wait for this end
}

// result is that of the job.
func (f *Finish) result() cronium.Result {
	if f.Result != "" {
		return f.Result
	}
	return f.Status.Result()
}

// clean makes text that came from a target fit for the database: UTF-8 without
// NUL, of at most 4,000 bytes.
func clean(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "␀")
	if len(s) > 4000 {
		s = strings.ToValidUTF8(s[:4000], "") + "…"
	}
	return s
}

// Finish makes an execution final and its job final or QUEUED for a retry. All
// that follows is stored in the same transaction: queue adds the queue entry
// of a job, at a time. It fails with ErrNotOwner when the execution is not the
// owner's any more; then nothing was stored. The job's status afterwards is
// returned.
func (s *Store) Finish(ctx context.Context, f Finish, queue func(ctx context.Context, tx pgx.Tx, job cronium.Job, at time.Time) error) (cronium.JobStatus, error) {
	if f.Retry == nil && !f.Limited {
		ok, err := s.finishes.do(ctx, f)
		if err == nil && !ok {
			err = ErrNotOwner
		}
		return f.result().JobStatus(), err
	}
	var status cronium.JobStatus
	err := s.system(ctx, func(tx pgx.Tx) error {
		if f.Limited {
			if err := lockGates(ctx, tx, f.JobID); err != nil {
				return err
			}
		}
		var err error
		if status, err = finishOne(ctx, tx, f, queue); err != nil {
			return err
		}
		if f.Limited {
			return s.releaseWaiting(ctx, tx, f.JobID, queue)
		}
		return nil
	})
	if err == ErrNotOwner {
		return "", err
	}
	return status, mapError(err, "finish execution")
}

func finishOne(ctx context.Context, tx pgx.Tx, f Finish, queue queueFunc) (cronium.JobStatus, error) {
	var cancelled bool
	if err := tx.QueryRow(ctx, `SELECT cancelled_at IS NOT NULL FROM jobs WHERE id = $1 FOR NO KEY UPDATE`, f.JobID).Scan(&cancelled); err != nil {
		return "", err
	}
	if f.Retry != nil && !cancelled {
		return cronium.JobQueued, retryOne(ctx, tx, f, queue)
	}
	if cancelled && f.Retry != nil {
		// A retry would have followed, but the job was cancelled meanwhile.
		f.Result = cronium.ResultCancelled
	}
	ended, err := endExecutions(ctx, tx, []Finish{f}, true)
	if err == nil && len(ended) == 0 {
		err = ErrNotOwner
	}
	return f.result().JobStatus(), err
}

// retryOne ends the execution and puts its job back into the queue.
func retryOne(ctx context.Context, tx pgx.Tx, f Finish, queue queueFunc) error {
	ended, err := endExecutions(ctx, tx, []Finish{f}, false)
	if err != nil {
		return err
	}
	if len(ended) == 0 {
		return ErrNotOwner
	}
	rows, err := tx.Query(ctx, `
		UPDATE jobs j SET status = 'QUEUED', next_attempt = now() + $2::interval, error = $3
		WHERE j.id = $1 AND j.status IN ('CLAIMED', 'RUNNING') RETURNING `+jobColumns("j"), f.JobID, *f.Retry, clean(f.Error))
	if err != nil {
		return err
	}
	job, err := pgx.CollectExactlyOneRow(rows, rowToJob)
	if err != nil {
		return err
	}
	return queue(ctx, tx, job, *job.NextAttempt)
}

func (s *Store) finishBatch(ctx context.Context, batch []Finish) ([]bool, error) {
	ended, err := endExecutions(ctx, s.worker, batch, true)
	executions := make([]cronium.ID, len(batch))
	for i, f := range batch {
		executions[i] = f.ExecutionID
	}
	return found(executions, ended), mapError(err, "finish executions")
}
