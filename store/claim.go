package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// ErrNotQueued says that a job cannot be claimed: another process has it, or it
// is final.
var ErrNotQueued = errors.New("the job is not queued any more")

// ErrNoLease says that a process may not claim anything now, because others may
// take it for dead. What was to be claimed waits as before.
var ErrNoLease = errors.New("the lease of this process has ended")

// leased is the condition that the process of a claim is alive for all others,
// by the database's clock of this moment: a lock may have been waited for.
const leased = `EXISTS (SELECT FROM processes p WHERE p.id = asked.owner AND p.lease_until > clock_timestamp())`

// checkLease fails with ErrNoLease unless the lease holds for a second more. It
// comes before a claim, whose own condition then refuses for other reasons only.
func checkLease(ctx context.Context, tx pgx.Tx, process cronium.ID) error {
	var holds bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM processes WHERE id = $1 AND lease_until > clock_timestamp() + interval '1 second')`, process).Scan(&holds)
	if err == nil && !holds {
		return ErrNoLease
	}
	return err
}

// Claim is what a process that takes a job stores of its next execution.
type Claim struct {
	JobID       cronium.ID
	ExecutionID cronium.ID
	Owner       cronium.ID
	Target      cronium.TargetKind
	TargetRef   string // "" when the place is made later
	Warm        bool
}

// Claimed is the job as it stands after the claim.
type Claimed struct {
	Job       cronium.Job
	EventName string
	EventType cronium.EventType
	Limited   bool // a limit counts it: its end may let another run
}

// Claim makes the job CLAIMED and its execution PENDING in one transaction. It
// fails with ErrNotQueued, ErrNoLease or with *Waits. Limits are those of now, whichever
// version the job runs; limited says that there probably is one, which saves
// asking twice.
func (s *Store) Claim(ctx context.Context, claim Claim, limited bool) (*Claimed, error) {
	var claimed *Claimed
	var err error
	if !limited {
		claimed, err = s.claims.do(ctx, claim)
	}
	if claimed == nil && err == nil {
		claimed, err = s.claimLimited(ctx, claim)
	}
	if err != nil {
		return nil, err
	}
	if claimed == nil {
		return nil, ErrNotQueued
	}
	return claimed, nil
}

// claimBatch claims many jobs in one statement. The answer of a job that is not
// QUEUED, or that has a limit to pass, is nil.
func (s *Store) claimBatch(ctx context.Context, claims []Claim) ([]*Claimed, error) {
	answers := make([]*Claimed, len(claims))
	err := s.system(ctx, func(tx pgx.Tx) error {
		claimed, err := claimIn(ctx, tx, claims, false)
		for i := range claims {
			answers[i] = claimed[claims[i].JobID]
			delete(claimed, claims[i].JobID) // a job asked for twice has one winner
		}
		return err
	})
	return answers, mapError(err, "claim jobs")
}

// Statuses that an update of rows by their ids expects. They are parameters, so
// that no index of rows in such a status is taken: it would be read through for
// each of the ids.
var (
	queuedJob     = []string{string(cronium.JobQueued)}
	claimedJob    = []string{string(cronium.JobClaimed)}
	activeJob     = []string{string(cronium.JobClaimed), string(cronium.JobRunning)}
	openExecution = []string{string(cronium.ExecutionPending), string(cronium.ExecutionRunning)}
)

// claimIn claims jobs that are QUEUED: those with limits only where limited says
// that they have been passed.
func claimIn(ctx context.Context, tx pgx.Tx, claims []Claim, limited bool) (map[cronium.ID]*Claimed, error) {
	n := len(claims)
	jobs, executions, owners := make([]cronium.ID, n), make([]cronium.ID, n), make([]cronium.ID, n)
	targets, refs, warm := make([]string, n), make([]string, n), make([]bool, n)
	for i, c := range claims {
		jobs[i], executions[i], owners[i] = c.JobID, c.ExecutionID, c.Owner
		targets[i], refs[i], warm[i] = string(c.Target), c.TargetRef, c.Warm
	}
	rows, err := tx.Query(ctx, `
		WITH asked AS (
			SELECT DISTINCT ON (job_id) * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bool[])
				AS a (job_id, execution_id, owner, target, target_ref, warm)),
		claimed AS (
			UPDATE jobs SET status = 'CLAIMED', claimed_at = now(), attempts = attempts + 1, next_attempt = NULL, waiting = ''
			FROM asked WHERE jobs.id = asked.job_id AND jobs.status = ANY($7) AND jobs.cancelled_at IS NULL
				AND `+leased+` AND ($8 OR `+gateless+`)
			RETURNING jobs.*, asked.execution_id, asked.owner, asked.target, asked.target_ref, asked.warm),
		made AS (
			INSERT INTO executions (id, workspace_id, job_id, attempt, target, target_ref, status, owner, warm)
			SELECT execution_id, workspace_id, id, attempts, target, target_ref, 'PENDING', owner, warm FROM claimed)
		SELECT `+jobColumns("j")+`, e.name, e.type, `+limitedJob+` FROM claimed j JOIN events e ON e.id = j.event_id`,
		jobs, executions, owners, targets, refs, warm, queuedJob, limited)
	if err != nil {
		return nil, err
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Claimed, error) {
		var c Claimed
		return &c, row.Scan(append(scanJob(&c.Job), &c.EventName, &c.EventType, &c.Limited)...)
	})
	claimed := make(map[cronium.ID]*Claimed, n)
	for _, c := range found {
		claimed[c.Job.ID] = c
	}
	return claimed, err
}

// claimLimited claims one job that has limits to pass.
func (s *Store) claimLimited(ctx context.Context, claim Claim) (*Claimed, error) {
	var claimed *Claimed
	var waits *Waits
	err := s.system(ctx, func(tx pgx.Tx) (err error) {
		if waits, err = s.pass(ctx, tx, claim.JobID); err != nil || waits != nil {
			return err
		}
		if err := checkLease(ctx, tx, claim.Owner); err != nil {
			return err
		}
		found, err := claimIn(ctx, tx, []Claim{claim}, true)
		claimed = found[claim.JobID]
		return err
	})
	if err == nil && waits != nil {
		return nil, waits
	}
	if errors.Is(err, ErrNotQueued) || errors.Is(err, ErrNoLease) {
		return nil, err
	}
	return claimed, mapError(err, "claim job")
}

// SetPlace stores where a claimed execution will run, before anything is
// started there, while the process's lease is valid. before is the reference that it replaces, "" for none: a place
// that was gone before it was used. It may be called again when an answer was
// lost. It fails with ErrNotOwner when the execution was or may be taken over.
func (s *Store) SetPlace(ctx context.Context, execution, owner cronium.ID, before, ref string) error {
	tag, err := s.worker.Exec(ctx, `UPDATE executions SET target_ref = $4 WHERE id = $1 AND owner = $2 AND status = 'PENDING' AND target_ref IN ($3, $4)
		AND EXISTS (SELECT FROM processes p WHERE p.id = $2 AND p.lease_until > clock_timestamp())`, execution, owner, before, ref)
	return changedOne(tag.RowsAffected(), err, "store where the execution runs")
}

// ErrNotOwner says that an execution belongs to another process now, or is
// final: whoever gets it must stop writing, and must leave the place alone.
var ErrNotOwner = errors.New("the execution belongs to another process")

// changedOne tells a state change that found its row from one that did not.
func changedOne(count int64, err error, what string) error {
	if err == nil && count == 0 {
		return ErrNotOwner
	}
	return mapError(err, what)
}
