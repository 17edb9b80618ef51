package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// TargetClaim is what a process that takes a target of a job stores of its next
// execution. The place is known already.
type TargetClaim struct {
	Claim
	ServerID cronium.ID
}

// ClaimedTarget is a target after its claim: the job as it stands, and what the
// script is told of the server.
type ClaimedTarget struct {
	Claimed
	Server  cronium.TargetServer
	Attempt int
}

// ClaimTarget makes a target RUNNING and its execution PENDING in one
// transaction. It fails with ErrNotQueued, also when the server is archived or
// gone, or another one was taken by a job that runs on any, or with ErrNoLease.
func (s *Store) ClaimTarget(ctx context.Context, claim TargetClaim, fleet *cronium.Fleet, queue *TargetQueue) (*ClaimedTarget, error) {
	var claimed *ClaimedTarget
	var err error
	if fleet.Strategy == cronium.StrategyAny {
		claimed, err = s.claimAny(ctx, claim, fleet, queue)
	} else {
		claimed, err = s.targetClaims.do(ctx, claim)
		if err == nil && claimed == nil { // why is asked by itself
			claimed, err = s.claimTargetAlone(ctx, claim)
		}
	}
	if err == nil && claimed == nil {
		err = ErrNotQueued
	}
	return claimed, err
}

func (s *Store) claimTargetAlone(ctx context.Context, claim TargetClaim) (*ClaimedTarget, error) {
	var claimed *ClaimedTarget
	err := s.system(ctx, func(tx pgx.Tx) error {
		if err := checkLease(ctx, tx, claim.Owner); err != nil {
			return err
		}
		found, err := claimTargetsIn(ctx, tx, []TargetClaim{claim})
		claimed = found[claim.ExecutionID]
		return err
	})
	if errors.Is(err, ErrNoLease) {
		return nil, err
	}
	return claimed, mapError(err, "claim a target of a job")
}

func (s *Store) claimTargetBatch(ctx context.Context, claims []TargetClaim) ([]*ClaimedTarget, error) {
	answers := make([]*ClaimedTarget, len(claims))
	err := s.system(ctx, func(tx pgx.Tx) error {
		claimed, err := claimTargetsIn(ctx, tx, claims)
		for i := range claims {
			answers[i] = claimed[claims[i].ExecutionID]
		}
		return err
	})
	return answers, mapError(err, "claim targets of jobs")
}

// claimAny claims a target of a job that runs on one server, whichever, and drops
// the others. The job's row is the lock.
func (s *Store) claimAny(ctx context.Context, claim TargetClaim, fleet *cronium.Fleet, queue *TargetQueue) (*ClaimedTarget, error) {
	var claimed *ClaimedTarget
	err := s.system(ctx, func(tx pgx.Tx) error {
		of := func(*fleetJob) (*cronium.Fleet, *TargetQueue) { return fleet, queue }
		return s.settleLimited(ctx, tx, []cronium.ID{claim.JobID}, false, of, func([]*fleetJob) error {
			if err := checkLease(ctx, tx, claim.Owner); err != nil {
				return err
			}
			found, err := claimTargetsIn(ctx, tx, []TargetClaim{claim})
			claimed = found[claim.ExecutionID]
			return err
		})
	})
	if errors.Is(err, ErrNoLease) {
		return nil, err
	}
	return claimed, mapError(err, "claim a target of a job")
}

var queuedTarget = []string{string(cronium.TargetQueued)}

// claimTargetsIn claims targets that are QUEUED, and gives them by execution.
func claimTargetsIn(ctx context.Context, tx pgx.Tx, claims []TargetClaim) (map[cronium.ID]*ClaimedTarget, error) {
	n := len(claims)
	jobs, servers, executions, owners := make([]cronium.ID, n), make([]cronium.ID, n), make([]cronium.ID, n), make([]cronium.ID, n)
	targets, refs := make([]string, n), make([]string, n)
	for i, c := range claims {
		jobs[i], servers[i], executions[i], owners[i] = c.JobID, c.ServerID, c.ExecutionID, c.Owner
		targets[i], refs[i] = string(c.Target), c.TargetRef
	}
	rows, err := tx.Query(ctx, `
		WITH asked AS (
			SELECT DISTINCT ON (job_id, server_id) * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[])
				AS a (job_id, server_id, execution_id, owner, target, target_ref)),
		claimed AS (
			UPDATE job_targets t SET status = 'RUNNING', attempts = t.attempts + 1, reason = '', next_attempt = NULL, away_since = NULL,
				execution_id = asked.execution_id, exit_code = NULL, output_hash = NULL, started_at = coalesce(t.started_at, now()),
				host = (SELECT json_build_object('platform', st.platform, 'arch', st.arch, 'agent_version', st.agent_version, 'environment', s.environment,
					'disk_total', st.disk_total, 'disk_used', st.disk_used) FROM server_states st WHERE st.server_id = s.id)
			FROM asked, LATERAL ( -- OFFSET keeps it a lookup by id for each, and by no index of those that are not archived
				SELECT * FROM servers WHERE servers.id = asked.server_id OFFSET 0) s
			WHERE t.job_id = asked.job_id AND t.server_id = asked.server_id AND t.status = ANY($7) AND `+leased+`
				AND s.workspace_id = t.workspace_id AND s.archived_at IS NULL
			RETURNING t.job_id, t.workspace_id, t.server_id, t.attempts, asked.execution_id, asked.owner, asked.target, asked.target_ref,
				s.name, s.environment, s.tags),
		made AS (
			INSERT INTO executions (id, workspace_id, job_id, attempt, target, target_ref, status, owner, server_id)
			SELECT execution_id, workspace_id, job_id, attempts, target, target_ref, 'PENDING', owner, server_id FROM claimed)
		SELECT c.execution_id, c.attempts, c.server_id, c.name, c.environment, c.tags, `+jobColumns("j")+`, e.name, e.type, `+limitedJob+`
		FROM claimed c JOIN jobs j ON j.id = c.job_id JOIN events e ON e.id = j.event_id`,
		jobs, servers, executions, owners, targets, refs, queuedTarget)
	if err != nil {
		return nil, err
	}
	claimed := make(map[cronium.ID]*ClaimedTarget, n)
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (cronium.ID, error) {
		var c ClaimedTarget
		var execution cronium.ID
		first := []any{&execution, &c.Attempt, &c.Server.ID, &c.Server.Name, &c.Server.Environment, &c.Server.Tags}
		err := row.Scan(append(append(first, scanJob(&c.Job)...), &c.EventName, &c.EventType, &c.Limited)...)
		claimed[execution] = &c
		return execution, err
	})
	return claimed, err
}
