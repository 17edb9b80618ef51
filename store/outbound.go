package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// AllowList is what outgoing requests of a workspace may reach beside the internet.
type AllowList struct {
	Entries   []string // as package outbound reads them
	ChangedBy string   // "" = nobody has set one
	ChangedAt time.Time
}

// OutboundAllow reads a workspace's allow list; it is empty where none was set.
func (s *Store) OutboundAllow(ctx context.Context, workspace cronium.ID) (*AllowList, error) {
	var list AllowList
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT entries, changed_by, changed_at FROM outbound_allow WHERE workspace_id = $1`, workspace).
			Scan(&list.Entries, &list.ChangedBy, &list.ChangedAt)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return &list, mapError(err, "read the allow list")
}

// SetOutboundAllow replaces a workspace's allow list.
func (s *Store) SetOutboundAllow(ctx context.Context, workspace cronium.ID, entries []string, by string) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO outbound_allow (workspace_id, entries, changed_by) VALUES ($1, $2, $3)
			ON CONFLICT (workspace_id) DO UPDATE SET entries = excluded.entries, changed_by = excluded.changed_by, changed_at = now()`,
			workspace, texts(entries), by)
		return err
	})
	return mapError(err, "store the allow list")
}
