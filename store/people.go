package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Person is a member of a workspace, with what is known of them there.
type Person struct {
	ID            cronium.ID
	Email         string
	Name          string
	Role          cronium.Role
	CreatedAt     time.Time  // of the membership
	SeenAt        *time.Time // in a browser, to ten minutes
	InstanceAdmin bool
	HasPassword   bool
	LinkExpiresAt *time.Time // of the link to set a password; nil without one
	Sessions      int        // open ones, here
	Tokens        int        // valid API tokens, here
}

// PeopleFilter chooses members of a workspace.
type PeopleFilter struct {
	Query string       // part of the name or the e-mail address, in any case
	Role  cronium.Role // "" = any
	After *PersonCursor
	Limit int // 0 = all
}

// PersonCursor is where a page of people ended.
type PersonCursor struct {
	Name string     `json:"name"` // in lower case, as the database has it
	ID   cronium.ID `json:"id"`
}

const userColumns = `id, email, name, password_hash, instance_admin, session_epoch, created_at`

// UserByEmail finds a person by the normal form of their e-mail address.
func (s *Store) UserByEmail(ctx context.Context, email string) (*cronium.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users WHERE email = $1`, email)
}

// User finds a person by id.
func (s *Store) User(ctx context.Context, id cronium.ID) (*cronium.User, error) {
	return s.user(ctx, `SELECT `+userColumns+` FROM users WHERE id = $1`, id)
}

func (s *Store) user(ctx context.Context, sql string, key any) (*cronium.User, error) {
	rows, err := s.pool.Query(ctx, sql, key)
	if err != nil {
		return nil, mapError(err, "look up person")
	}
	user, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[cronium.User])
	return user, mapError(err, "look up person")
}

// HomeWorkspace is the workspace of which the person was made a member first.
func (s *Store) HomeWorkspace(ctx context.Context, user cronium.ID) (cronium.ID, error) {
	var id cronium.ID
	err := s.worker.QueryRow(ctx, `SELECT workspace_id FROM memberships WHERE user_id = $1
		ORDER BY created_at, workspace_id LIMIT 1`, user).Scan(&id)
	return id, mapError(err, "look up workspace of person")
}

// WorkspaceBySlug finds a workspace.
func (s *Store) WorkspaceBySlug(ctx context.Context, slug string) (*cronium.Workspace, error) {
	var w cronium.Workspace
	err := s.pool.QueryRow(ctx, `SELECT id, slug, name FROM workspaces WHERE slug = $1`, slug).Scan(&w.ID, &w.Slug, &w.Name)
	if err != nil {
		return nil, mapError(err, "look up workspace")
	}
	return &w, nil
}

// AddWorkspace makes a workspace.
func (s *Store) AddWorkspace(ctx context.Context, w *cronium.Workspace) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO workspaces (id, slug, name) VALUES ($1, $2, $3)`, w.ID, w.Slug, w.Name)
	return mapError(err, "make workspace")
}

const personColumns = `u.id, u.email, u.name, m.role, m.created_at, m.seen_at, u.instance_admin, u.password_hash <> '' AS has_password,
	(SELECT l.expires_at FROM password_links l WHERE l.user_id = u.id) AS link_expires_at,
	(SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND s.workspace_id = m.workspace_id AND ` + openSession + `) AS sessions,
	(SELECT count(*) FROM api_tokens t WHERE t.user_id = u.id AND t.workspace_id = m.workspace_id
		AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())) AS tokens`

// People lists members of a workspace by name. next is where the following
// page begins; nil on the last.
func (s *Store) People(ctx context.Context, workspace cronium.ID, f PeopleFilter) (people []Person, next *PersonCursor, err error) {
	after := PersonCursor{}
	if f.After != nil {
		after = *f.After
	}
	limit := f.Limit + 1
	if f.Limit == 0 {
		limit = 1 << 30
	}
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+personColumns+`
			FROM memberships m JOIN users u ON u.id = m.user_id
			WHERE m.workspace_id = $1 AND ($2 = '' OR m.role = $2) AND (strpos(lower(u.name), lower($3)) > 0 OR strpos(u.email, lower($3)) > 0)
				AND ($4::uuid = '00000000-0000-0000-0000-000000000000' OR (lower(u.name), u.id) > ($5, $4::uuid))
			ORDER BY lower(u.name), u.id LIMIT $6`, workspace, f.Role, f.Query, after.ID, after.Name, limit)
		if err != nil {
			return err
		}
		if people, err = pgx.CollectRows(rows, pgx.RowToStructByName[Person]); err != nil || len(people) < limit {
			return err
		}
		people = people[:f.Limit]
		next = &PersonCursor{ID: people[f.Limit-1].ID}
		return tx.QueryRow(ctx, `SELECT lower(name) FROM users WHERE id = $1`, next.ID).Scan(&next.Name)
	})
	return people, next, mapError(err, "list people")
}

// Person finds a member of a workspace.
func (s *Store) Person(ctx context.Context, workspace, user cronium.ID) (*Person, error) {
	var person *Person
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+personColumns+`
			FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.workspace_id = $1 AND u.id = $2`, workspace, user)
		if err != nil {
			return err
		}
		person, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Person])
		return err
	})
	return person, mapError(err, "look up person")
}

// AddUser stores a new person as a member of a workspace.
func (s *Store) AddUser(ctx context.Context, workspace cronium.ID, user *cronium.User, role cronium.Role) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		return addUser(ctx, tx, workspace, user, role)
	})
	if cronium.CodeOf(mapError(err, "")) == cronium.CodeConflict {
		return &cronium.Error{
			Code: cronium.CodeConflict, Message: "There is a person with this e-mail address already.", Err: err,
			Fields: []cronium.FieldError{{Field: "email", Message: "belongs to a person who has an account already"}},
		}
	}
	return mapError(err, "add person")
}

func addUser(ctx context.Context, tx pgx.Tx, workspace cronium.ID, user *cronium.User, role cronium.Role) error {
	if _, err := tx.Exec(ctx, `INSERT INTO users (id, email, name, password_hash, instance_admin) VALUES ($1, $2, $3, $4, $5)`,
		user.ID, user.Email, user.Name, user.PasswordHash, user.InstanceAdmin); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO memberships (workspace_id, user_id, role) VALUES ($1, $2, $3)`, workspace, user.ID, role)
	return err
}

// RenameUser changes a person's name.
func (s *Store) RenameUser(ctx context.Context, user cronium.ID, name string) error {
	tag, err := s.pool.Exec(ctx, `UPDATE users SET name = $2 WHERE id = $1`, user, name)
	if err == nil && tag.RowsAffected() == 0 {
		return cronium.ErrNotFound
	}
	return mapError(err, "rename person")
}

// SetPassword stores a password's hash, ends all sessions of the person and
// their link to set one, and returns the epoch of new sessions.
func (s *Store) SetPassword(ctx context.Context, user cronium.ID, hash string) (epoch int, err error) {
	err = s.system(ctx, func(tx pgx.Tx) error {
		epoch, err = setPassword(ctx, tx, user, hash)
		return err
	})
	return epoch, mapError(err, "set password")
}

func setPassword(ctx context.Context, tx pgx.Tx, user cronium.ID, hash string) (epoch int, err error) {
	if err := tx.QueryRow(ctx, `UPDATE users SET password_hash = $2, session_epoch = session_epoch + 1
		WHERE id = $1 RETURNING session_epoch`, user, hash).Scan(&epoch); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM sessions WHERE user_id = $1`, user); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM password_links WHERE user_id = $1`, user)
	return epoch, err
}
