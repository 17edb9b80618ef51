package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Released is a target that may run: its entry for the queue.
type Released struct {
	ServerID cronium.ID
	Kind     cronium.ServerKind
	Holder   *cronium.ID // the process that is connected to it, as far as is known
	At       time.Time   // not before; zero: now
}

// TargetQueue adds entries to the queue in the transaction that it is given.
type TargetQueue struct {
	Job     func(ctx context.Context, tx pgx.Tx, job cronium.Job, at time.Time) error
	Targets func(ctx context.Context, tx pgx.Tx, job cronium.Job, released []Released) error
}

// fleetJob is a locked job with targets: what settle needs of it.
type fleetJob struct {
	cronium.Job // without input and output
}

const fleetJobColumns = `j.id, j.workspace_id, j.event_id, j.version, j.priority, j.status, j.cancelled_at, j.targets`

func rowToFleetJob(row pgx.CollectableRow) (*fleetJob, error) {
	var j fleetJob
	return &j, row.Scan(&j.ID, &j.WorkspaceID, &j.EventID, &j.Version, &j.Priority, &j.Status, &j.CancelledAt, &j.Targets)
}

// lockFleets locks jobs in the order of their ids.
func lockFleets(ctx context.Context, tx pgx.Tx, jobs []cronium.ID) ([]*fleetJob, error) {
	rows, err := tx.Query(ctx, `SELECT `+fleetJobColumns+` FROM jobs j WHERE j.id = ANY($1) ORDER BY j.id FOR NO KEY UPDATE`, jobs)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, rowToFleetJob)
}

// tally counts the targets of a job, whose row is locked.
func tally(ctx context.Context, tx pgx.Tx, job cronium.ID) (cronium.Tally, error) {
	var t cronium.Tally
	rows, err := tx.Query(ctx, `
		SELECT status, count(*), count(*) FILTER (WHERE attempts = 0), count(*) FILTER (WHERE attempts = 0 AND away_since IS NOT NULL)
		FROM job_targets WHERE job_id = $1 GROUP BY status`, job)
	if err != nil {
		return t, err
	}
	counters := map[cronium.TargetStatus]*int{
		cronium.TargetWaiting: &t.Waiting, cronium.TargetQueued: &t.Queued, cronium.TargetRunning: &t.Running,
		cronium.TargetSuccess: &t.Success, cronium.TargetFailure: &t.Failure, cronium.TargetTimeout: &t.Timeout,
		cronium.TargetCancelled: &t.Cancelled, cronium.TargetLost: &t.Lost, cronium.TargetSkipped: &t.Skipped,
	}
	var status cronium.TargetStatus
	var count, unstarted, away int
	_, err = pgx.ForEachRow(rows, []any{&status, &count, &unstarted, &away}, func() error {
		*counters[status] = count
		if status == cronium.TargetQueued {
			t.Unstarted, t.Away = unstarted, away
		}
		return nil
	})
	return t, err
}

// settle carries out what follows for the targets of a locked job, and makes it
// final when nothing can. It does nothing to a final one.
func settle(ctx context.Context, tx pgx.Tx, job *fleetJob, fleet *cronium.Fleet, queue *TargetQueue) error {
	if job.Status.Final() {
		return nil
	}
	t, err := tally(ctx, tx, job.ID)
	if err != nil {
		return err
	}
	step := cronium.Advance(*fleet, t, job.CancelledAt != nil)
	if step.Drop != "" {
		if err := dropTargets(ctx, tx, job.ID, step); err != nil {
			return err
		}
		if t, err = tally(ctx, tx, job.ID); err != nil {
			return err
		}
	}
	if step.Release > 0 {
		if err := releaseTargets(ctx, tx, job, step, queue); err != nil {
			return err
		}
	}
	return countTargets(ctx, tx, job, t, step)
}

func dropTargets(ctx context.Context, tx pgx.Tx, job cronium.ID, step cronium.Step) error {
	_, err := tx.Exec(ctx, `
		WITH waiting AS ( -- locked in the order in which claims do
			SELECT server_id FROM job_targets
			WHERE job_id = $1 AND (status = 'WAITING' OR status = 'QUEUED' AND (attempts = 0 OR $2 = 'CANCELLED'))
			ORDER BY server_id FOR NO KEY UPDATE)
		UPDATE job_targets t SET status = $2, reason = $3, next_attempt = NULL, away_since = NULL, finished_at = now()
		FROM waiting WHERE t.job_id = $1 AND t.server_id = waiting.server_id`,
		job, step.Drop, step.Reason)
	return err
}

