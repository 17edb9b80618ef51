package store

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// CreateToken stores a new API token by its hash.
func (s *Store) CreateToken(ctx context.Context, t *cronium.Token, hash []byte) error {
	err := s.workspace(ctx, t.WorkspaceID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `INSERT INTO api_tokens (id, workspace_id, user_id, name, prefix, hash, scope, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING created_at`,
			t.ID, t.WorkspaceID, t.UserID, t.Name, t.Prefix, hash, t.Scope, t.ExpiresAt).Scan(&t.CreatedAt)
	})
	return mapError(err, "create token")
}

// Tokens lists the API tokens of a person that are not revoked, newest first.
func (s *Store) Tokens(ctx context.Context, workspace, user cronium.ID) ([]cronium.Token, error) {
	var tokens []cronium.Token
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, workspace_id, user_id, name, prefix, scope, created_at, expires_at, last_used_at, revoked_at
			FROM api_tokens WHERE workspace_id = $1 AND user_id = $2 AND revoked_at IS NULL
			ORDER BY created_at DESC, id DESC`, workspace, user)
		if err != nil {
			return err
		}
		tokens, err = pgx.CollectRows(rows, pgx.RowToStructByName[cronium.Token])
		return err
	})
	return tokens, mapError(err, "list tokens")
}

// RevokeToken ends one of the person's own tokens at once. Revoking a token
// that is revoked already changes nothing.
func (s *Store) RevokeToken(ctx context.Context, workspace, user, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var revoked time.Time
		return tx.QueryRow(ctx, `UPDATE api_tokens SET revoked_at = coalesce(revoked_at, now())
			WHERE workspace_id = $1 AND user_id = $2 AND id = $3 RETURNING revoked_at`, workspace, user, id).Scan(&revoked)
	})
	return mapError(err, "revoke token")
}

// TokenPrincipal is who asks with the token that has the hash: its owner, with
// the role that the owner has now. It fails with cronium.ErrNotFound for a
// token that is unknown, expired or revoked, or whose owner is no member any
// more. The use is noted once a minute.
func (s *Store) TokenPrincipal(ctx context.Context, hash []byte) (*cronium.Principal, error) {
	var p cronium.Principal
	var id cronium.ID
	var stored []byte
	var note bool
	err := s.worker.QueryRow(ctx, `SELECT t.id, t.hash, t.name, t.scope, t.workspace_id, u.id, u.name, u.email, u.instance_admin, m.role,
			t.last_used_at IS NULL OR t.last_used_at < date_trunc('minute', now())
		FROM api_tokens t
		JOIN users u ON u.id = t.user_id
		JOIN memberships m ON m.workspace_id = t.workspace_id AND m.user_id = t.user_id
		WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())`, hash,
	).Scan(&id, &stored, &p.TokenName, &p.Scope, &p.WorkspaceID, &p.UserID, &p.UserName, &p.Email, &p.InstanceAdmin, &p.Role, &note)
	if err != nil {
		return nil, mapError(err, "look up token")
	}
	if subtle.ConstantTimeCompare(stored, hash) != 1 {
		return nil, cronium.ErrNotFound
	}
	p.TokenID = &id
	if note {
		_, err = s.worker.Exec(ctx, `UPDATE api_tokens SET last_used_at = date_trunc('minute', now())
			WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', now()))`, id)
	}
	return &p, mapError(err, "note use of token")
}
