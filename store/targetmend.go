package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// HoldersElsewhere tells, of servers whose agents dial in, which living process
// other than this one is connected to each.
func (s *Store) HoldersElsewhere(ctx context.Context, process cronium.ID, servers []cronium.ID) (map[cronium.ID]cronium.ID, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT t.server_id, t.holder FROM server_states t JOIN processes p ON p.id = t.holder
		WHERE t.server_id = ANY($1) AND t.holder <> $2 AND p.lease_until > now()`, servers, process)
	if err != nil {
		return nil, mapError(err, "look for who is connected to servers")
	}
	holders := map[cronium.ID]cronium.ID{}
	var server, holder cronium.ID
	_, err = pgx.ForEachRow(rows, []any{&server, &holder}, func() error {
		holders[server] = holder
		return nil
	})
	return holders, mapError(err, "look for who is connected to servers")
}

// GiveUp leaves open executions of the process to whoever takes them over.
func (s *Store) GiveUp(ctx context.Context, process cronium.ID, executions []cronium.ID) error {
	_, err := s.worker.Exec(ctx, `UPDATE executions SET owner = NULL WHERE id = ANY($1) AND owner = $2 AND status IN ('PENDING', 'RUNNING')`, executions, process)
	return mapError(err, "give up executions")
}

// StrandedTarget is a released target without an entry in the queue.
type StrandedTarget struct {
	Job cronium.Job // without input and output
	Released
}

// StrandedTargets lists targets that have been QUEUED for a minute with no entry
// in the queue that would ever run them, at most 500.
func (s *Store) StrandedTargets(ctx context.Context) ([]StrandedTarget, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT `+fleetJobColumns+`, t.server_id, t.kind, st.holder
		FROM jobs j JOIN job_targets t ON t.job_id = j.id LEFT JOIN server_states st ON st.server_id = t.server_id
		WHERE j.status IN ('CLAIMED', 'RUNNING') AND j.targets > 0 AND j.id < $1 AND t.status = 'QUEUED' AND coalesce(t.next_attempt, j.claimed_at) < now() - interval '1 minute'
			AND NOT EXISTS (
				SELECT 1 FROM river_job r WHERE r.args @> jsonb_build_object('job_id', t.job_id, 'server_id', t.server_id)
				AND r.kind = 'run' AND r.state IN ('available', 'running', 'retryable', 'scheduled', 'pending'))
		LIMIT 500`, minuteAgo())
	if err != nil {
		return nil, mapError(err, "look for stranded targets")
	}
	stranded, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (StrandedTarget, error) {
		var t StrandedTarget
		return t, row.Scan(&t.Job.ID, &t.Job.WorkspaceID, &t.Job.EventID, &t.Job.Version, &t.Job.Priority, &t.Job.Status, &t.Job.CancelledAt, &t.Job.Targets,
			&t.ServerID, &t.Kind, &t.Holder)
	})
	return stranded, mapError(err, "look for stranded targets")
}

// Unsettled lists jobs on servers that go on although none of their targets can:
// Settle is due for them. It looks at those accepted more than a minute ago.
func (s *Store) Unsettled(ctx context.Context) ([]cronium.Job, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT `+jobColumns("j")+` FROM jobs j
		WHERE j.status IN ('CLAIMED', 'RUNNING') AND j.targets > 0 AND j.id < $1
			AND NOT EXISTS (SELECT 1 FROM job_targets t WHERE t.job_id = j.id AND t.status IN ('QUEUED', 'RUNNING')) LIMIT 100`, minuteAgo())
	if err != nil {
		return nil, mapError(err, "look for jobs that could end")
	}
	jobs, err := pgx.CollectRows(rows, rowToJob)
	return jobs, mapError(err, "look for jobs that could end")
}

// WakeTargets makes the entries due of targets that wait for a server which has
// come back within the last moments, and gives their number.
func (s *Store) WakeTargets(ctx context.Context, moments time.Duration) (int64, error) {
	tag, err := s.worker.Exec(ctx, `
		WITH back AS (
			UPDATE job_targets t SET next_attempt = now()
			FROM jobs j, server_states st
			WHERE j.status IN ('CLAIMED', 'RUNNING') AND j.targets > 0 AND t.job_id = j.id AND t.status = 'QUEUED' AND t.away_since IS NOT NULL
				AND t.next_attempt > now() + interval '1 second'
				AND st.server_id = t.server_id AND st.state = 'ONLINE' AND st.since > now() - $1::interval
			RETURNING t.job_id, t.server_id)
		UPDATE river_job r SET state = 'available', scheduled_at = now()
		FROM back WHERE r.args @> jsonb_build_object('job_id', back.job_id, 'server_id', back.server_id) AND r.kind = 'run' AND r.state IN ('available', 'scheduled')`, moments)
	return tag.RowsAffected(), mapError(err, "wake what waits for servers that are back")
}
