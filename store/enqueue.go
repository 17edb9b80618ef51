package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Runnable is what must be known of an event before a job of it is accepted.
type Runnable struct {
	Name    string
	Type    cronium.EventType
	Status  cronium.EventStatus
	Version int               // current
	Mode    cronium.QueueMode // of the workspace's queue
	Queued  int               // jobs of the workspace that may wait; 0 = no limit
}

// Runnable finds an event for running it.
func (s *Store) Runnable(ctx context.Context, workspace, event cronium.ID) (*Runnable, error) {
	var r Runnable
	// One round trip on a worker's connection; the workspace is in the WHERE.
	err := s.worker.QueryRow(ctx, `
		SELECT e.name, e.type, e.status, e.version, coalesce(l.mode, 'OPEN'), coalesce(l.queued, 0)
		FROM events e LEFT JOIN workspace_limits l ON l.workspace_id = e.workspace_id WHERE e.workspace_id = $1 AND e.id = $2`, workspace, event).
		Scan(&r.Name, &r.Type, &r.Status, &r.Version, &r.Mode, &r.Queued)
	if err != nil {
		return nil, mapError(err, "find event")
	}
	return &r, nil
}

// Content finds what a version of an event runs. It fails with CodeNotFound, and
// with ErrDamaged where what is stored is none.
func (s *Store) Content(ctx context.Context, workspace, event cronium.ID, version int) (*cronium.Content, error) {
	var text []byte
	err := s.worker.QueryRow(ctx, `SELECT content FROM event_versions WHERE workspace_id = $1 AND event_id = $2 AND number = $3`, workspace, event, version).
		Scan(&text)
	if err != nil {
		return nil, mapError(err, "find version")
	}
	var content cronium.Content
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("read version %d of event %s: %w: %w", version, event, ErrDamaged, err)
	}
	return &content, nil
}

// Idempotency makes a request that carries a key accepted once. Request is a
// digest of what was asked.
type Idempotency struct {
	Key     string
	Request []byte
}

// Enqueue stores a new job and, in the same transaction, what queue adds: its
// entry in the queue. When the key was used before for the same request, the
// job of then is returned as first and nothing is stored; for another request
// it fails with CodeConflict. It fails with CodeNotFound when the event is gone.
func (s *Store) Enqueue(ctx context.Context, j *cronium.Job, once *Idempotency, queue func(context.Context, pgx.Tx) error) (first *cronium.ID, err error) {
	err = s.workspace(ctx, j.WorkspaceID, func(tx pgx.Tx) error {
		if once != nil {
			if first, err = claimKey(ctx, tx, j, once); err != nil || first != nil {
				return err
			}
		}
		if err := insertJob(ctx, tx, j); err != nil {
			return err
		}
		return queue(ctx, tx)
	})
	return first, mapError(err, "accept job")
}

func claimKey(ctx context.Context, tx pgx.Tx, j *cronium.Job, once *Idempotency) (*cronium.ID, error) {
	tag, err := tx.Exec(ctx, `INSERT INTO idempotency_keys (workspace_id, key, request, job_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		j.WorkspaceID, once.Key, once.Request, j.ID)
	if err != nil || tag.RowsAffected() == 1 {
		return nil, err
	}
	return keyOf(ctx, tx, j.WorkspaceID, once)
}

// Accepted finds the job of a request that was accepted before with the same
// key; nil if there is none. It fails with CodeConflict where the key was used
// for another request.
func (s *Store) Accepted(ctx context.Context, workspace cronium.ID, once *Idempotency) (*JobRow, error) {
	var first *cronium.ID
	err := s.read(ctx, workspace, func(tx pgx.Tx) (err error) {
		first, err = keyOf(ctx, tx, workspace, once)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, mapError(err, "look for an earlier request")
	}
	return s.Job(ctx, workspace, *first)
}

// keyOf gives the job of a key that was used.
func keyOf(ctx context.Context, tx pgx.Tx, workspace cronium.ID, once *Idempotency) (*cronium.ID, error) {
	var request []byte
	var first cronium.ID
	err := tx.QueryRow(ctx, `SELECT request, job_id FROM idempotency_keys WHERE workspace_id = $1 AND key = $2`, workspace, once.Key).Scan(&request, &first)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(request, once.Request) {
		return nil, cronium.Errorf(cronium.CodeConflict, "The idempotency key %q was used for another request. Use a new key for each run.", once.Key)
	}
	return &first, nil
}

// EnqueueTx stores a new job in the caller's transaction, whose scope must show
// the job's workspace, and then what queue adds. It fails with CodeNotFound when
// the event is gone.
func (s *Store) EnqueueTx(ctx context.Context, tx pgx.Tx, j *cronium.Job, queue func(context.Context, pgx.Tx) error) error {
	if err := insertJob(ctx, tx, j); err != nil {
		return mapError(err, "accept job")
	}
	return queue(ctx, tx)
}

func insertJob(ctx context.Context, tx pgx.Tx, j *cronium.Job) error {
	if j.Version < 0 {
		if err := lockDraft(ctx, tx, j); err != nil {
			return err
		}
	}
	// The event is locked against its removal: it must be there, or see this job.
	tag, err := tx.Exec(ctx, `
		INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, trigger, triggered_by, rerun_of, input, servers,
			source_id, fire_at, depth, group_key, group_limit, alone, follows)
		SELECT $1, $2, $3, $4, $5, 'QUEUED', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
		FROM events WHERE workspace_id = $2 AND id = $3 FOR KEY SHARE`,
		j.ID, j.WorkspaceID, j.EventID, j.Version, j.Priority, j.Trigger, j.TriggeredBy, j.RerunOf, j.Input, j.Servers,
		j.Source, j.FireAt, j.Depth, j.GroupKey, j.GroupLimit, j.Alone, j.Follows)
	if err != nil {
		return fmt.Errorf("insert job: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return pgx.ErrNoRows
	}
	return nil
}
