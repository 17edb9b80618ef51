package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// Person is a member of a workspace.
type Person struct {
	ID        cronium.ID
	Email     string
	Name      string
	Role      cronium.Role
	CreatedAt time.Time
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

// SessionPrincipal is the person in the workspace, if sessions of the epoch
// are still good and the person is still a member.
func (s *Store) SessionPrincipal(ctx context.Context, user, workspace cronium.ID, epoch int) (*cronium.Principal, error) {
	p := cronium.Principal{UserID: user, WorkspaceID: workspace}
	err := s.worker.QueryRow(ctx, `SELECT u.name, u.email, m.role
		FROM users u JOIN memberships m ON m.user_id = u.id
		WHERE u.id = $1 AND m.workspace_id = $2 AND u.session_epoch = $3`, user, workspace, epoch,
	).Scan(&p.UserName, &p.Email, &p.Role)
	if err != nil {
		return nil, mapError(err, "look up session")
	}
	return &p, nil
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

// People lists the members of a workspace by name.
func (s *Store) People(ctx context.Context, workspace cronium.ID) ([]Person, error) {
	var people []Person
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT u.id, u.email, u.name, m.role, u.created_at
			FROM memberships m JOIN users u ON u.id = m.user_id
			WHERE m.workspace_id = $1 ORDER BY lower(u.name), u.id`, workspace)
		if err != nil {
			return err
		}
		people, err = pgx.CollectRows(rows, pgx.RowToStructByName[Person])
		return err
	})
	return people, mapError(err, "list people")
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

// SetPassword stores a password's hash, ends all sessions of the person, and
// returns the epoch of new ones.
func (s *Store) SetPassword(ctx context.Context, user cronium.ID, hash string) (epoch int, err error) {
	err = s.pool.QueryRow(ctx, `UPDATE users SET password_hash = $2, session_epoch = session_epoch + 1
		WHERE id = $1 RETURNING session_epoch`, user, hash).Scan(&epoch)
	return epoch, mapError(err, "set password")
}

// EndSessions ends all sessions of the person and returns the epoch of new ones.
func (s *Store) EndSessions(ctx context.Context, user cronium.ID) (epoch int, err error) {
	err = s.pool.QueryRow(ctx, `UPDATE users SET session_epoch = session_epoch + 1
		WHERE id = $1 RETURNING session_epoch`, user).Scan(&epoch)
	return epoch, mapError(err, "end sessions")
}

// SetRole changes what a member of the workspace may do.
func (s *Store) SetRole(ctx context.Context, workspace, user cronium.ID, role cronium.Role) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE memberships SET role = $3 WHERE workspace_id = $1 AND user_id = $2`, workspace, user, role)
		if err == nil && tag.RowsAffected() == 0 {
			return cronium.ErrNotFound
		}
		return err
	})
	if err != nil && cronium.CodeOf(err) != cronium.CodeNotFound {
		return fmt.Errorf("set role: %w", err)
	}
	return err
}
