package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// sessionStep is how often the use of a session is noted at most, so that
// reading pages writes next to nothing.
const sessionStep = 10 * time.Minute

// openSession is the condition of a session that has not ended: it ends a week
// after its last use, and in any case at its end.
const openSession = `s.ends_at > now() AND s.used_at > now() - interval '7 days'`

const sessionColumns = `s.id, s.user_id, s.workspace_id, s.began_at, s.used_at, s.ends_at, s.address, s.browser`

// BeginSession stores a session by the hash of its cookie's value, which ends
// after the time length in any case. Where all sessions of the person were
// ended after the epoch was read, or the person is no member of the workspace,
// it fails with cronium.ErrNotFound.
func (s *Store) BeginSession(ctx context.Context, session *cronium.Session, hash []byte, epoch int, length time.Duration) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		// The lock keeps an end of all sessions, which removes them, from
		// passing between the look at the epoch and the insert.
		var current int
		if err := tx.QueryRow(ctx, `SELECT session_epoch FROM users WHERE id = $1 AND session_epoch = $2 FOR SHARE`, session.UserID, epoch).Scan(&current); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `INSERT INTO sessions (id, hash, user_id, workspace_id, ends_at, address, browser)
			VALUES ($1, $2, $3, $4, now() + $5::interval, $6, $7) RETURNING began_at, used_at, ends_at`,
			session.ID, hash, session.UserID, session.WorkspaceID, length, session.Address, session.Browser,
		).Scan(&session.BeganAt, &session.UsedAt, &session.EndsAt); err != nil {
			return err
		}
		return seen(ctx, tx, session.WorkspaceID, session.UserID)
	})
	return mapError(err, "store session")
}

// seen notes that a member of a workspace is here, and fails for somebody who
// is none.
func seen(ctx context.Context, tx pgx.Tx, workspace, user cronium.ID) error {
	tag, err := tx.Exec(ctx, `UPDATE memberships SET seen_at = now() WHERE workspace_id = $1 AND user_id = $2`, workspace, user)
	if err == nil && tag.RowsAffected() == 0 {
		return pgx.ErrNoRows
	}
	return err
}

// SessionPrincipal is who asks with the session that has the hash: the person
// with the role that they have now. It fails with cronium.ErrNotFound for a
// session that has ended and for somebody who is no member any more.
func (s *Store) SessionPrincipal(ctx context.Context, hash []byte) (*cronium.Principal, error) {
	var p cronium.Principal
	var note bool
	err := s.worker.QueryRow(ctx, `SELECT s.id, s.workspace_id, u.id, u.name, u.email, u.instance_admin, m.role, s.used_at < now() - $2::interval
		FROM sessions s
		JOIN users u ON u.id = s.user_id
		JOIN memberships m ON m.workspace_id = s.workspace_id AND m.user_id = s.user_id
		WHERE s.hash = $1 AND `+openSession, hash, sessionStep,
	).Scan(&p.SessionID, &p.WorkspaceID, &p.UserID, &p.UserName, &p.Email, &p.InstanceAdmin, &p.Role, &note)
	if err != nil || !note {
		return &p, mapError(err, "look up session")
	}
	err = s.system(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE sessions SET used_at = now() WHERE id = $1`, p.SessionID); err != nil {
			return err
		}
		return seen(ctx, tx, p.WorkspaceID, p.UserID)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, cronium.ErrNotFound
	}
	return &p, mapError(err, "note use of session")
}

// Sessions lists the open sessions of a person in all workspaces, the one used
// last first.
func (s *Store) Sessions(ctx context.Context, user cronium.ID) ([]cronium.Session, error) {
	rows, err := s.worker.Query(ctx, `SELECT `+sessionColumns+` FROM sessions s
		WHERE s.user_id = $1 AND `+openSession+` ORDER BY s.used_at DESC, s.id DESC LIMIT 200`, user)
	if err != nil {
		return nil, mapError(err, "list sessions")
	}
	sessions, err := pgx.CollectRows(rows, pgx.RowToStructByName[cronium.Session])
	return sessions, mapError(err, "list sessions")
}

// EndSession ends one of the person's own sessions at once.
func (s *Store) EndSession(ctx context.Context, user, id cronium.ID) error {
	tag, err := s.worker.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND id = $2`, user, id)
	if err == nil && tag.RowsAffected() == 0 {
		return cronium.ErrNotFound
	}
	return mapError(err, "end session")
}

// EndOtherSessions ends all sessions of the person but one.
func (s *Store) EndOtherSessions(ctx context.Context, user, but cronium.ID) error {
	_, err := s.worker.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1 AND id <> $2`, user, but)
	return mapError(err, "end other sessions")
}

// EndSessions ends all sessions of the person, also those that begin at this
// moment, and returns the epoch of new ones.
func (s *Store) EndSessions(ctx context.Context, user cronium.ID) (epoch int, err error) {
	err = s.system(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `UPDATE users SET session_epoch = session_epoch + 1
			WHERE id = $1 RETURNING session_epoch`, user).Scan(&epoch); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1`, user)
		return err
	})
	return epoch, mapError(err, "end sessions")
}
