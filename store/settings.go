package store

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Settings are the instance's: few, small, read at the start. Each has a key
// and a JSON value.

const firstRunSetting = "first_run"

// firstRunCodes is how many processes that started before there was a person
// have a code that counts: the newest ones.
const firstRunCodes = 8

type firstRun struct {
	Hashes [][]byte `json:"hashes"` // SHA-256 of the codes, oldest first
}

// Setting reads the setting key into value. It fails with cronium.ErrNotFound
// if it was never set.
func (s *Store) Setting(ctx context.Context, key string, value any) error {
	var raw json.RawMessage
	if err := s.pool.QueryRow(ctx, `SELECT value FROM settings WHERE key = $1`, key).Scan(&raw); err != nil {
		return mapError(err, "read setting "+key)
	}
	if err := json.Unmarshal(raw, value); err != nil {
		return fmt.Errorf("read setting %s: %w", key, err)
	}
	return nil
}

// InitSetting stores a setting unless it is set, and reads what is set into
// value: of several processes that start at once, one decides.
func (s *Store) InitSetting(ctx context.Context, key string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode setting %s: %w", key, err)
	}
	if _, err = s.pool.Exec(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, key, raw); err != nil {
		return mapError(err, "store setting "+key)
	}
	return s.Setting(ctx, key, value)
}

// NeedsFirstRun tells whether there is no person yet.
func (s *Store) NeedsFirstRun(ctx context.Context) (bool, error) {
	var none bool
	err := s.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM users)`).Scan(&none)
	return none, mapError(err, "look for people")
}

// AddFirstRunCode adds the hash of one process's code.
func (s *Store) AddFirstRunCode(ctx context.Context, hash []byte) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Made first, so that there is a row to lock.
		if _, err := tx.Exec(ctx, `INSERT INTO settings (key, value) VALUES ($1, '{}') ON CONFLICT (key) DO NOTHING`, firstRunSetting); err != nil {
			return err
		}
		codes, err := lockFirstRun(ctx, tx)
		if err != nil {
			return err
		}
		codes.Hashes = append(codes.Hashes, hash)
		if extra := len(codes.Hashes) - firstRunCodes; extra > 0 {
			codes.Hashes = codes.Hashes[extra:]
		}
		_, err = tx.Exec(ctx, `UPDATE settings SET value = $2 WHERE key = $1`, firstRunSetting, codes)
		return err
	})
	return mapError(err, "store first-run code")
}

// CheckFirstRunCode tells whether the hash is one of the codes'.
func (s *Store) CheckFirstRunCode(ctx context.Context, hash []byte) (bool, error) {
	var codes firstRun
	err := s.Setting(ctx, firstRunSetting, &codes)
	if errors.Is(err, cronium.ErrNotFound) {
		return false, nil
	}
	return codes.has(hash), err
}

// MakeFirstAdmin makes the workspace "default" with the person as its
// administrator and removes the codes. Of several at once, one succeeds: the
// others wait for its lock and then find no codes (cronium.ErrNotFound).
func (s *Store) MakeFirstAdmin(ctx context.Context, hash []byte, user *cronium.User) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		codes, err := lockFirstRun(ctx, tx)
		if err != nil {
			return err
		}
		var people bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM users)`).Scan(&people); err != nil {
			return err
		}
		if people || !codes.has(hash) {
			return pgx.ErrNoRows
		}
		workspace := cronium.NewID()
		if _, err := tx.Exec(ctx, `INSERT INTO workspaces (id, slug, name) VALUES ($1, 'default', 'Default')`, workspace); err != nil {
			return err
		}
		if err := addUser(ctx, tx, workspace, user, cronium.RoleAdmin); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM settings WHERE key = $1`, firstRunSetting)
		return err
	})
	return mapError(err, "make the first administrator")
}

func lockFirstRun(ctx context.Context, tx pgx.Tx) (firstRun, error) {
	var codes firstRun
	err := tx.QueryRow(ctx, `SELECT value FROM settings WHERE key = $1 FOR UPDATE`, firstRunSetting).Scan(&codes)
	return codes, err
}

func (f firstRun) has(hash []byte) bool {
	found := 0
	for _, h := range f.Hashes {
		found |= subtle.ConstantTimeCompare(h, hash)
	}
	return found == 1
}

// Version names the database: "PostgreSQL 15.14".
func (s *Store) Version(ctx context.Context) (string, error) {
	var version string
	err := s.pool.QueryRow(ctx, `SELECT current_setting('server_version')`).Scan(&version)
	number, _, _ := strings.Cut(version, " ")
	return "PostgreSQL " + number, mapError(err, "ask the database for its version")
}
