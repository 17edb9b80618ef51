package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Changes of who is a member of a workspace, and as what. In one workspace they
// pass one after another, and whether the one who asks may still do so is seen
// then: of two administrators who remove each other, one stays. by is who asks;
// the zero id is the command line, which may do all.

// Added is what became of adding a person.
type Added struct {
	ID     cronium.ID
	Linked bool // the link counts; false for an account that is there and has its own way in
}

// change is one change of the people of a workspace.
type change struct {
	ctx       context.Context
	tx        pgx.Tx // of scope system: accounts are not of one workspace
	workspace cronium.ID
	by        cronium.ID
	instance  bool // by may act for the whole instance
}

// changePeople runs f alone among the changes of a workspace's people.
func (s *Store) changePeople(ctx context.Context, workspace, by cronium.ID, what string, f func(change) error) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		c := change{ctx: ctx, tx: tx, workspace: workspace, by: by, instance: true}
		// NO KEY UPDATE, because what is written in the workspace refers to it.
		var locked cronium.ID
		if err := tx.QueryRow(ctx, `SELECT id FROM workspaces WHERE id = $1 FOR NO KEY UPDATE`, workspace).Scan(&locked); err != nil {
			return err
		}
		if by != (cronium.ID{}) {
			asker, err := c.member(by)
			if err != nil || asker.role != cronium.RoleAdmin {
				return cronium.Errorf(cronium.CodeForbidden, "You are not an administrator of this workspace any more, so nothing was changed.")
			}
			c.instance = asker.instanceAdmin
		}
		return f(c)
	})
	return mapError(err, what)
}

// member is what a change has to know of a person.
type member struct {
	id            cronium.ID
	name          string
	role          cronium.Role
	instanceAdmin bool
	hasPassword   bool
}

// member finds a person of the workspace.
func (c *change) member(user cronium.ID) (member, error) {
	m := member{id: user}
	err := c.tx.QueryRow(c.ctx, `SELECT u.name, m.role, u.instance_admin, u.password_hash <> ''
		FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 AND m.user_id = $2`, c.workspace, user,
	).Scan(&m.name, &m.role, &m.instanceAdmin, &m.hasPassword)
	return m, err
}

// mayChange finds a person of the workspace whom the one who asks may change.
func (c *change) mayChange(user cronium.ID) (member, error) {
	m, err := c.member(user)
	if err == nil && m.instanceAdmin && !c.instance {
		err = cronium.Errorf(cronium.CodeForbidden, "%s is an administrator of the whole instance, whom only another one can change.", m.name)
	}
	return m, err
}

// keepAdmin refuses to take from the workspace its last administrator who can
// sign in.
func (c *change) keepAdmin(m member) error {
	if m.role != cronium.RoleAdmin {
		return nil
	}
	var others bool
	if err := c.tx.QueryRow(c.ctx, `SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
		WHERE m.workspace_id = $1 AND m.role = 'ADMIN' AND m.user_id <> $2 AND u.password_hash <> '')`, c.workspace, m.id).Scan(&others); err != nil {
		return err
	}
	if !others {
		return cronium.Errorf(cronium.CodeConflict,
			"%s is the last administrator here who has a password, and a workspace needs one. Make somebody else an administrator first.", m.name)
	}
	return nil
}

// AddPerson makes the person with the e-mail address of user a member. If there
// is no such account, user is stored as one, and link sets its password. An
// account that is there keeps its name and its password. Problems name the
// field email.
func (s *Store) AddPerson(ctx context.Context, workspace, by cronium.ID, user *cronium.User, role cronium.Role, link *cronium.PasswordLink) (Added, error) {
	var added Added
	err := s.changePeople(ctx, workspace, by, "add person", func(c change) error {
		err := c.tx.QueryRow(ctx, `INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4)
			ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING id`, user.ID, user.Email, user.Name, user.PasswordHash).Scan(&added.ID)
		if err != nil {
			return err
		}
		tag, err := c.tx.Exec(ctx, `INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, workspace, added.ID, role)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return cronium.Problems{{Field: "email", Message: "belongs to somebody who is a member here already"}}.Err("The person")
		}
		m, err := c.member(added.ID)
		if err != nil || link == nil || m.hasPassword || c.mayLink(m) != nil {
			return err
		}
		added.Linked = true
		return c.link(m.id, link)
	})
	return added, err
}

// SetRole changes what a member of the workspace may do. The last administrator
// stays one.
func (s *Store) SetRole(ctx context.Context, workspace, by, user cronium.ID, role cronium.Role) error {
	return s.changePeople(ctx, workspace, by, "set role", func(c change) error {
		m, err := c.mayChange(user)
		if err != nil || m.role == role {
			return err
		}
		if err := c.keepAdmin(m); err != nil {
			return err
		}
		_, err = c.tx.Exec(ctx, `UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND user_id = $2`, workspace, user, role)
		return err
	})
}

// RemovePerson ends a membership, and with it the person's sessions and API
// tokens in the workspace. What they made stays, and so does the account, which
// the history names. The last administrator cannot be removed.
func (s *Store) RemovePerson(ctx context.Context, workspace, by, user cronium.ID) error {
	return s.changePeople(ctx, workspace, by, "remove person", func(c change) error {
		m, err := c.mayChange(user)
		if err != nil {
			return err
		}
		if err := c.keepAdmin(m); err != nil {
			return err
		}
		if by == user {
			return cronium.Errorf(cronium.CodeConflict, "You cannot remove yourself. Ask another administrator to do it.")
		}
		for _, sql := range []string{
			`DELETE FROM memberships WHERE workspace_id = $1 AND user_id = $2`,
			`DELETE FROM sessions WHERE workspace_id = $1 AND user_id = $2`,
			`UPDATE api_tokens SET revoked_at = now() WHERE workspace_id = $1 AND user_id = $2 AND revoked_at IS NULL`,
			`DELETE FROM password_links WHERE user_id = $2 AND NOT EXISTS (SELECT FROM memberships WHERE user_id = $2 AND workspace_id <> $1)`,
		} {
			if _, err := c.tx.Exec(ctx, sql, workspace, user); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndPersonsSessions ends all sessions of a member in the workspace.
func (s *Store) EndPersonsSessions(ctx context.Context, workspace, by, user cronium.ID) error {
	return s.changePeople(ctx, workspace, by, "end sessions", func(c change) error {
		if _, err := c.mayChange(user); err != nil {
			return err
		}
		_, err := c.tx.Exec(ctx, `DELETE FROM sessions WHERE workspace_id = $1 AND user_id = $2`, workspace, user)
		return err
	})
}

// SetInstanceAdmin makes a person an administrator of the whole instance, or an
// ordinary one. The last one stays. It is for the command line.
func (s *Store) SetInstanceAdmin(ctx context.Context, user cronium.ID, admin bool) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		// Locks all of them, so that two who are taken away at once do not
		// each count on the other.
		rows, err := tx.Query(ctx, `SELECT id FROM users WHERE instance_admin OR id = $1 ORDER BY id FOR UPDATE`, user)
		if err != nil {
			return err
		}
		if _, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID]); err != nil {
			return err
		}
		var others bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM users WHERE instance_admin AND id <> $1)`, user).Scan(&others); err != nil {
			return err
		}
		if !admin && !others {
			return cronium.Errorf(cronium.CodeConflict, "This is the only administrator of the instance, and it needs one. Make somebody else one first.")
		}
		_, err = tx.Exec(ctx, `UPDATE users SET instance_admin = $2 WHERE id = $1`, user, admin)
		return err
	})
	return mapError(err, "set instance administrator")
}
