package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

const terminalColumns = `id, workspace_id, server_id, event_id, target, target_ref, user_id, user_name, address,
	started_at, seen_at, ended_at, ending, bytes, width, height`

// TerminalPart is a sealed piece of a recording.
type TerminalPart struct {
	Number  int // from 0
	DataKey int // version of the key that seals it
	Sealed  []byte
}

// CreateTerminal notes that a person opens a terminal, before anything is
// started.
func (s *Store) CreateTerminal(ctx context.Context, t *cronium.Terminal) error {
	err := s.workspace(ctx, t.WorkspaceID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			INSERT INTO terminals (id, workspace_id, server_id, event_id, target, target_ref, user_id, user_name, address, width, height)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING started_at, seen_at`,
			t.ID, t.WorkspaceID, t.ServerID, t.EventID, t.Target, t.TargetRef, t.UserID, t.UserName, t.Address, t.Width, t.Height).Scan(&t.StartedAt, &t.SeenAt)
	})
	return mapError(err, "open terminal")
}

// Terminal finds one.
func (s *Store) Terminal(ctx context.Context, workspace, id cronium.ID) (*cronium.Terminal, error) {
	var t cronium.Terminal
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+terminalColumns+` FROM terminals WHERE workspace_id = $1 AND id = $2`, workspace, id)
		if err != nil {
			return err
		}
		t, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[cronium.Terminal])
		return err
	})
	if err != nil {
		return nil, mapError(err, "find terminal")
	}
	return &t, nil
}

// TerminalFilter narrows a list of terminals.
type TerminalFilter struct {
	ServerID *cronium.ID
	EventID  *cronium.ID // in containers of its image
	Before   *cronium.ID // keyset: older than this one
	Limit    int
}

// Terminals lists terminals, the newest first.
func (s *Store) Terminals(ctx context.Context, workspace cronium.ID, f TerminalFilter) ([]cronium.Terminal, error) {
	var list []cronium.Terminal
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+terminalColumns+` FROM terminals
			WHERE workspace_id = $1 AND ($2::uuid IS NULL OR server_id = $2) AND ($3::uuid IS NULL OR id < $3)
			AND ($5::uuid IS NULL OR event_id = $5)
			ORDER BY id DESC LIMIT $4`, workspace, f.ServerID, f.Before, f.Limit, f.EventID)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[cronium.Terminal])
		return err
	})
	return list, mapError(err, "list terminals")
}

// PlaceTerminal stores the container of a terminal. It fails with ErrNotOwner
// where the terminal has one already, or has ended.
func (s *Store) PlaceTerminal(ctx context.Context, workspace, id cronium.ID, ref string) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE terminals SET target_ref = $3, seen_at = now()
			WHERE workspace_id = $1 AND id = $2 AND target_ref = '' AND ended_at IS NULL`, workspace, id, ref)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotOwner
		}
		return err
	})
	if err == ErrNotOwner {
		return err
	}
	return mapError(err, "store the container of a terminal")
}

// HoldTerminal gives the recording to a new connection: earlier ones can add
// nothing any more. It tells where the recording stands, and the number of its
// next part.
func (s *Store) HoldTerminal(ctx context.Context, workspace, id, holder cronium.ID) (bytes int64, next int, err error) {
	err = s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE terminals SET holder = $3, seen_at = now() WHERE workspace_id = $1 AND id = $2 AND ended_at IS NULL RETURNING bytes`,
			workspace, id, holder).Scan(&bytes)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT coalesce(max(number) + 1, 0) FROM terminal_parts WHERE workspace_id = $1 AND terminal_id = $2`, workspace, id).Scan(&next)
	})
	return bytes, next, mapError(err, "hold terminal")
}

