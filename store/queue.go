package store

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// queueOrder is the order in which jobs of a workspace go: what a person put
// first, then the most urgent, then the oldest. It is exact for jobs that wait
// for a limit; the others go by their turns (jobs/turns.go), which let less
// urgent ones pass now and then.
const queueOrder = `ahead DESC, ` + urgency + `, id`

// urgency is the place of a priority in that order, from 1; rankOf says the same.
const urgency = `array_position(ARRAY['CRITICAL', 'HIGH', 'NORMAL', 'LOW'], priority)`

// queued are the jobs that a look at the queue takes into account: those that
// were put first, and the 10,000 oldest of the others.
const queued = `(
	SELECT * FROM (SELECT * FROM jobs WHERE workspace_id = $1 AND status = 'QUEUED' AND ahead = 0 ORDER BY id LIMIT 10000) oldest
	UNION ALL
	SELECT * FROM jobs WHERE workspace_id = $1 AND status = 'QUEUED' AND ahead > 0) j`

// QueueReason is how many jobs wait for one thing.
type QueueReason struct {
	Waiting     cronium.Waiting // "": for their turn, or until NextAttempt
	EventID     *cronium.ID     // with concurrency, and with a rate of the event
	EventName   string
	Group       string // with group
	Jobs        int
	Running     int        // jobs that hold what they wait for: with concurrency, group and quota
	Limit       int        // of those that may
	NextAttempt *time.Time // the first of them; with rate, and for retries
}

// QueueReasons tells what the jobs of a workspace wait for, most jobs first.
func (s *Store) QueueReasons(ctx context.Context, workspace cronium.ID) ([]QueueReason, error) {
	var reasons []QueueReason
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT r.waiting, r.event_id, coalesce(e.name, ''), r.group_key, r.jobs,
				CASE r.waiting
					WHEN 'concurrency' THEN (SELECT count(*) FROM jobs o WHERE o.workspace_id = $1 AND o.event_id = r.event_id AND o.status IN ('CLAIMED', 'RUNNING'))
					WHEN 'group' THEN (SELECT count(*) FROM jobs o WHERE o.workspace_id = $1 AND o.group_key = r.group_key AND o.group_key <> '' AND o.status IN ('CLAIMED', 'RUNNING'))
					WHEN 'quota' THEN (SELECT count(*) FROM jobs o WHERE o.workspace_id = $1 AND o.status IN ('CLAIMED', 'RUNNING'))
					ELSE 0 END,
				CASE r.waiting WHEN 'concurrency' THEN e.concurrency WHEN 'group' THEN r.group_limit
					WHEN 'quota' THEN coalesce((SELECT running FROM workspace_limits WHERE workspace_id = $1), 0) ELSE 0 END,
				r.next
			FROM (
				SELECT j.waiting, CASE WHEN j.waiting IN ('concurrency', 'rate') THEN j.event_id END AS event_id,
					CASE WHEN j.waiting = 'group' THEN j.group_key ELSE '' END AS group_key, max(j.group_limit) AS group_limit,
					count(*) AS jobs, min(j.next_attempt) AS next
				FROM `+queued+` GROUP BY 1, 2, 3, j.next_attempt IS NULL ORDER BY count(*) DESC LIMIT 50) r
			LEFT JOIN events e ON e.id = r.event_id`, workspace)
		if err != nil {
			return err
		}
		reasons, err = pgx.CollectRows(rows, pgx.RowToStructByPos[QueueReason])
		return err
	})
	return reasons, mapError(err, "tell what waits")
}

// QueueCursor is where a page of the queue begins.
type QueueCursor struct {
	Ahead int        `json:"a"`
	Rank  int        `json:"r"` // of the priority
	ID    cronium.ID `json:"i"`
}

// QueuedJob is a job that waits.
type QueuedJob struct {
	JobRow
	Ahead int // above 0: a person put it before others
}

// QueueJobs lists up to limit jobs of a workspace that wait, the next first. One
// reason restricts it; nil does not. next is where the following page begins;
// nil on the last.
func (s *Store) QueueJobs(ctx context.Context, workspace cronium.ID, reason *cronium.Waiting, after *QueueCursor, limit int) (jobs []QueuedJob, next *QueueCursor, err error) {
	if after == nil {
		after = &QueueCursor{Ahead: 1 << 30}
	}
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT `+jobColumns("j")+`, e.name, e.type, coalesce(v.target, ''), j.ahead
			FROM (
				SELECT * FROM `+queued+`
				WHERE ($2::text IS NULL OR waiting = $2)
					AND (-ahead, `+urgency+`, id) > (-$3::integer, $4::integer, $5::uuid)
				ORDER BY `+queueOrder+` LIMIT $6) j
			JOIN events e ON e.id = j.event_id
			LEFT JOIN event_versions v ON v.event_id = j.event_id AND v.number = j.version
			ORDER BY j.ahead DESC, `+strings.Replace(urgency, "priority", "j.priority", 1)+`, j.id`,
			workspace, reason, after.Ahead, after.Rank, after.ID, limit+1)
		if err != nil {
			return err
		}
		jobs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (QueuedJob, error) {
			var j QueuedJob
			return j, row.Scan(append(scanJob(&j.Job), &j.EventName, &j.EventType, &j.Target, &j.Ahead)...)
		})
		return err
	})
	if len(jobs) > limit {
		jobs = jobs[:limit]
		last := &jobs[limit-1]
		next = &QueueCursor{Ahead: last.Ahead, Rank: rankOf(last.Priority), ID: last.ID}
	}
	return jobs, next, mapError(err, "list jobs that wait")
}

// rankOf is the place of a priority in queueOrder, from 1.
func rankOf(p cronium.Priority) int {
	switch p {
	case cronium.PriorityCritical:
		return 1
	case cronium.PriorityHigh:
		return 2
	case cronium.PriorityLow:
		return 4
	}
	return 3
}

// PutFirst puts a job that waits before all others of its workspace. It fails
// with CodeNotFound, and with CodeConflict when the job does not wait any more.
func (s *Store) PutFirst(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var status cronium.JobStatus
		if err := tx.QueryRow(ctx, `SELECT status FROM jobs WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE`, workspace, id).Scan(&status); err != nil {
			return err
		}
		if status != cronium.JobQueued {
			return cronium.Errorf(cronium.CodeConflict, "The job does not wait any more: it is %s.", status)
		}
		_, err := tx.Exec(ctx, `
			UPDATE jobs SET ahead = 1 + (SELECT coalesce(max(ahead), 0) FROM jobs WHERE workspace_id = $1 AND status = 'QUEUED' AND ahead > 0)
			WHERE workspace_id = $1 AND id = $2`, workspace, id)
		if err != nil {
			return err
		}
		// Its turn becomes that of the first of the workspace.
		_, err = tx.Exec(ctx, `
			UPDATE river_job r SET scheduled_at = first.at - interval '1 microsecond'
			FROM (
				SELECT o.queue, o.scheduled_at AS at FROM river_job o
				WHERE o.state = 'available' AND o.kind = 'run' AND o.args @> jsonb_build_object('workspace_id', $1::uuid)
				ORDER BY o.scheduled_at LIMIT 1) first
			WHERE r.args @> jsonb_build_object('job_id', $2::uuid) AND r.kind = 'run' AND r.state = 'available' AND r.queue = first.queue`, workspace, id)
		return err
	})
	return mapError(err, "put a job first")
}
