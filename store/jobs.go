package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// columns prefixes each name with a table.
func columns(table, names string) string {
	list := strings.Fields(names)
	for i := range list {
		list[i] = table + "." + list[i]
	}
	return strings.Join(list, ", ")
}

func jobColumns(table string) string {
	return columns(table, `id workspace_id event_id version priority status result trigger triggered_by rerun_of
		input output condition attempts next_attempt waiting error cancelled_at cancelled_by claimed_at started_at finished_at
		servers targets targets_succeeded targets_failed source_id fire_at depth group_key group_limit alone follows`)
}

// scanJob gives the destinations of jobColumns.
func scanJob(j *cronium.Job) []any {
	return []any{&j.ID, &j.WorkspaceID, &j.EventID, &j.Version, &j.Priority, &j.Status, &j.Result, &j.Trigger, &j.TriggeredBy, &j.RerunOf,
		&j.Input, &j.Output, &j.Condition, &j.Attempts, &j.NextAttempt, &j.Waiting, &j.Error, &j.CancelledAt, &j.CancelledBy,
		&j.ClaimedAt, &j.StartedAt, &j.FinishedAt, &j.Servers, &j.Targets, &j.Succeeded, &j.Failed,
		&j.Source, &j.FireAt, &j.Depth, &j.GroupKey, &j.GroupLimit, &j.Alone, &j.Follows}
}

func rowToJob(row pgx.CollectableRow) (cronium.Job, error) {
	var j cronium.Job
	return j, row.Scan(scanJob(&j)...)
}

// minuteAgo bounds ids to those of jobs accepted more than a minute ago.
func minuteAgo() cronium.ID { return cronium.IDFloor(time.Now().Add(-time.Minute)) }

// JobRow is a job as lists and pages show it.
type JobRow struct {
	cronium.Job
	EventName string
	EventType cronium.EventType
	Target    cronium.TargetKind
}

// JobFilter chooses jobs. Zero fields do not restrict. Before and After are
// exclusive bounds by id, for paging.
type JobFilter struct {
	IDs     []cronium.ID // only these; none = any
	First   *cronium.ID  // none before this one
	Last    *cronium.ID  // none after this one
	Status  []cronium.JobStatus
	Results []cronium.Result
	EventID *cronium.ID
	Event   string // part of the event's name, in any case
	Trigger cronium.Trigger
	Since   time.Time
	Until   time.Time
	Before  *cronium.ID
	After   *cronium.ID
	Limit   int // 1 to 200; 0 = 50
}

// where builds the condition; every value is a parameter.
func (f JobFilter) where(workspace cronium.ID) (string, []any) {
	conditions, args := []string{"j.workspace_id = $1"}, []any{workspace}
	add := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	if len(f.IDs) > 0 {
		add("j.id = ANY($%d)", f.IDs)
	}
	if f.First != nil {
		add("j.id >= $%d", *f.First)
	}
	if f.Last != nil {
		add("j.id <= $%d", *f.Last)
	}
	if len(f.Status) > 0 {
		add("j.status = ANY($%d)", f.Status)
	}
	if len(f.Results) > 0 {
		add("j.result = ANY($%d)", f.Results)
	}
	if f.EventID != nil {
		add("j.event_id = $%d", *f.EventID)
	}
	if f.Event != "" {
		// The events that match are few; asking for them first keeps the scan
		// of jobs on an index.
		add(`j.event_id IN (SELECT id FROM events WHERE workspace_id = $1 AND strpos(lower(name), lower($%d)) > 0)`, f.Event)
	}
	if f.Trigger != "" {
		add("j.trigger = $%d", f.Trigger)
	}
	if !f.Since.IsZero() {
		add("j.id >= $%d", cronium.IDFloor(f.Since))
	}
	if !f.Until.IsZero() {
		add("j.id < $%d", cronium.IDFloor(f.Until))
	}
	if f.Before != nil {
		add("j.id < $%d", *f.Before)
	}
	if f.After != nil {
		add("j.id > $%d", *f.After)
	}
	return strings.Join(conditions, " AND "), args
}

