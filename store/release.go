package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

type queueFunc = func(ctx context.Context, tx pgx.Tx, job cronium.Job, at time.Time) error

// OnRelease says how jobs that the store lets go, because a limit was raised or
// another job has ended, get their entry in the queue. Without it they wait for
// the sweep (Stranded).
func (s *Store) OnRelease(queue queueFunc) { s.release.Store(&queue) }

// queueEntry is what OnRelease was told.
func (s *Store) queueEntry() queueFunc {
	if queue := s.release.Load(); queue != nil {
		return *queue
	}
	return nil
}

// mostReleased bounds how many jobs one transaction lets go when a limit was
// lifted. The sweep lets the others go (Stranded).
const mostReleased = 2000

// releaseWaiting puts as many jobs that wait for the gates of one into the queue
// as there is room for now. It locks the gates.
func (s *Store) releaseWaiting(ctx context.Context, tx pgx.Tx, job cronium.ID, queue queueFunc) error {
	if err := lockGates(ctx, tx, job); err != nil {
		return err
	}
	g, err := gatesOf(ctx, tx, job)
	if err != nil {
		return err
	}
	return s.releaseGates(ctx, tx, g, "", queue)
}

// releaseGates is releaseWaiting for locked gates. The job itself stays, and so do
// those that wait for full, a gate that has no room; "" = none is known.
func (s *Store) releaseGates(ctx context.Context, tx pgx.Tx, g *gates, full cronium.Waiting, queue queueFunc) error {
	if g.Paused {
		return nil
	}
	for _, gate := range g.counted() {
		if gate.waiting == full {
			continue
		}
		running, err := gate.running(ctx, tx)
		if err != nil {
			return err
		}
		if err := release(ctx, tx, gate, g.Job, gate.limit-running, queue); err != nil {
			return err
		}
	}
	return nil
}

// release lets up to room jobs go that wait for a gate: what a person put first,
// then the most urgent.
func release(ctx context.Context, tx pgx.Tx, gate counted, but cronium.ID, room int, queue queueFunc) error {
	if room <= 0 || queue == nil {
		return nil
	}
	n := len(gate.args)
	rows, err := tx.Query(ctx, fmt.Sprintf(`
		UPDATE jobs j SET waiting = '' FROM (
			SELECT id FROM jobs WHERE %s AND status = 'QUEUED' AND waiting = '%s' AND id <> $%d
			ORDER BY %s LIMIT $%d) w
		WHERE j.id = w.id RETURNING `+jobColumns("j"), gate.which, gate.waiting, n+1, queueOrder, n+2), append(slices.Clone(gate.args), but, min(room, mostReleased))...)
	if err != nil {
		return err
	}
	jobs, err := pgx.CollectRows(rows, rowToJob)
	if err != nil {
		return err
	}
	for _, job := range jobs {
		if err := queue(ctx, tx, job, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// releaseEvent lets as many jobs go that wait for an event's limit as it allows
// now that it was changed. The event is locked.
func (s *Store) releaseEvent(ctx context.Context, tx pgx.Tx, workspace, event cronium.ID) error {
	g := gates{Workspace: workspace, Event: event}
	if err := tx.QueryRow(ctx, `SELECT concurrency FROM events WHERE id = $1`, event).Scan(&g.Concurrency); err != nil {
		return err
	}
	if g.Concurrency > 0 {
		return s.releaseGates(ctx, tx, &g, "", s.queueEntry())
	}
	g.Concurrency = 1 // for the gate; there is no limit any more
	return release(ctx, tx, g.counted()[0], cronium.ID{}, mostReleased, s.queueEntry())
}
