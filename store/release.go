package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// OnRelease says how jobs that a save lets go, because it raises or lifts the
// concurrency limit of their event, get their entry in the queue. Without it
// they wait for the end of another, or for the sweep (Stranded).
func (s *Store) OnRelease(queue queueFunc) { s.release.Store(&queue) }

// releaseSaved lets as many waiting jobs go as the limit of an event that was
// just saved, and is locked, allows.
func (s *Store) releaseSaved(ctx context.Context, tx pgx.Tx, event cronium.ID) error {
	queue := s.release.Load()
	if queue == nil {
		return nil
	}
	var limit, running int
	err := tx.QueryRow(ctx, `
		SELECT concurrency, (SELECT count(*) FROM jobs WHERE event_id = $1 AND status IN ('CLAIMED', 'RUNNING')) FROM events WHERE id = $1`, event).
		Scan(&limit, &running)
	if err != nil {
		return err
	}
	return releaseOf(ctx, tx, event, limit, running, *queue)
}
