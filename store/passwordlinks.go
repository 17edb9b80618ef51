package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// PutPasswordLink stores a link with which a member of the workspace sets their
// password once. An earlier link of the same person ends.
func (s *Store) PutPasswordLink(ctx context.Context, workspace, by, user cronium.ID, link *cronium.PasswordLink) error {
	return s.changePeople(ctx, workspace, by, "store password link", func(c change) error {
		m, err := c.mayChange(user)
		if err != nil {
			return err
		}
		if err := c.mayLink(m); err != nil {
			return err
		}
		return c.link(user, link)
	})
}

// mayLink refuses a link to the account of somebody who has more than this
// workspace: who makes the link could use it, and get there too.
func (c *change) mayLink(m member) error {
	if c.instance {
		return nil
	}
	var elsewhere bool
	if err := c.tx.QueryRow(c.ctx, `SELECT EXISTS (SELECT FROM memberships WHERE user_id = $1 AND workspace_id <> $2)`, m.id, c.workspace).Scan(&elsewhere); err != nil {
		return err
	}
	if elsewhere || m.instanceAdmin {
		return cronium.Errorf(cronium.CodeForbidden,
			"%s is a member of other workspaces too, so only an administrator of the whole instance can make a link that sets the password.", m.name)
	}
	return nil
}

func (c *change) link(user cronium.ID, link *cronium.PasswordLink) error {
	_, err := c.tx.Exec(c.ctx, `INSERT INTO password_links (user_id, hash, created_by, expires_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, created_by = excluded.created_by, created_at = now(), expires_at = excluded.expires_at`,
		user, link.Hash, link.CreatedBy, link.ExpiresAt)
	return err
}

// LinkedUser is the person whose password the link with the hash may set. It
// fails with cronium.ErrNotFound for a link that was used, replaced or expired.
func (s *Store) LinkedUser(ctx context.Context, hash []byte) (*cronium.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users
		WHERE id = (SELECT user_id FROM password_links WHERE hash = $1 AND expires_at > now())`, hash)
}

// UsePasswordLink sets the password of the link's person, uses the link up and
// ends the person's sessions. It fails like LinkedUser: of several uses at once
// one succeeds.
func (s *Store) UsePasswordLink(ctx context.Context, hash []byte, passwordHash string) (user cronium.ID, epoch int, err error) {
	err = s.system(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `DELETE FROM password_links WHERE hash = $1 AND expires_at > now() RETURNING user_id`, hash).Scan(&user); err != nil {
			return err
		}
		epoch, err = setPassword(ctx, tx, user, passwordHash)
		return err
	})
	return user, epoch, mapError(err, "use password link")
}
