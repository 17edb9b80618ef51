package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Adopted is an execution that this process now owns, with its job.
type Adopted struct {
	Execution cronium.Execution
	Job       cronium.Job
	EventName string
	EventType cronium.EventType
	Limited   bool                  // as in Claimed
	Server    *cronium.TargetServer // that it runs on; nil for a container
}

// Serves says which executions a process can drive.
type Serves struct {
	Targets []cronium.TargetKind
	Held    []cronium.ID // of servers whose agents dial in, those that are connected to it
}

// TakeOver gives the process up to limit open executions that it can drive, which belong to nobody alive, or to the process itself without being
// among those that it drives (a claim whose answer was lost). One on an installed
// agent goes to the process that holds the agent's connection, and after
// AgentGrace without one to any, which ends it when it is cancelled or nothing is
// heard of it for long. It also puts the
// queue's entries of dead processes right: an entry whose job is still QUEUED
// may be fetched again, the others are done, because their executions have an
// owner of their own.
func (s *Store) TakeOver(ctx context.Context, process cronium.ID, serves Serves, driven []cronium.ID, limit int) ([]Adopted, error) {
	if driven == nil {
		driven = []cronium.ID{} // nil would be NULL, with which nothing compares
	}
	if serves.Held == nil {
		serves.Held = []cronium.ID{}
	}
	var adopted []Adopted
	err := s.system(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM processes WHERE lease_until < now() AND id <> $1`, process)
		if err != nil {
			return err
		}
		dead, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
		if err != nil {
			return err
		}
		if err := releaseQueue(ctx, tx, dead); err != nil {
			return err
		}
		adopted, err = takeExecutions(ctx, tx, process, serves, dead, driven, limit)
		return err
	})
	return adopted, mapError(err, "take over executions")
}

// Conditions of an execution: a process that lives holds the connection of its
// server's agent, or nobody has heard of the agent for AgentGrace.
const (
	agentHeld = `EXISTS (SELECT FROM server_states st JOIN processes p ON p.id = st.holder
		WHERE st.server_id = executions.server_id AND p.lease_until > now())`
	agentAway = `NOT EXISTS (SELECT FROM server_states st WHERE st.server_id = executions.server_id
		AND (st.seen_at > now() - $7::interval OR EXISTS (SELECT FROM processes p WHERE p.id = st.holder AND p.lease_until > now() - $7::interval)))`
)

func takeExecutions(ctx context.Context, tx pgx.Tx, process cronium.ID, serves Serves, dead, driven []cronium.ID, limit int) ([]Adopted, error) {
	if slices.Contains(serves.Targets, cronium.TargetAgent) {
		// Claims whose answer was lost, of agents that are connected elsewhere now.
		_, err := tx.Exec(ctx, `UPDATE executions SET owner = NULL WHERE owner = $1 AND status IN ('PENDING', 'RUNNING') AND target = 'agent'
			AND id <> ALL($2) AND server_id <> ALL($3) AND `+agentHeld, process, driven, serves.Held)
		if err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query(ctx, `
		WITH free AS (
			SELECT id FROM executions
			WHERE status IN ('PENDING', 'RUNNING') AND target = ANY($5) AND (target <> 'agent' OR server_id = ANY($6) OR `+agentAway+`)
				AND (owner IS NULL OR owner = ANY($2) OR owner = $1 AND id <> ALL($4))
			LIMIT $3 FOR UPDATE SKIP LOCKED),
		taken AS (
			UPDATE executions x SET owner = $1 FROM free WHERE x.id = free.id RETURNING x.*)
		SELECT `+executionColumns("taken")+`, `+jobColumns("j")+`, e.name, e.type, `+limitedJob+`,
			coalesce(s.name, ''), coalesce(s.environment, ''), coalesce(s.tags, '{}')
		FROM taken JOIN jobs j ON j.id = taken.job_id JOIN events e ON e.id = j.event_id LEFT JOIN servers s ON s.id = taken.server_id`,
		process, dead, limit, driven, serves.Targets, serves.Held, AgentGrace)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Adopted, error) {
		var a Adopted
		var server cronium.TargetServer
		err := row.Scan(append(append(scanExecution(&a.Execution), scanJob(&a.Job)...), &a.EventName, &a.EventType, &a.Limited,
			&server.Name, &server.Environment, &server.Tags)...)
		if a.Execution.ServerID != nil {
			server.ID, a.Server = *a.Execution.ServerID, &server
		}
		return a, err
	})
}

// releaseQueue frees what dead processes had fetched from the queue. River's
// own rescue takes an hour and is not used for this.
func releaseQueue(ctx context.Context, tx pgx.Tx, dead []cronium.ID) error {
	if len(dead) == 0 {
		return nil
	}
	clients, queues := make([]string, len(dead)), make([]string, len(dead))
	for i, id := range dead {
		clients[i], queues[i] = id.String(), AgentQueue(&id)
	}
	_, err := tx.Exec(ctx, `
		WITH held AS (
			SELECT r.id, CASE WHEN r.args->>'server_id' IS NULL THEN j.status ELSE t.status END = 'QUEUED' AS queued
			FROM river_job r LEFT JOIN jobs j ON j.id = (r.args->>'job_id')::uuid
				LEFT JOIN job_targets t ON t.job_id = (r.args->>'job_id')::uuid AND t.server_id = (r.args->>'server_id')::uuid
			WHERE r.state = 'running' AND r.kind = 'run'
			  AND r.attempted_by[array_upper(r.attempted_by, 1)] = ANY($1)
			LIMIT 1000 FOR UPDATE OF r SKIP LOCKED)
		UPDATE river_job r SET
			state = CASE WHEN held.queued THEN 'available' ELSE 'completed' END::river_job_state,
			finalized_at = CASE WHEN held.queued THEN NULL ELSE now() END
		FROM held WHERE r.id = held.id`, clients)
	if err != nil {
		return err
	}
	// What was meant for them because an agent was connected to them.
	_, err = tx.Exec(ctx, `UPDATE river_job SET queue = $2 WHERE queue = ANY($1) AND state IN ('available', 'retryable', 'scheduled')`, queues, AgentQueue(nil))
	return err
}

// AgentQueue is the queue of targets whose agents are connected to the process,
// or of those for which nobody knows (nil).
func AgentQueue(process *cronium.ID) string {
	if process == nil {
		return string(cronium.TargetAgent)
	}
	return string(cronium.TargetAgent) + "-" + process.String()
}

// HandOver gives up all open executions of the process without stopping them,
// so that another process, or this one's successor, adopts them at once.
func (s *Store) HandOver(ctx context.Context, process cronium.ID) (int64, error) {
	tag, err := s.worker.Exec(ctx, `UPDATE executions SET owner = NULL WHERE owner = $1 AND status IN ('PENDING', 'RUNNING')`, process)
	return tag.RowsAffected(), mapError(err, "hand over executions")
}

// strandedPage is how many jobs one call of Stranded looks at.
const strandedPage = 500

// Stranded lists jobs that have been QUEUED for a minute with no entry in the
// queue that would ever run them: the last net under every crash between two
// steps. It looks at the oldest 500 whose ids are greater than after, and gives
// the last of these, from which the next call goes on; the zero ID when it has
// come to the end.
func (s *Store) Stranded(ctx context.Context, after cronium.ID) (stranded []cronium.Job, next cronium.ID, err error) {
	rows, err := s.worker.Query(ctx, `
		SELECT id FROM jobs
		WHERE status = 'QUEUED' AND id < $1 AND id > $2
		  AND coalesce(next_attempt, '-infinity') < now() - interval '1 minute'
		ORDER BY id LIMIT $3`, minuteAgo(), after, strandedPage)
	if err != nil {
		return nil, after, mapError(err, "look for stranded jobs")
	}
	waiting, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	if err != nil || len(waiting) == 0 {
		return nil, cronium.ID{}, mapError(err, "look for stranded jobs")
	}
	if len(waiting) == strandedPage {
		next = waiting[strandedPage-1]
	}
	stranded, err = s.without(ctx, waiting)
	return stranded, next, err
}

// without gives those of the QUEUED jobs that no entry in the queue would run.
func (s *Store) without(ctx context.Context, waiting []cronium.ID) ([]cronium.Job, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT `+jobColumns("j")+` FROM jobs j
		WHERE j.id = ANY($1) AND j.status = ANY($2) AND NOT EXISTS (
			SELECT 1 FROM river_job r WHERE r.args @> jsonb_build_object('job_id', j.id)
			AND r.kind = 'run' AND r.state IN ('available', 'running', 'retryable', 'scheduled', 'pending'))
		AND CASE j.waiting
			WHEN 'concurrency' THEN EXISTS (SELECT FROM events e WHERE e.id = j.event_id AND (e.concurrency = 0 OR e.concurrency > (
				SELECT count(*) FROM jobs o WHERE o.workspace_id = j.workspace_id AND o.event_id = j.event_id AND o.status IN ('CLAIMED', 'RUNNING'))))
			WHEN 'group' THEN j.group_limit > (
				SELECT count(*) FROM jobs o WHERE o.workspace_id = j.workspace_id AND o.group_key = j.group_key AND o.group_key <> '' AND o.status IN ('CLAIMED', 'RUNNING'))
			WHEN 'overlap' THEN NOT EXISTS (
				SELECT FROM jobs o WHERE o.workspace_id = j.workspace_id AND o.source_id = j.source_id AND o.alone AND o.status IN ('CLAIMED', 'RUNNING'))
			WHEN 'quota' THEN NOT EXISTS (SELECT FROM workspace_limits l WHERE l.workspace_id = j.workspace_id AND l.running > 0 AND l.running <= (
				SELECT count(*) FROM jobs o WHERE o.workspace_id = j.workspace_id AND o.status IN ('CLAIMED', 'RUNNING')))
			WHEN 'paused' THEN NOT EXISTS (SELECT FROM workspace_limits l WHERE l.workspace_id = j.workspace_id AND l.mode = 'PAUSED')
			ELSE true END`, waiting, queuedJob)
	if err != nil {
		return nil, mapError(err, "look for stranded jobs")
	}
	jobs, err := pgx.CollectRows(rows, rowToJob)
	return jobs, mapError(err, "look for stranded jobs")
}
