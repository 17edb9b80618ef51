package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

const webhookColumns = `w.id, w.workspace_id, w.event_id, w.hook, w.name, w.style, w.header, w.timestamp_header, w.window_seconds, w.once_header,
	w.headers, w.allow, w.wait_seconds, w.rate_per_minute, w.enabled, w.changed_by, w.created_at, w.updated_at`

// scanWebhook gives the destinations of webhookColumns.
func scanWebhook(w *cronium.Webhook) []any {
	return []any{&w.ID, &w.WorkspaceID, &w.EventID, &w.Hook, &w.Name, &w.Style, &w.Header, &w.TimestampHeader, &w.WindowSeconds, &w.OnceHeader,
		&w.Headers, &w.Allow, &w.WaitSeconds, &w.RatePerMinute, &w.Enabled, &w.ChangedBy, &w.CreatedAt, &w.UpdatedAt}
}

// WebhookRow is a webhook as lists show it.
type WebhookRow struct {
	cronium.Webhook
	EventName   string
	EventStatus cronium.EventStatus
	LastAt      *time.Time // of the newest delivery; nil: none is kept
	LastVerdict cronium.Verdict
}

// CreateWebhook stores a webhook with its first secret. It fails with
// CodeNotFound where the event is none of the workspace, and with CodeConflict
// where the name is taken or the event has as many as it may.
func (s *Store) CreateWebhook(ctx context.Context, w *cronium.Webhook, secret *cronium.WebhookSecret) error {
	err := s.workspace(ctx, w.WorkspaceID, func(tx pgx.Tx) error {
		// The lock is for the count as well.
		tag, err := tx.Exec(ctx, `SELECT FROM events WHERE workspace_id = $1 AND id = $2 FOR NO KEY UPDATE`, w.WorkspaceID, w.EventID)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return pgx.ErrNoRows
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM webhooks WHERE event_id = $1`, w.EventID).Scan(&n); err != nil {
			return err
		}
		if n >= cronium.MaxEventWebhooks {
			return cronium.Errorf(cronium.CodeConflict, "The event has %d webhooks, as many as it may. Delete one first.", n)
		}
		err = tx.QueryRow(ctx, `INSERT INTO webhooks (id, workspace_id, event_id, hook, name, style, header, timestamp_header, window_seconds, once_header,
				headers, allow, wait_seconds, rate_per_minute, enabled, changed_by)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) RETURNING created_at, updated_at`,
			w.ID, w.WorkspaceID, w.EventID, w.Hook, w.Name, w.Style, w.Header, w.TimestampHeader, w.WindowSeconds, w.OnceHeader,
			texts(w.Headers), texts(w.Allow), w.WaitSeconds, w.RatePerMinute, w.Enabled, w.ChangedBy).Scan(&w.CreatedAt, &w.UpdatedAt)
		if err != nil {
			return webhookNameTaken(err, w.Name)
		}
		return insertWebhookSecret(ctx, tx, w.WorkspaceID, w.ID, secret)
	})
	return mapError(err, "create webhook")
}

// texts is a list that is never NULL.
func texts(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func webhookNameTaken(err error, name string) error {
	var e *cronium.Error
	if mapped := mapError(err, "store webhook"); errors.As(mapped, &e) && e.Code == cronium.CodeConflict {
		return &cronium.Error{Code: cronium.CodeConflict, Message: "There is a webhook " + name + " in this workspace already. Choose another name.",
			Fields: cronium.Problems{{Field: "name", Message: "is taken"}}}
	}
	return err
}

func insertWebhookSecret(ctx context.Context, tx pgx.Tx, workspace, webhook cronium.ID, secret *cronium.WebhookSecret) error {
	err := tx.QueryRow(ctx, `INSERT INTO webhook_secrets (id, workspace_id, webhook_id, data_key, sealed) VALUES ($1, $2, $3, $4, $5) RETURNING created_at`,
		secret.ID, workspace, webhook, secret.DataKey, secret.Sealed).Scan(&secret.CreatedAt)
	if foreignKeyBroken(err) {
		return &cronium.Error{Code: cronium.CodeConflict, Message: "Keys were rotated while this was saved. Save it again.", Err: err}
	}
	return err
}

// ChangeWebhook changes a webhook, which nobody else changes meanwhile. What
// change returns as an error is returned. It fails with CodeNotFound, and with
// CodeConflict where the name is taken.
func (s *Store) ChangeWebhook(ctx context.Context, workspace, id cronium.ID, change func(*cronium.Webhook) error) (*cronium.Webhook, error) {
	var w cronium.Webhook
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT `+webhookColumns+` FROM webhooks w WHERE w.workspace_id = $1 AND w.id = $2 FOR UPDATE`, workspace, id).
			Scan(scanWebhook(&w)...)
		if err != nil {
			return err
		}
		if err := change(&w); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `UPDATE webhooks SET name = $2, style = $3, header = $4, timestamp_header = $5, window_seconds = $6, once_header = $7,
				headers = $8, allow = $9, wait_seconds = $10, rate_per_minute = $11, enabled = $12, changed_by = $13, updated_at = now()
			WHERE id = $1 RETURNING updated_at`,
			id, w.Name, w.Style, w.Header, w.TimestampHeader, w.WindowSeconds, w.OnceHeader, texts(w.Headers), texts(w.Allow),
			w.WaitSeconds, w.RatePerMinute, w.Enabled, w.ChangedBy).Scan(&w.UpdatedAt)
		return webhookNameTaken(err, w.Name)
	})
	if err != nil {
		return nil, mapError(err, "change webhook")
	}
	return &w, nil
}

