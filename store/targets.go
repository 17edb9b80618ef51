package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Resolution is a job on servers whose targets are to be found.
type Resolution struct {
	JobID   cronium.ID
	Fleet   *cronium.Fleet
	Matches func(*cronium.Server) bool // the fleet's selector; nil when it names its servers
	Queue   *TargetQueue
}

// Resolve claims a job that runs on servers: it finds which they are, writes them
// down and releases the first ones, in one transaction. Only id, name, kind,
// environment and tags of a server are set when Matches is asked. A job for
// which there is no server has failed. It fails with ErrNotQueued or with *Waits.
func (s *Store) Resolve(ctx context.Context, r Resolution) (*cronium.Job, error) {
	var job cronium.Job
	var waits *Waits
	err := s.system(ctx, func(tx pgx.Tx) (err error) {
		if waits, err = s.pass(ctx, tx, r.JobID); err != nil || waits != nil {
			return err
		}
		if job, err = claimFleet(ctx, tx, r.JobID); err != nil {
			return err
		}
		return s.resolveIn(ctx, tx, &job, r)
	})
	switch {
	case errors.Is(err, ErrNotQueued):
		return nil, ErrNotQueued
	case err != nil:
		return nil, mapError(err, "find the servers of a job")
	case waits != nil:
		return nil, waits
	}
	return &job, nil
}

func claimFleet(ctx context.Context, tx pgx.Tx, id cronium.ID) (cronium.Job, error) {
	rows, err := tx.Query(ctx, `
		UPDATE jobs j SET status = 'CLAIMED', claimed_at = now(), attempts = 1, next_attempt = NULL, waiting = ''
		WHERE id = $1 AND status = ANY($2) AND cancelled_at IS NULL RETURNING `+jobColumns("j"), id, queuedJob)
	if err != nil {
		return cronium.Job{}, err
	}
	job, err := pgx.CollectExactlyOneRow(rows, rowToJob)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotQueued
	}
	return job, err
}

func (s *Store) resolveIn(ctx context.Context, tx pgx.Tx, job *cronium.Job, r Resolution) error {
	chosen := r.Fleet.Servers
	if job.Servers != nil {
		chosen = job.Servers
	}
	targets, err := findTargets(ctx, tx, job.WorkspaceID, chosen, r)
	if err != nil {
		return err
	}
	locked := &fleetJob{*job}
	locked.Targets = len(targets)
	if len(targets) == 0 || len(targets) > cronium.MaxTargets {
		job.Status, job.Result, job.Error = cronium.JobFailed, cronium.ResultFailure, unresolved(r.Fleet, len(targets))
		if _, err := tx.Exec(ctx, `UPDATE jobs SET status = 'FAILED', result = 'FAILURE', error = $2, finished_at = now() WHERE id = $1`, job.ID, job.Error); err != nil {
			return err
		}
		return s.releaseWaiting(ctx, tx, job.ID, r.Queue.Job)
	}
	if err := insertTargets(ctx, tx, job, targets); err != nil {
		return err
	}
	if err := settle(ctx, tx, locked, firstWave(r.Fleet), r.Queue); err != nil {
		return err
	}
	job.Status, job.Result, job.Targets = locked.Status, locked.Result, len(targets)
	if job.Status.Final() {
		return s.releaseWaiting(ctx, tx, job.ID, r.Queue.Job)
	}
	return nil
}

// firstWave is the fleet without its pause: servers that cannot run at all have
// ended already, and are no batch to pause after.
func firstWave(fleet *cronium.Fleet) *cronium.Fleet {
	f := *fleet
	f.PauseSeconds = 0
	return &f
}

func unresolved(fleet *cronium.Fleet, n int) string {
	switch {
	case n > 0:
		return fmt.Sprintf("%d servers match, and one job runs on at most %d. Nothing was run. Choose fewer, in several events.", n, cronium.MaxTargets)
	case fleet.Selector != "":
		return fmt.Sprintf("No server matches %q now, so nothing was run. Change the selector under Where, or the servers' tags.", fleet.Selector)
	}
	return "The event names no server, so nothing was run. Choose some under Where."
}

// candidate is a server that a job may run on.
type candidate struct {
	cronium.Server
	online bool
}

