package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"cronium.dev/cronium"
)

func serverColumns(table string) string {
	return columns(table, `id workspace_id name kind description environment tags address port login credential_id jumps
		host_key host_key_by host_key_at offered_key offered_at created_at updated_at archived_at version changed_by`)
}

// scanServer gives the destinations of serverColumns.
func scanServer(s *cronium.Server) []any {
	return []any{&s.ID, &s.WorkspaceID, &s.Name, &s.Kind, &s.Description, &s.Environment, &s.Tags, &s.Address, &s.Port, &s.Login,
		&s.CredentialID, &s.Jumps, &s.HostKey, &s.HostKeyBy, &s.HostKeyAt, &s.OfferedKey, &s.OfferedAt, &s.CreatedAt, &s.UpdatedAt, &s.ArchivedAt,
		&s.Version, &s.ChangedBy}
}

func rowToServer(row pgx.CollectableRow) (cronium.Server, error) {
	var s cronium.Server
	return s, row.Scan(scanServer(&s)...)
}

// CreateServer stores a new server, with its credential unless that is nil, in
// the state UNKNOWN. It fills in the times. It fails with CodeInvalid for what is
// out of bounds and with CodeConflict where the name is taken.
func (s *Store) CreateServer(ctx context.Context, server *cronium.Server, credential *cronium.Credential) error {
	if err := server.Validate().Err("The server"); err != nil {
		return err
	}
	err := s.workspace(ctx, server.WorkspaceID, func(tx pgx.Tx) error {
		if err := checkJumps(ctx, tx, server); err != nil {
			return err
		}
		if credential != nil {
			if err := saveCredential(ctx, tx, credential); err != nil {
				return err
			}
			server.CredentialID = &credential.ID
		}
		if err := insertServer(ctx, tx, server); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO server_states (server_id, workspace_id) VALUES ($1, $2)`, server.ID, server.WorkspaceID)
		return err
	})
	return asIs(err, "create a server")
}

func insertServer(ctx context.Context, tx pgx.Tx, s *cronium.Server) error {
	err := tx.QueryRow(ctx, `
		INSERT INTO servers (id, workspace_id, name, kind, description, environment, tags, address, port, login, credential_id, jumps,
			host_key, host_key_by, host_key_at, changed_by)
		VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, '{}'::jsonb), $8, $9, $10, $11, coalesce($12, '{}'::uuid[]), $13, $14, CASE WHEN $13::bytea IS NULL THEN NULL ELSE now() END, $15)
		RETURNING host_key_at, created_at, updated_at, version`,
		s.ID, s.WorkspaceID, s.Name, s.Kind, s.Description, s.Environment, s.Tags, s.Address, s.Port, s.Login, s.CredentialID, s.Jumps,
		s.HostKey, s.HostKeyBy, s.ChangedBy).Scan(&s.HostKeyAt, &s.CreatedAt, &s.UpdatedAt, &s.Version)
	return serverNameTaken(err, s.Name)
}

// UpdateServer stores what a person may change of a server, and its credential
// unless that is nil. What was pinned for another address or port is forgotten
// unless server brings a new host key. It fails as CreateServer does, and with
// CodeConflict where Version is not the stored one: Server.ChangedSince.
func (s *Store) UpdateServer(ctx context.Context, server *cronium.Server, credential *cronium.Credential) error {
	if err := server.Validate().Err("The server"); err != nil {
		return err
	}
	err := s.workspace(ctx, server.WorkspaceID, func(tx pgx.Tx) error {
		if err := refuseChangedSince(ctx, tx, server); err != nil {
			return err
		}
		if err := checkJumps(ctx, tx, server); err != nil {
			return err
		}
		if credential != nil {
			if err := saveCredential(ctx, tx, credential); err != nil {
				return err
			}
			server.CredentialID = &credential.ID
		}
		err := tx.QueryRow(ctx, `
			WITH old AS (SELECT address <> $6 OR port <> $7 AS moved, host_key FROM servers WHERE id = $1)
			UPDATE servers s SET name = $3, description = $4, environment = $5, address = $6, port = $7, login = $8,
				credential_id = $9, jumps = coalesce($10, '{}'::uuid[]), tags = coalesce($11, '{}'::jsonb), updated_at = now(),
				version = version + 1, changed_by = $14,
				host_key = CASE WHEN NOT moved OR $12::bytea IS DISTINCT FROM old.host_key THEN $12 END,
				host_key_by = CASE WHEN $12::bytea IS DISTINCT FROM old.host_key THEN $13 WHEN moved THEN '' ELSE host_key_by END,
				host_key_at = CASE WHEN $12::bytea IS DISTINCT FROM old.host_key THEN now() WHEN NOT moved THEN host_key_at END,
				offered_key = CASE WHEN NOT moved AND $12 IS NOT DISTINCT FROM old.host_key THEN offered_key END,
				offered_at = CASE WHEN NOT moved AND $12 IS NOT DISTINCT FROM old.host_key THEN offered_at END
			FROM old WHERE s.id = $1 AND s.workspace_id = $2
			RETURNING `+serverColumns("s"),
			server.ID, server.WorkspaceID, server.Name, server.Description, server.Environment, server.Address, server.Port, server.Login,
			server.CredentialID, server.Jumps, server.Tags, server.HostKey, server.HostKeyBy, server.ChangedBy).Scan(scanServer(server)...)
		if err != nil || server.OfferedKey != nil {
			return serverNameTaken(err, server.Name)
		}
		return unblock(ctx, tx, server.ID)
	})
	return asIs(err, "change a server")
}

// refuseChangedSince locks the row of a server that is not archived.
func refuseChangedSince(ctx context.Context, tx pgx.Tx, change *cronium.Server) error {
	var now cronium.Server
	err := tx.QueryRow(ctx, `SELECT `+serverColumns("s")+` FROM servers s WHERE id = $1 AND workspace_id = $2 AND archived_at IS NULL FOR UPDATE`,
		change.ID, change.WorkspaceID).Scan(scanServer(&now)...)
	if err == nil && now.Version != change.Version {
		err = now.ChangedSince(change)
	}
	return err
}

// serverNameTaken says in words that another server has the name.
func serverNameTaken(err error, name string) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.ConstraintName != "servers_name" {
		return err
	}
	return &cronium.Error{Code: cronium.CodeConflict, Err: err,
		Message: fmt.Sprintf("There is a server named %q already. Names are unique; upper and lower case count as the same.", name),
		Fields:  []cronium.FieldError{{Field: "name", Message: "is the name of another server"}}}
}

// Server reads one server, also an archived one.
func (s *Store) Server(ctx context.Context, workspace, id cronium.ID) (*cronium.Server, error) {
	return s.oneServer(ctx, workspace, `s.id = $2`, id)
}

// ServerByName reads the server of that name, in any case, that is not archived.
func (s *Store) ServerByName(ctx context.Context, workspace cronium.ID, name string) (*cronium.Server, error) {
	return s.oneServer(ctx, workspace, `lower(s.name) = lower($2) AND s.archived_at IS NULL`, name)
}

func (s *Store) oneServer(ctx context.Context, workspace cronium.ID, where string, value any) (*cronium.Server, error) {
	var server cronium.Server
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT `+serverColumns("s")+` FROM servers s WHERE s.workspace_id = $1 AND `+where, workspace, value).Scan(scanServer(&server)...)
	})
	if err != nil {
		return nil, mapError(err, "read a server")
	}
	return &server, nil
}

