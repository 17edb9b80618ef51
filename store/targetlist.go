package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

const targetColumns = `t.job_id, t.workspace_id, t.server_id, t.position, t.kind, t.name, t.status, t.reason, t.attempts, t.next_attempt, t.away_since,
	t.execution_id, t.exit_code, t.output, t.condition, t.output_hash, t.started_at, t.finished_at, t.host`

// scanTarget gives the destinations of targetColumns.
func scanTarget(t *cronium.JobTarget) []any {
	return []any{&t.JobID, &t.WorkspaceID, &t.ServerID, &t.Position, &t.Kind, &t.Name, &t.Status, &t.Reason, &t.Attempts, &t.NextAttempt, &t.AwaySince,
		&t.ExecutionID, &t.ExitCode, &t.Output, &t.Condition, &t.OutputHash, &t.StartedAt, &t.FinishedAt, &t.Host}
}

func rowToTarget(row pgx.CollectableRow) (cronium.JobTarget, error) {
	var t cronium.JobTarget
	return t, row.Scan(scanTarget(&t)...)
}

// TargetFilter chooses targets of a job. After is an exclusive bound by position,
// -1 for none.
type TargetFilter struct {
	Status []cronium.TargetStatus // none: any
	Hash   []byte                 // those with this output; nil: any
	After  int
	Limit  int // 1 to 10,000; 0 = 50
}

// JobTargets lists the targets of a job in the order of their release.
func (s *Store) JobTargets(ctx context.Context, workspace, job cronium.ID, f TargetFilter) ([]cronium.JobTarget, error) {
	limit := f.Limit
	if limit < 1 {
		limit = 50
	}
	var targets []cronium.JobTarget
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+targetColumns+` FROM job_targets t
			WHERE t.workspace_id = $1 AND t.job_id = $2 AND t.position > $3 AND ($4::text[] IS NULL OR t.status = ANY($4)) AND ($5::bytea IS NULL OR t.output_hash = $5)
			ORDER BY t.position LIMIT $6`, workspace, job, f.After, f.Status, f.Hash, min(limit, cronium.MaxTargets))
		if err != nil {
			return err
		}
		targets, err = pgx.CollectRows(rows, rowToTarget)
		return err
	})
	return targets, mapError(err, "list the servers of a job")
}

// TargetGroup is targets of a job that ended in the same way with the same output.
type TargetGroup struct {
	Status    cronium.TargetStatus
	ExitCode  *int
	Hash      []byte // nil: what they printed is not known to be equal
	Count     int
	Names     []string   // the first ten of their servers
	Execution cronium.ID // one of them, whose output stands for all
}

// TargetGroups gathers the targets of a job that have ended and ran, the largest
// group first. It holds at most 200 groups.
func (s *Store) TargetGroups(ctx context.Context, workspace, job cronium.ID) ([]TargetGroup, error) {
	var groups []TargetGroup
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT status, exit_code, output_hash, count(*), (array_agg(name ORDER BY position))[1:10], (array_agg(execution_id ORDER BY position))[1]
			FROM job_targets
			WHERE workspace_id = $1 AND job_id = $2 AND execution_id IS NOT NULL AND status NOT IN ('WAITING', 'QUEUED', 'RUNNING')
			GROUP BY status, exit_code, output_hash ORDER BY count(*) DESC, min(position) LIMIT 200`, workspace, job)
		if err != nil {
			return err
		}
		groups, err = pgx.CollectRows(rows, pgx.RowToStructByPos[TargetGroup])
		return err
	})
	return groups, mapError(err, "group the servers of a job")
}

// TargetNow is a target with how its server is, for whoever wants to run it.
type TargetNow struct {
	cronium.JobTarget
	Away     float64 // seconds since which it could not be reached; 0: it was not tried
	Offline  bool    // the server is known to be OFFLINE
	Archived bool    // the server is archived or gone
}

// Target finds a target of a job. Workers use it.
func (s *Store) Target(ctx context.Context, job, server cronium.ID) (*TargetNow, error) {
	var t TargetNow
	err := s.worker.QueryRow(ctx, `
		SELECT `+targetColumns+`, coalesce(extract(epoch FROM now() - t.away_since), 0)::float8, coalesce(st.state = 'OFFLINE', false),
			s.id IS NULL OR s.archived_at IS NOT NULL
		FROM job_targets t LEFT JOIN servers s ON s.id = t.server_id LEFT JOIN server_states st ON st.server_id = t.server_id
		WHERE t.job_id = $1 AND t.server_id = $2`, job, server).Scan(append(scanTarget(&t.JobTarget), &t.Away, &t.Offline, &t.Archived)...)
	if err != nil {
		return nil, mapError(err, "find a server of a job")
	}
	return &t, nil
}

// Unsuccessful lists the servers on which a job did not succeed, in their order.
func (s *Store) Unsuccessful(ctx context.Context, workspace, job cronium.ID) ([]cronium.ID, error) {
	var servers []cronium.ID
	err := s.read(ctx, workspace, func(tx pgx.Tx) (err error) {
		servers, err = ids(ctx, tx, `SELECT server_id FROM job_targets WHERE workspace_id = $1 AND job_id = $2 AND status <> 'SUCCESS' ORDER BY position`, workspace, job)
		return err
	})
	return servers, mapError(err, "list the servers on which a job failed")
}

// SetTargetReason shows, for a person, what a queued target waits for.
func (s *Store) SetTargetReason(ctx context.Context, job, server cronium.ID, reason string) error {
	_, err := s.worker.Exec(ctx, `UPDATE job_targets SET reason = $3 WHERE job_id = $1 AND server_id = $2 AND status = 'QUEUED'`, job, server, clean(reason))
	return mapError(err, "note what a server is waited for")
}

// HaveServers fails with CodeNotFound unless all of them are servers of the
// workspace that are not archived.
func (s *Store) HaveServers(ctx context.Context, workspace cronium.ID, servers []cronium.ID) error {
	var n int
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM servers WHERE workspace_id = $1 AND id = ANY($2) AND archived_at IS NULL`, workspace, servers).Scan(&n)
	})
	if err == nil && n != len(servers) {
		err = cronium.Errorf(cronium.CodeNotFound, "Not all of these servers exist. Look at Servers for those that do; each may be named once.")
	}
	return mapError(err, "look for servers")
}