// RecordTerminal adds a part to the recording, which then stands at offset to.
// It fails with ErrNotOwner when another connection holds it.
func (s *Store) RecordTerminal(ctx context.Context, workspace, id, holder cronium.ID, to int64, part TerminalPart) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE terminals SET bytes = $4, seen_at = now() WHERE workspace_id = $1 AND id = $2 AND holder = $3`, workspace, id, holder, to)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotOwner
		}
		_, err = tx.Exec(ctx, `INSERT INTO terminal_parts (terminal_id, workspace_id, number, data_key, sealed) VALUES ($1, $2, $3, $4, $5)`,
			id, workspace, part.Number, part.DataKey, part.Sealed)
		return err
	})
	if err == ErrNotOwner {
		return err
	}
	return mapError(err, "record terminal")
}

// TerminalParts reads a recording from a part on, at most limit of them.
func (s *Store) TerminalParts(ctx context.Context, workspace, id cronium.ID, from, limit int) ([]TerminalPart, error) {
	var parts []TerminalPart
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT number, data_key, sealed FROM terminal_parts
			WHERE workspace_id = $1 AND terminal_id = $2 AND number >= $3 ORDER BY number LIMIT $4`, workspace, id, from, limit)
		if err != nil {
			return err
		}
		parts, err = pgx.CollectRows(rows, pgx.RowToStructByName[TerminalPart])
		return err
	})
	return parts, mapError(err, "read recording")
}

// LastTerminalPart is the number of a recording's last part, -1 for none.
func (s *Store) LastTerminalPart(ctx context.Context, workspace, id cronium.ID) (int, error) {
	last := -1
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(max(number), -1) FROM terminal_parts WHERE workspace_id = $1 AND terminal_id = $2`, workspace, id).Scan(&last)
	})
	return last, mapError(err, "read recording")
}

// SeeTerminal notes that somebody is connected.
func (s *Store) SeeTerminal(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE terminals SET seen_at = now() WHERE workspace_id = $1 AND id = $2 AND ended_at IS NULL`, workspace, id)
		return err
	})
	return mapError(err, "note terminal")
}

// EndTerminal notes how a terminal ended. The first end counts.
func (s *Store) EndTerminal(ctx context.Context, workspace, id cronium.ID, ending string) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE terminals SET ended_at = now(), ending = $3 WHERE workspace_id = $1 AND id = $2 AND ended_at IS NULL`, workspace, id, clean(ending))
		return err
	})
	return mapError(err, "end terminal")
}

// SweepTerminals ends those that nobody came back to and removes recordings
// older than keep, at most 1,000 of each in one call.
func (s *Store) SweepTerminals(ctx context.Context, keep time.Duration) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		// A minute more than the shell waits: its end may be on its way.
		_, err := tx.Exec(ctx, `UPDATE terminals SET ended_at = now(), ending = 'Nobody came back to it.' WHERE id IN (
			SELECT id FROM terminals WHERE ended_at IS NULL AND seen_at < now() - $1::interval LIMIT 1000)`, cronium.TerminalLinger+time.Minute)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM terminals WHERE id IN (
			SELECT id FROM terminals WHERE ended_at IS NOT NULL AND id < $1 ORDER BY id LIMIT 1000)`, cronium.IDFloor(time.Now().Add(-keep)))
		return err
	})
	return mapError(err, "sweep terminals")
}

// OpenTerminals lists the person's own terminals that have not ended, on a server
// or in containers of an event's image, the oldest first.
func (s *Store) OpenTerminals(ctx context.Context, workspace, of, user cronium.ID, limit int) ([]cronium.ID, error) {
	var ids []cronium.ID
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id FROM terminals WHERE workspace_id = $1 AND (server_id = $2 OR event_id = $2) AND user_id = $3 AND ended_at IS NULL
			AND seen_at > now() - $4::interval ORDER BY id LIMIT $5`, workspace, of, user, cronium.TerminalLinger, limit)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
		return err
	})
	return ids, mapError(err, "list open terminals")
}

// ContainerTerminals counts the workspace's terminals in containers that have not
// ended.
func (s *Store) ContainerTerminals(ctx context.Context, workspace cronium.ID) (int, error) {
	var count int
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM terminals WHERE workspace_id = $1 AND ended_at IS NULL AND event_id IS NOT NULL`, workspace).Scan(&count)
	})
	return count, mapError(err, "count open terminals")
}