// DeleteWebhook deletes a webhook with its secrets and deliveries; its jobs stay.
func (s *Store) DeleteWebhook(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM webhooks WHERE workspace_id = $1 AND id = $2`, workspace, id)
		if err == nil && tag.RowsAffected() == 0 {
			err = pgx.ErrNoRows
		}
		return err
	})
	return mapError(err, "delete webhook")
}

// RollWebhookSecret stores a new secret of a webhook. Those of before count for
// as long as keep says, none longer than it did.
func (s *Store) RollWebhookSecret(ctx context.Context, workspace, id cronium.ID, secret *cronium.WebhookSecret, keep time.Duration) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `SELECT FROM webhooks WHERE workspace_id = $1 AND id = $2 FOR UPDATE`, workspace, id)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return pgx.ErrNoRows
		}
		// Of those that were replaced before, the last alone: two count, no more.
		if _, err := tx.Exec(ctx, `DELETE FROM webhook_secrets WHERE webhook_id = $1 AND (expires_at IS NOT NULL OR $2::bigint = 0)`, id, int64(keep)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE webhook_secrets SET expires_at = now() + $2 WHERE webhook_id = $1`, id, keep); err != nil {
			return err
		}
		return insertWebhookSecret(ctx, tx, workspace, id, secret)
	})
	return mapError(err, "replace the secret of a webhook")
}

// WebhookSecrets gives the secrets that count, the newest first.
func (s *Store) WebhookSecrets(ctx context.Context, workspace, id cronium.ID) ([]cronium.WebhookSecret, error) {
	var secrets []cronium.WebhookSecret
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, data_key, sealed, created_at, expires_at FROM webhook_secrets
			WHERE workspace_id = $1 AND webhook_id = $2 AND (expires_at IS NULL OR expires_at > now()) ORDER BY id DESC`, workspace, id)
		if err != nil {
			return err
		}
		secrets, err = pgx.CollectRows(rows, pgx.RowToStructByPos[cronium.WebhookSecret])
		return err
	})
	return secrets, mapError(err, "read the secrets of a webhook")
}

// Hook finds the webhook of an address, in whatever workspace, with the secrets
// that count. It fails with CodeNotFound.
func (s *Store) Hook(ctx context.Context, hook string) (*cronium.Webhook, []cronium.WebhookSecret, error) {
	rows, err := s.worker.Query(ctx, `SELECT `+webhookColumns+`, s.id, s.data_key, s.sealed
		FROM webhooks w JOIN webhook_secrets s ON s.webhook_id = w.id
		WHERE w.hook = $1 AND (s.expires_at IS NULL OR s.expires_at > now()) ORDER BY s.id DESC`, hook)
	if err != nil {
		return nil, nil, mapError(err, "find webhook")
	}
	var w cronium.Webhook
	secrets, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (secret cronium.WebhookSecret, err error) {
		return secret, row.Scan(append(scanWebhook(&w), &secret.ID, &secret.DataKey, &secret.Sealed)...)
	})
	if err == nil && len(secrets) == 0 {
		err = pgx.ErrNoRows
	}
	return &w, secrets, mapError(err, "find webhook")
}
