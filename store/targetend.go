package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// TargetEnd is the end of an execution on a server, or of a target that gets
// none, and what follows for its job.
type TargetEnd struct {
	Finish     // with Retry: the target is QUEUED again; without ExecutionID: the target ends as it is QUEUED
	ServerID   cronium.ID
	Kind       cronium.ServerKind
	Status     cronium.TargetStatus // without ExecutionID; else it is the execution's
	OutputHash []byte
	Fleet      *cronium.Fleet
	Queue      *TargetQueue
}

// EndTarget makes an execution final and its target final or QUEUED for a retry,
// and carries out what follows for the job, in one transaction with the ends of
// other targets that come at the same time. It fails with ErrNotOwner when the
// execution is not the owner's any more, or the target not QUEUED; then nothing
// was stored.
func (s *Store) EndTarget(ctx context.Context, end TargetEnd) error {
	ok, err := s.targetEnds.do(ctx, end)
	if err == nil && !ok {
		err = ErrNotOwner
	}
	return err
}

func (s *Store) endTargetBatch(ctx context.Context, batch []TargetEnd) ([]bool, error) {
	answers := make([]bool, len(batch))
	err := s.system(ctx, func(tx pgx.Tx) error {
		clear(answers)
		return s.endTargetsIn(ctx, tx, batch, answers)
	})
	return answers, mapError(err, "end targets of jobs")
}

// endTargetsIn locks in the order in which starts do: executions, then jobs.
func (s *Store) endTargetsIn(ctx context.Context, tx pgx.Tx, batch []TargetEnd, answers []bool) error {
	ended, err := endOnServers(ctx, tx, batch)
	if err != nil {
		return err
	}
	byJob := map[cronium.ID]*TargetEnd{}
	limited := false
	for i := range batch {
		if end := &batch[i]; end.ExecutionID == (cronium.ID{}) || slices.Contains(ended, end.ExecutionID) {
			answers[i] = true
			byJob[end.JobID] = end
			limited = limited || end.Limited
		}
	}
	if len(byJob) == 0 {
		return nil
	}
	ids := make([]cronium.ID, 0, len(byJob))
	for id := range byJob {
		ids = append(ids, id)
	}
	of := func(job *fleetJob) (*cronium.Fleet, *TargetQueue) { return byJob[job.ID].Fleet, byJob[job.ID].Queue }
	return s.settleLimited(ctx, tx, ids, limited, of, func(jobs []*fleetJob) error {
		return updateTargets(ctx, tx, jobs, batch, answers)
	})
}

// endOnServers ends the executions of a batch, and gives those that were open and
// their owner's.
func endOnServers(ctx context.Context, tx pgx.Tx, batch []TargetEnd) ([]cronium.ID, error) {
	finishes := make([]Finish, 0, len(batch))
	for _, end := range batch {
		if end.ExecutionID != (cronium.ID{}) {
			finishes = append(finishes, end.Finish)
		}
	}
	if len(finishes) == 0 {
		return nil, nil
	}
	return endExecutions(ctx, tx, finishes, false)
}

// updateTargets stores what became of the targets whose answer is true, and puts
// those that are run again into the queue. The answers of those that were not
// as expected become false.
func updateTargets(ctx context.Context, tx pgx.Tx, jobs []*fleetJob, batch []TargetEnd, answers []bool) error {
	cancelled := map[cronium.ID]bool{}
	for _, job := range jobs {
		cancelled[job.ID] = job.CancelledAt != nil
	}
	var u targetUpdates
	for i, end := range batch {
		if answers[i] {
			u.add(end, cancelled[end.JobID])
		}
	}
	rows, err := tx.Query(ctx, `
		WITH changed AS (
			UPDATE job_targets t SET status = a.status, reason = a.reason, next_attempt = now() + a.retry, away_since = NULL,
				exit_code = a.exit_code, output = a.output::json, condition = a.condition, output_hash = a.hash,
				finished_at = CASE WHEN a.retry IS NULL THEN now() END
			FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::interval[], $7::int[], $8::text[], $9::bool[], $10::bytea[])
				AS a (job_id, server_id, execution_id, status, reason, retry, exit_code, output, condition, hash)
			WHERE t.job_id = a.job_id AND t.server_id = a.server_id
				AND CASE WHEN a.execution_id IS NULL THEN t.status = 'QUEUED' ELSE t.execution_id = a.execution_id AND t.status = 'RUNNING' END
			RETURNING t.job_id, t.server_id, t.kind, t.next_attempt)
		SELECT c.*, s.holder FROM changed c LEFT JOIN server_states s ON s.server_id = c.server_id`,
		u.jobs, u.servers, u.executions, u.statuses, u.reasons, u.retries, u.codes, u.outputs, u.conditions, u.hashes)
	if err != nil {
		return err
	}
	type key struct{ job, server cronium.ID }
	done := map[key]bool{}
	again := map[cronium.ID][]Released{}
	var k key
	var r Released
	var next *time.Time
	_, err = pgx.ForEachRow(rows, []any{&k.job, &k.server, &r.Kind, &next, &r.Holder}, func() error {
		done[k] = true
		if next != nil {
			again[k.job] = append(again[k.job], Released{ServerID: k.server, Kind: r.Kind, Holder: r.Holder, At: *next})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, end := range batch {
		answers[i] = answers[i] && done[key{end.JobID, end.ServerID}]
	}
	return requeueTargets(ctx, tx, jobs, batch, again)
}

func requeueTargets(ctx context.Context, tx pgx.Tx, jobs []*fleetJob, batch []TargetEnd, again map[cronium.ID][]Released) error {
	for _, job := range jobs {
		if len(again[job.ID]) == 0 {
			continue
		}
		i := slices.IndexFunc(batch, func(end TargetEnd) bool { return end.JobID == job.ID })
		if err := batch[i].Queue.Targets(ctx, tx, job.Job, again[job.ID]); err != nil {
			return err
		}
	}
	return nil
}

// targetUpdates are the columns of what updateTargets stores.
type targetUpdates struct {
	jobs, servers     []cronium.ID
	executions        []*cronium.ID
	statuses, reasons []string
	retries           []*time.Duration
	codes             []*int
	outputs           []*string
	conditions        []*bool
	hashes            [][]byte
}

func (u *targetUpdates) add(end TargetEnd, cancelled bool) {
	status, retry := end.Status, end.Retry
	var execution *cronium.ID
	if end.ExecutionID != (cronium.ID{}) {
		execution, status = &end.ExecutionID, cronium.TargetStatus(end.Finish.Status)
	}
	switch {
	case retry != nil && cancelled:
		status, retry = cronium.TargetCancelled, nil // a retry would have followed
	case retry != nil:
		status = cronium.TargetQueued
	}
	u.jobs, u.servers, u.executions = append(u.jobs, end.JobID), append(u.servers, end.ServerID), append(u.executions, execution)
	u.statuses, u.reasons = append(u.statuses, string(status)), append(u.reasons, clean(end.Error))
	u.retries, u.codes = append(u.retries, retry), append(u.codes, end.ExitCode)
	u.outputs, u.conditions, u.hashes = append(u.outputs, jsonText(end.Output)), append(u.conditions, end.Condition), append(u.hashes, end.OutputHash)
}