// findTargets gives the servers of a job in the order of their release: as they
// were named, or by name. A named one that is archived or gone is among them,
// and has failed. What shall run on any of them tries those that are online
// first.
func findTargets(ctx context.Context, tx pgx.Tx, workspace cronium.ID, chosen []cronium.ID, r Resolution) ([]cronium.JobTarget, error) {
	rows, err := tx.Query(ctx, `
		SELECT s.id, s.name, s.kind, s.environment, s.tags, s.archived_at, coalesce(t.state = 'ONLINE', false)
		FROM servers s LEFT JOIN server_states t ON t.server_id = s.id
		WHERE s.workspace_id = $1 AND CASE WHEN $3 THEN s.id = ANY($2) ELSE s.archived_at IS NULL END ORDER BY lower(s.name), s.id`, workspace, chosen, chosen != nil)
	if err != nil {
		return nil, err
	}
	candidates, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (candidate, error) {
		var c candidate
		return c, row.Scan(&c.ID, &c.Name, &c.Kind, &c.Environment, &c.Tags, &c.ArchivedAt, &c.online)
	})
	if err != nil {
		return nil, err
	}
	if chosen != nil {
		candidates = inOrder(candidates, chosen)
	} else {
		candidates = slices.DeleteFunc(candidates, func(c candidate) bool { return !r.Matches(&c.Server) })
	}
	if r.Fleet.Strategy == cronium.StrategyAny {
		slices.SortStableFunc(candidates, func(a, b candidate) int {
			switch {
			case a.online == b.online:
				return 0
			case a.online:
				return -1
			}
			return 1
		})
	}
	targets := make([]cronium.JobTarget, len(candidates))
	for i, c := range candidates {
		targets[i] = cronium.JobTarget{ServerID: c.ID, Position: i, Kind: c.Kind, Name: c.Name, Status: cronium.TargetWaiting}
		if c.ArchivedAt != nil {
			targets[i].Status, targets[i].Reason = cronium.TargetFailure, "The server is archived. Restore it, or remove it from the event."
		}
		if c.Name == "" {
			targets[i].Name, targets[i].Status, targets[i].Reason = "(deleted)", cronium.TargetFailure, "The server was deleted. Remove it from the event."
		}
	}
	return targets, nil
}

// inOrder gives the candidates as they were chosen, with a nameless one for each
// that is gone.
func inOrder(candidates []candidate, chosen []cronium.ID) []candidate {
	byID := make(map[cronium.ID]candidate, len(candidates))
	for _, c := range candidates {
		byID[c.ID] = c
	}
	ordered := make([]candidate, len(chosen))
	for i, id := range chosen {
		c, ok := byID[id]
		if !ok {
			c.ID, c.Kind = id, cronium.ServerSSH
		}
		ordered[i] = c
	}
	return ordered
}

func insertTargets(ctx context.Context, tx pgx.Tx, job *cronium.Job, targets []cronium.JobTarget) error {
	n := len(targets)
	servers, kinds, names, statuses, reasons := make([]cronium.ID, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i, t := range targets {
		servers[i], kinds[i], names[i], statuses[i], reasons[i] = t.ServerID, string(t.Kind), t.Name, string(t.Status), t.Reason
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO job_targets (job_id, workspace_id, server_id, position, kind, name, status, reason, finished_at)
		SELECT $1, $2, a.server_id, a.position - 1, a.kind, a.name, a.status, a.reason, CASE WHEN a.status <> 'WAITING' THEN now() END
		FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY AS a (server_id, kind, name, status, reason, position)`,
		job.ID, job.WorkspaceID, servers, kinds, names, statuses, reasons)
	if err != nil {
		return fmt.Errorf("write down the servers of a job: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE jobs SET targets = $2 WHERE id = $1`, job.ID, n)
	return err
}

// Away says that a queued target could not be reached.
type Away struct {
	JobID    cronium.ID
	ServerID cronium.ID
	Reason   string        // for a person
	Next     time.Duration // until it is tried again
	Fleet    *cronium.Fleet
	Queue    *TargetQueue
}

// Away notes it, and lets another server be tried where one is as good as any. It
// tells false for a target that is not QUEUED any more.
func (s *Store) Away(ctx context.Context, a Away) (bool, error) {
	found := false
	note := func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE job_targets SET reason = $3, away_since = coalesce(away_since, now()), next_attempt = now() + $4::interval
			WHERE job_id = $1 AND server_id = $2 AND status = 'QUEUED'`, a.JobID, a.ServerID, clean(a.Reason), a.Next)
		found = tag.RowsAffected() > 0
		return err
	}
	err := s.system(ctx, func(tx pgx.Tx) error {
		if a.Fleet.Strategy != cronium.StrategyAny {
			return note(tx)
		}
		of := func(*fleetJob) (*cronium.Fleet, *TargetQueue) { return a.Fleet, a.Queue }
		return s.settleLimited(ctx, tx, []cronium.ID{a.JobID}, false, of, func([]*fleetJob) error { return note(tx) })
	})
	return found, mapError(err, "note that a server cannot be reached")
}
