package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"cronium.dev/cronium"
)

// saveCredential stores a sealed credential, or replaces the one of that id in
// its workspace.
func saveCredential(ctx context.Context, tx pgx.Tx, c *cronium.Credential) error {
	tag, err := tx.Exec(ctx, `INSERT INTO credentials (id, workspace_id, kind, data_key, sealed, hint) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, data_key = excluded.data_key, sealed = excluded.sealed,
			hint = excluded.hint, updated_at = now() WHERE credentials.workspace_id = excluded.workspace_id`,
		c.ID, c.WorkspaceID, c.Kind, c.DataKey, c.Sealed, c.Hint)
	if err == nil && tag.RowsAffected() == 0 {
		return pgx.ErrNoRows
	}
	if foreignKeyBroken(err) {
		return &cronium.Error{Code: cronium.CodeConflict, Message: "Keys were rotated while this was saved. Save it again.", Err: err}
	}
	return err
}

// SaveCredential stores a sealed credential, or replaces the one of that id.
func (s *Store) SaveCredential(ctx context.Context, c *cronium.Credential) error {
	err := s.workspace(ctx, c.WorkspaceID, func(tx pgx.Tx) error { return saveCredential(ctx, tx, c) })
	return mapError(err, "store a credential")
}

// Credential reads a sealed credential.
func (s *Store) Credential(ctx context.Context, workspace, id cronium.ID) (*cronium.Credential, error) {
	c := cronium.Credential{ID: id, WorkspaceID: workspace}
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT kind, data_key, sealed, hint, updated_at FROM credentials WHERE id = $1 AND workspace_id = $2`,
			id, workspace).Scan(&c.Kind, &c.DataKey, &c.Sealed, &c.Hint, &c.UpdatedAt)
	})
	if err != nil {
		return nil, mapError(err, "read a credential")
	}
	return &c, nil
}

// foreignKeyBroken tells whether err says that a row is named by another, or
// names one that is not there.
func foreignKeyBroken(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23503"
}
