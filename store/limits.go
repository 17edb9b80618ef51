package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Queue is what bounds a workspace's jobs now.
type Queue struct {
	Limits    cronium.WorkspaceLimits
	Mode      cronium.QueueMode
	ChangedBy string // whoever changed it last; "" = nobody did
	ChangedAt time.Time
}

// WorkspaceQueue reads the limits and the mode of a workspace's queue.
func (s *Store) WorkspaceQueue(ctx context.Context, workspace cronium.ID) (*Queue, error) {
	q := Queue{Mode: cronium.QueueOpen}
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT running, queued, rate_count, rate_seconds, mode, changed_by, changed_at FROM workspace_limits WHERE workspace_id = $1`, workspace).
			Scan(&q.Limits.Running, &q.Limits.Queued, &q.Limits.Rate.Count, &q.Limits.Rate.Seconds, &q.Mode, &q.ChangedBy, &q.ChangedAt)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return &q, mapError(err, "read the queue's limits")
}

// SetWorkspaceLimits stores the limits of a workspace and lets go what waits for
// them and may run now. Problems are CodeInvalid.
func (s *Store) SetWorkspaceLimits(ctx context.Context, workspace cronium.ID, limits cronium.WorkspaceLimits, by string) error {
	if err := limits.Validate().Err("The limits"); err != nil {
		return err
	}
	return s.changeQueue(ctx, workspace, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO workspace_limits (workspace_id, running, queued, rate_count, rate_seconds, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (workspace_id) DO UPDATE SET running = excluded.running, queued = excluded.queued, rate_count = excluded.rate_count,
				rate_seconds = excluded.rate_seconds, changed_by = excluded.changed_by, changed_at = now()`,
			workspace, limits.Running, limits.Queued, limits.Rate.Count, limits.Rate.Seconds, by)
		return err
	})
}

// SetQueueMode opens, pauses or drains the queue of a workspace.
func (s *Store) SetQueueMode(ctx context.Context, workspace cronium.ID, mode cronium.QueueMode, by string) error {
	return s.changeQueue(ctx, workspace, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO workspace_limits (workspace_id, mode, changed_by) VALUES ($1, $2, $3)
			ON CONFLICT (workspace_id) DO UPDATE SET mode = excluded.mode, changed_by = excluded.changed_by, changed_at = now()`, workspace, mode, by)
		return err
	})
}

// changeQueue changes what bounds a workspace, and lets go what may run then.
func (s *Store) changeQueue(ctx context.Context, workspace cronium.ID, change func(pgx.Tx) error) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		g := gates{Workspace: workspace}
		if err := tx.QueryRow(ctx, `SELECT running, mode = 'PAUSED' FROM workspace_limits WHERE workspace_id = $1`, workspace).Scan(&g.Running, &g.Paused); err != nil {
			return err
		}
		if g.Paused {
			return nil
		}
		all := counted{which: `workspace_id = $1`, args: []any{workspace}, waiting: cronium.WaitingPaused}
		if err := release(ctx, tx, all, cronium.ID{}, mostReleased, s.queueEntry()); err != nil {
			return err
		}
		if g.Running > 0 {
			return s.releaseGates(ctx, tx, &g, "", s.queueEntry())
		}
		all.waiting = cronium.WaitingQuota
		return release(ctx, tx, all, cronium.ID{}, mostReleased, s.queueEntry())
	})
	return mapError(err, "change the queue's limits")
}

// QueuedUpTo counts the jobs of a workspace that wait, up to a number.
func (s *Store) QueuedUpTo(ctx context.Context, workspace cronium.ID, most int) (n int, err error) {
	err = s.worker.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM jobs WHERE workspace_id = $1 AND status = 'QUEUED' LIMIT $2) q`, workspace, most).Scan(&n)
	return n, mapError(err, "count jobs that wait")
}