// ArchiveServer takes a server out of use, or back into it. Nothing connects to
// one that is archived, and its name is free. It fails with CodeConflict where
// others jump through it, and where its name was taken meanwhile.
func (s *Store) ArchiveServer(ctx context.Context, workspace, id cronium.ID, archived bool) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		if archived {
			if err := refuseJumpedThrough(ctx, tx, workspace, id); err != nil {
				return err
			}
		}
		var name string
		err := tx.QueryRow(ctx, `UPDATE servers SET archived_at = CASE WHEN $3 THEN coalesce(archived_at, now()) END, updated_at = now()
			WHERE id = $1 AND workspace_id = $2 RETURNING name`, id, workspace, archived).Scan(&name)
		if err != nil {
			var pg *pgconn.PgError
			if errors.As(err, &pg) && pg.ConstraintName == "servers_name" {
				return &cronium.Error{Code: cronium.CodeConflict, Message: "Another server has this one's name now. Rename that one first.", Err: err}
			}
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE server_states SET state = 'UNKNOWN', since = now(), error = '', holder = NULL WHERE server_id = $1`, id)
		return err
	})
	return asIs(err, "archive a server")
}

// DeleteServer removes a server with its credential and history. Jobs that ran
// on it keep its name. It fails with CodeConflict while something runs on it or
// others jump through it.
func (s *Store) DeleteServer(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		credential, err := mayDeleteServer(ctx, tx, workspace, id)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM servers WHERE id = $1`, id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM credentials c WHERE id = $1 AND NOT EXISTS (SELECT FROM servers WHERE credential_id = c.id)`, credential)
		return err
	})
	return mapError(err, "delete a server")
}

// MayDeleteServer fails as DeleteServer would now.
func (s *Store) MayDeleteServer(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		_, err := mayDeleteServer(ctx, tx, workspace, id)
		return err
	})
	return mapError(err, "look whether a server may be deleted")
}

func mayDeleteServer(ctx context.Context, tx pgx.Tx, workspace, id cronium.ID) (credential *cronium.ID, err error) {
	if err := refuseJumpedThrough(ctx, tx, workspace, id); err != nil {
		return nil, err
	}
	var running int
	err = tx.QueryRow(ctx, `SELECT credential_id, (SELECT count(*) FROM executions WHERE server_id = s.id AND status IN ('PENDING', 'RUNNING'))
		FROM servers s WHERE id = $1 AND workspace_id = $2 FOR UPDATE`, id, workspace).Scan(&credential, &running)
	if err == nil && running > 0 {
		err = cronium.Errorf(cronium.CodeConflict, "Scripts are running on the server. Wait for them, or cancel them first.")
	}
	return credential, err
}

// PinHostKey makes key the one that the host has to show: the key that it
// offers, or any where none is pinned yet. It fails with CodeConflict where the
// host has offered another one since the person looked.
func (s *Store) PinHostKey(ctx context.Context, workspace, id cronium.ID, key []byte, by string) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var pinned, offered []byte
		err := tx.QueryRow(ctx, `SELECT host_key, offered_key FROM servers WHERE id = $1 AND workspace_id = $2 AND archived_at IS NULL FOR UPDATE`, id, workspace).Scan(&pinned, &offered)
		if err != nil {
			return err
		}
		if bytes.Equal(pinned, key) && offered == nil {
			return nil
		}
		if !bytes.Equal(offered, key) && (pinned != nil || offered != nil) {
			return cronium.Errorf(cronium.CodeConflict, "This is not the key that the host shows now. Look at the server's page again before you accept one.")
		}
		if _, err := tx.Exec(ctx, `UPDATE servers SET host_key = $2, host_key_by = $3, host_key_at = now(), offered_key = NULL, offered_at = NULL, updated_at = now()
			WHERE id = $1`, id, key, by); err != nil {
			return err
		}
		return unblock(ctx, tx, id)
	})
	return mapError(err, "pin a host key")
}

// RefuseHostKey forgets the key that the host offers. The host is blocked again
// when it shows that one once more.
func (s *Store) RefuseHostKey(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `UPDATE servers SET offered_key = NULL, offered_at = NULL, updated_at = now()
			WHERE id = $1 AND workspace_id = $2 RETURNING id`, id, workspace).Scan(&id); err != nil {
			return err
		}
		return unblock(ctx, tx, id)
	})
	return mapError(err, "refuse a host key")
}

func unblock(ctx context.Context, tx pgx.Tx, id cronium.ID) error {
	_, err := tx.Exec(ctx, `UPDATE server_states SET state = 'UNKNOWN', since = now(), error = '' WHERE server_id = $1 AND state = 'BLOCKED'`, id)
	return err
}

// OfferHostKey notes that the host showed a key that is not the pinned one, and
// blocks it until an administrator has decided. reason is for a person.
func (s *Store) OfferHostKey(ctx context.Context, id cronium.ID, key []byte, reason string) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE servers SET offered_at = CASE WHEN offered_key IS DISTINCT FROM $2 THEN now() ELSE offered_at END, offered_key = $2
			WHERE id = $1 AND host_key IS DISTINCT FROM $2`, id, key)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE server_states SET state = 'BLOCKED', error = $2, since = CASE WHEN state = 'BLOCKED' THEN since ELSE now() END
			WHERE server_id = $1`, id, reason)
		return err
	})
	return mapError(err, "note an offered host key")
}