// Jobs lists jobs, the newest first, without their input and output.
func (s *Store) Jobs(ctx context.Context, workspace cronium.ID, filter JobFilter) ([]JobRow, error) {
	where, args := filter.where(workspace)
	limit := min(max(filter.Limit, 0), 200)
	if limit == 0 {
		limit = 50
	}
	args = append(args, limit)
	list := strings.NewReplacer("j.input", "NULL::json", "j.output", "NULL::json").Replace(jobColumns("j"))
	var jobs []JobRow
	err := s.inWorkspace(ctx, workspace, indexAlone, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT %s, e.name, e.type, coalesce(v.target, '')
			FROM (SELECT j.* FROM jobs j WHERE %s ORDER BY j.id DESC LIMIT $%d) j
			JOIN events e ON e.id = j.event_id
			LEFT JOIN event_versions v ON v.event_id = j.event_id AND v.number = j.version
			ORDER BY j.id DESC`, list, where, len(args)), args...)
		if err != nil {
			return err
		}
		jobs, err = pgx.CollectRows(rows, rowToJobRow)
		return err
	})
	return jobs, mapError(err, "list jobs")
}

func rowToJobRow(row pgx.CollectableRow) (JobRow, error) {
	var r JobRow
	return r, row.Scan(append(scanJob(&r.Job), &r.EventName, &r.EventType, &r.Target)...)
}

// Job finds one job.
func (s *Store) Job(ctx context.Context, workspace, id cronium.ID) (*JobRow, error) {
	var job JobRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT `+jobColumns("j")+`, e.name, e.type, coalesce(v.target, '')
			FROM jobs j JOIN events e ON e.id = j.event_id
			LEFT JOIN event_versions v ON v.event_id = j.event_id AND v.number = j.version
			WHERE j.workspace_id = $1 AND j.id = $2`, workspace, id)
		if err != nil {
			return err
		}
		job, err = pgx.CollectExactlyOneRow(rows, rowToJobRow)
		return err
	})
	if err != nil {
		return nil, mapError(err, "find job")
	}
	return &job, nil
}

// OpenJobCount counts jobs that are not final, up to 10,000.
func (s *Store) OpenJobCount(ctx context.Context, workspace cronium.ID) (int, error) {
	var count int
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM (
			SELECT 1 FROM jobs WHERE workspace_id = $1 AND status = 'QUEUED'
			UNION ALL
			SELECT 1 FROM jobs WHERE workspace_id = $1 AND status IN ('CLAIMED', 'RUNNING')
			LIMIT 10000) o`, workspace).Scan(&count)
	})
	return count, mapError(err, "count open jobs")
}

// Cancel asks for a job to be stopped. A job that waits is final at once; for
// one that runs the wish is stored, and whoever owns its execution carries it
// out. It returns the job's status afterwards; cancelling a final job changes
// nothing.
func (s *Store) Cancel(ctx context.Context, workspace, id cronium.ID, by string) (cronium.JobStatus, error) {
	var status cronium.JobStatus
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) (err error) {
		status, err = cancelJob(ctx, tx, workspace, id, by)
		return err
	})
	return status, mapError(err, "cancel job")
}

func cancelJob(ctx context.Context, tx pgx.Tx, workspace, id cronium.ID, by string) (status cronium.JobStatus, err error) {
	err = tx.QueryRow(ctx, `SELECT status FROM jobs WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE`, workspace, id).Scan(&status)
	if err != nil || status.Final() {
		return status, err
	}
	if _, err := tx.Exec(ctx, `
		WITH waiting AS ( -- locked in the order in which claims do
			SELECT server_id FROM job_targets WHERE workspace_id = $1 AND job_id = $2 AND status IN ('WAITING', 'QUEUED')
			ORDER BY server_id FOR NO KEY UPDATE)
		UPDATE job_targets t SET status = 'CANCELLED', reason = 'Cancelled before it started.', next_attempt = NULL, away_since = NULL, finished_at = now()
		FROM waiting WHERE t.job_id = $2 AND t.server_id = waiting.server_id`, workspace, id); err != nil {
		return status, err
	}
	err = tx.QueryRow(ctx, `
		UPDATE jobs SET cancelled_at = coalesce(cancelled_at, now()),
			cancelled_by = CASE WHEN cancelled_at IS NULL THEN $3 ELSE cancelled_by END,
			status = CASE status WHEN 'QUEUED' THEN 'CANCELLED' ELSE status END,
			result = CASE status WHEN 'QUEUED' THEN 'CANCELLED' ELSE result END,
			finished_at = CASE status WHEN 'QUEUED' THEN now() ELSE finished_at END,
			next_attempt = NULL, waiting = ''
		WHERE workspace_id = $1 AND id = $2 RETURNING status`, workspace, id, by).Scan(&status)
	return status, err
}

// Fail ends a job that is QUEUED and that nobody can ever run, with the reason
// for a person. A job in another state stays as it is.
func (s *Store) Fail(ctx context.Context, id cronium.ID, reason string) error {
	_, err := s.worker.Exec(ctx, `
		UPDATE jobs SET status = 'FAILED', result = 'FAILURE', error = $2, finished_at = now(), next_attempt = NULL, waiting = ''
		WHERE id = $1 AND status = ANY($3)`, id, clean(reason), queuedJob)
	return mapError(err, "end a job that cannot run")
}

// CancelAsked lists the jobs with an open execution of the process for which
// cancel was asked: for one that may have missed the notification.
func (s *Store) CancelAsked(ctx context.Context, process cronium.ID) ([]cronium.ID, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT j.id FROM executions e JOIN jobs j ON j.id = e.job_id
		WHERE e.owner = $1 AND e.status IN ('PENDING', 'RUNNING') AND j.cancelled_at IS NOT NULL`, process)
	if err != nil {
		return nil, mapError(err, "look for cancelled jobs")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	return ids, mapError(err, "look for cancelled jobs")
}