func releaseTargets(ctx context.Context, tx pgx.Tx, job *fleetJob, step cronium.Step, queue *TargetQueue) error {
	var at *time.Time
	if step.After > 0 {
		if err := tx.QueryRow(ctx, `SELECT now() + $1::interval`, step.After).Scan(&at); err != nil {
			return err
		}
	}
	rows, err := tx.Query(ctx, `
		WITH next AS (
			SELECT server_id FROM job_targets WHERE job_id = $1 AND status = 'WAITING' ORDER BY position LIMIT $2),
		released AS (
			UPDATE job_targets t SET status = 'QUEUED', next_attempt = $3 FROM next
			WHERE t.job_id = $1 AND t.server_id = next.server_id RETURNING t.server_id, t.kind, t.position)
		SELECT r.server_id, r.kind, s.holder FROM released r LEFT JOIN server_states s ON s.server_id = r.server_id ORDER BY r.position`,
		job.ID, step.Release, at)
	if err != nil {
		return err
	}
	released, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Released, error) {
		var r Released
		if at != nil {
			r.At = *at
		}
		return r, row.Scan(&r.ServerID, &r.Kind, &r.Holder)
	})
	if err != nil {
		return err
	}
	return queue.Targets(ctx, tx, job.Job, released)
}

// countTargets stores how far the job is, and its end.
func countTargets(ctx context.Context, tx pgx.Tx, job *fleetJob, t cronium.Tally, step cronium.Step) error {
	if step.Result == "" {
		_, err := tx.Exec(ctx, `
			UPDATE jobs SET targets_succeeded = $2, targets_failed = $3, status = CASE WHEN status = 'CLAIMED' AND $4 THEN 'RUNNING' ELSE status END,
				started_at = coalesce(started_at, CASE WHEN $4 THEN claimed_at END)
			WHERE id = $1 AND (targets_succeeded, targets_failed) <> ($2, $3)`, job.ID, t.Success, t.Failed(), t.Success > 0)
		return err
	}
	job.Status, job.Result = step.Result.JobStatus(), step.Result
	_, err := tx.Exec(ctx, `
		UPDATE jobs SET targets_succeeded = $2, targets_failed = $3, status = $4, result = $5, error = $6, finished_at = now(), next_attempt = NULL,
			started_at = coalesce(started_at, CASE WHEN $7 THEN claimed_at END)
		WHERE id = $1 AND status = ANY($8)`,
		job.ID, t.Success, t.Failed(), job.Status, step.Result, t.Explain(step.Result), t.Total() > t.Skipped, activeJob)
	return err
}

// Settle carries out what follows for the targets of a job, for whoever changed
// them in another transaction. It may be called at any time.
func (s *Store) Settle(ctx context.Context, job cronium.ID, fleet *cronium.Fleet, queue *TargetQueue) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		return s.settleLimited(ctx, tx, []cronium.ID{job}, true, func(*fleetJob) (*cronium.Fleet, *TargetQueue) { return fleet, queue }, nil)
	})
	return mapError(err, "go on with the servers of a job")
}

// settleLimited locks jobs, changes their targets and settles them. limited says
// that a limit may count one of them: then the limits are locked first, as claims
// do, and jobs that wait for an end are let go.
func (s *Store) settleLimited(ctx context.Context, tx pgx.Tx, ids []cronium.ID, limited bool,
	of func(*fleetJob) (*cronium.Fleet, *TargetQueue), change func([]*fleetJob) error) error {
	if limited {
		if err := lockGates(ctx, tx, ids...); err != nil {
			return err
		}
	}
	jobs, err := lockFleets(ctx, tx, ids)
	if err != nil {
		return err
	}
	if change != nil {
		if err := change(jobs); err != nil {
			return err
		}
	}
	for _, job := range jobs {
		before := job.Status
		fleet, queue := of(job)
		if err := settle(ctx, tx, job, fleet, queue); err != nil {
			return err
		}
		if limited && job.Status.Final() && !before.Final() {
			if err := s.releaseWaiting(ctx, tx, job.ID, queue.Job); err != nil {
				return err
			}
		}
	}
	return nil
}
