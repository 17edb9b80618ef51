package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
)

// masterSetting holds the fingerprint of the master key that wraps new data keys.
const masterSetting = "master_key"

// rotationLock is the advisory lock of the one rotation of keys. The number has
// no meaning.
const rotationLock = 7_203_114_906

// InitMasterKey says which master key wraps data keys, unless that was said
// before, and gives the fingerprint that counts.
func (s *Store) InitMasterKey(ctx context.Context, fingerprint string) (string, error) {
	err := s.InitSetting(ctx, masterSetting, &fingerprint)
	return fingerprint, err
}

// MasterKey is the fingerprint of the master key that wraps new data keys.
func (s *Store) MasterKey(ctx context.Context) (string, error) {
	var fingerprint string
	err := s.Setting(ctx, masterSetting, &fingerprint)
	return fingerprint, err
}

// SetMasterKey says which master key wraps new data keys from now on. Those that
// are being added have been added when it returns.
func (s *Store) SetMasterKey(ctx context.Context, fingerprint string) error {
	_, err := s.pool.Exec(ctx, `UPDATE settings SET value = to_jsonb($2::text) WHERE key = $1`, masterSetting, fingerprint)
	return mapError(err, "store the master key's fingerprint")
}

// DataKey is a workspace's data key of the version, 0 the newest. It fails with
// cronium.ErrNotFound.
func (s *Store) DataKey(ctx context.Context, workspace cronium.ID, version int) (*secrets.DataKey, error) {
	k := secrets.DataKey{WorkspaceID: workspace}
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT version, wrapped, master FROM data_keys
			WHERE workspace_id = $1 AND ($2 = 0 OR version = $2) ORDER BY version DESC LIMIT 1`, workspace, version).Scan(&k.Version, &k.Wrapped, &k.Master)
	})
	if err != nil {
		return nil, mapError(err, "read a data key")
	}
	return &k, nil
}

// AddDataKey stores a data key. It tells false when there is one of that version,
// or when another master key than MasterKey's wraps it.
func (s *Store) AddDataKey(ctx context.Context, key secrets.DataKey) (bool, error) {
	var added bool
	err := s.workspace(ctx, key.WorkspaceID, func(tx pgx.Tx) error {
		var master string
		if err := tx.QueryRow(ctx, `SELECT value #>> '{}' FROM settings WHERE key = $1 FOR SHARE`, masterSetting).Scan(&master); err != nil {
			return err
		}
		if master != key.Master {
			return nil
		}
		tag, err := tx.Exec(ctx, `INSERT INTO data_keys (workspace_id, version, wrapped, master)
			VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, key.WorkspaceID, key.Version, key.Wrapped, key.Master)
		added = tag.RowsAffected() == 1
		return err
	})
	return added && err == nil, mapError(err, "store a data key")
}

// NewestDataKeys gives the newest data key of each workspace that has one.
func (s *Store) NewestDataKeys(ctx context.Context) ([]secrets.NewestDataKey, error) {
	rows, err := s.worker.Query(ctx, `SELECT workspace_id, max(version) AS version, count(*)::int - 1 AS older
		FROM data_keys GROUP BY workspace_id ORDER BY workspace_id`)
	if err != nil {
		return nil, mapError(err, "list data keys")
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByName[secrets.NewestDataKey])
	return keys, mapError(err, "list data keys")
}

// WrappedByOthers gives data keys that another master key wraps, at most limit.
func (s *Store) WrappedByOthers(ctx context.Context, fingerprint string, limit int) ([]secrets.DataKey, error) {
	rows, err := s.worker.Query(ctx, `SELECT workspace_id, version, wrapped, master FROM data_keys
		WHERE master <> $1 ORDER BY workspace_id, version LIMIT $2`, fingerprint, limit)
	if err != nil {
		return nil, mapError(err, "list data keys")
	}
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByName[secrets.DataKey])
	return keys, mapError(err, "list data keys")
}

// Rewrap replaces a data key's wrapping, if it is still as old says.
func (s *Store) Rewrap(ctx context.Context, old, rewrapped secrets.DataKey) error {
	_, err := s.worker.Exec(ctx, `UPDATE data_keys SET wrapped = $5, master = $6
		WHERE workspace_id = $1 AND version = $2 AND master = $3 AND wrapped = $4`,
		old.WorkspaceID, old.Version, old.Master, old.Wrapped, rewrapped.Wrapped, rewrapped.Master)
	return mapError(err, "wrap a data key anew")
}

// SealedByOlder gives values that another than their workspace's newest data key
// seals, at most limit.
func (s *Store) SealedByOlder(ctx context.Context, limit int) ([]secrets.Sealed, error) {
	rows, err := s.worker.Query(ctx, `
		WITH newest AS (SELECT workspace_id, max(version) AS version FROM data_keys GROUP BY workspace_id)
		SELECT c.workspace_id, $2 AS purpose, c.id, 0 AS part, c.data_key AS key, c.sealed AS data
		FROM newest n JOIN credentials c ON c.workspace_id = n.workspace_id AND c.data_key < n.version
		UNION ALL
		SELECT p.workspace_id, '', p.terminal_id, p.number, p.data_key, p.sealed
		FROM newest n JOIN terminal_parts p ON p.workspace_id = n.workspace_id AND p.data_key < n.version
		UNION ALL
		SELECT v.workspace_id, $3, v.id, 0, v.data_key, v.sealed
		FROM newest n JOIN variables v ON v.workspace_id = n.workspace_id AND v.secret AND v.data_key < n.version
		UNION ALL
		SELECT r.workspace_id, $3, r.variable_id, r.version, r.data_key, r.sealed
		FROM newest n JOIN retired_secrets r ON r.workspace_id = n.workspace_id AND r.data_key < n.version
		UNION ALL
		SELECT h.workspace_id, $4, h.id, 0, h.data_key, h.sealed
		FROM newest n JOIN webhook_secrets h ON h.workspace_id = n.workspace_id AND h.data_key < n.version
		LIMIT $1`, limit, secrets.PurposeCredential, secrets.PurposeVariable, secrets.PurposeWebhook)
	if err != nil {
		return nil, mapError(err, "list what older keys seal")
	}
	values, err := pgx.CollectRows(rows, pgx.RowToStructByName[secrets.Sealed])
	for i := range values {
		if values[i].Purpose == "" {
			values[i].Purpose = secrets.PurposeTerminal(values[i].Part)
		}
	}
	return values, mapError(err, "list what older keys seal")
}

// Reseal replaces a sealed value, if it is still as old says.
func (s *Store) Reseal(ctx context.Context, old secrets.Sealed, key int, data []byte) error {
	sql := `UPDATE terminal_parts SET data_key = $4, sealed = $5 WHERE terminal_id = $1 AND number = $6 AND data_key = $2 AND sealed = $3`
	args := []any{old.ID, old.Key, old.Data, key, data, old.Part}
	switch {
	case old.Purpose == secrets.PurposeCredential:
		sql, args = `UPDATE credentials SET data_key = $4, sealed = $5 WHERE id = $1 AND data_key = $2 AND sealed = $3`, args[:5]
	case old.Purpose == secrets.PurposeWebhook:
		sql, args = `UPDATE webhook_secrets SET data_key = $4, sealed = $5 WHERE id = $1 AND data_key = $2 AND sealed = $3`, args[:5]
	case old.Purpose == secrets.PurposeVariable && old.Part == 0:
		sql, args = `UPDATE variables SET data_key = $4, sealed = $5 WHERE id = $1 AND data_key = $2 AND sealed = $3`, args[:5]
	case old.Purpose == secrets.PurposeVariable:
		sql = `UPDATE retired_secrets SET data_key = $4, sealed = $5 WHERE variable_id = $1 AND version = $6 AND data_key = $2 AND sealed = $3`
	}
	_, err := s.worker.Exec(ctx, sql, args...)
	return mapError(err, "seal "+old.Purpose+" anew")
}

// DropDataKeys removes data keys that are not their workspace's newest and seal
// nothing. One that seals something after all, because that was being stored,
// is left to the next rotation.
func (s *Store) DropDataKeys(ctx context.Context) error {
	_, err := s.worker.Exec(ctx, `DELETE FROM data_keys k
		WHERE version < (SELECT max(version) FROM data_keys WHERE workspace_id = k.workspace_id)
		AND NOT EXISTS (SELECT FROM credentials WHERE workspace_id = k.workspace_id AND data_key = k.version)
		AND NOT EXISTS (SELECT FROM terminal_parts WHERE workspace_id = k.workspace_id AND data_key = k.version)
		AND NOT EXISTS (SELECT FROM variables WHERE workspace_id = k.workspace_id AND data_key = k.version)
		AND NOT EXISTS (SELECT FROM retired_secrets WHERE workspace_id = k.workspace_id AND data_key = k.version)
		AND NOT EXISTS (SELECT FROM webhook_secrets WHERE workspace_id = k.workspace_id AND data_key = k.version)`)
	if foreignKeyBroken(err) {
		return nil
	}
	return mapError(err, "remove older data keys")
}

// AloneRotating runs f while no other process rotates keys.
func (s *Store) AloneRotating(ctx context.Context, f func(context.Context) error) error {
	conn, err := s.worker.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("ask the database: %w", err)
	}
	defer conn.Release()
	var alone bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(rotationLock)).Scan(&alone); err != nil {
		return mapError(err, "lock the keys")
	}
	if !alone {
		return cronium.Errorf(cronium.CodeConflict, "Keys are being rotated by another process. Wait for it to end.")
	}
	err = f(ctx)
	_, unlock := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(rotationLock))
	return errors.Join(err, mapError(unlock, "unlock the keys"))
}
