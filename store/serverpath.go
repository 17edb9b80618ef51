package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// checkJumps makes sure that the servers to go through exist, are reached over
// SSH, and do not lead back. The rows are locked, so that none is archived
// meanwhile.
func checkJumps(ctx context.Context, tx pgx.Tx, s *cronium.Server) error {
	refuse := func(message string) error {
		var p cronium.Problems
		p.Add(false, "jumps", "%s", message)
		return p.Err("The server")
	}
	if len(s.Jumps) == 0 {
		return nil
	}
	found, err := ids(ctx, tx, `SELECT id FROM servers WHERE id = ANY($1) AND workspace_id = $2 AND kind = 'ssh' AND archived_at IS NULL ORDER BY id FOR SHARE`, s.Jumps, s.WorkspaceID)
	if err != nil {
		return err
	}
	if len(found) != len(s.Jumps) {
		return refuse("must be servers over SSH of this workspace that are not archived")
	}
	hops, err := path(ctx, tx, s)
	if err != nil {
		return err
	}
	for _, hop := range hops[:len(hops)-1] {
		if hop.ID == s.ID {
			return refuse("lead back to this server")
		}
	}
	if len(hops) > cronium.MaxHops {
		return refuse(fmt.Sprintf("lead through more than %d servers", cronium.MaxHops-1))
	}
	return nil
}

// path gives the servers to go through and s itself as the last. A jump that has
// jumps of its own is reached by them when it is the first. It is not longer
// than one hop more than is allowed, also where the jumps lead in a circle.
func path(ctx context.Context, tx pgx.Tx, s *cronium.Server) ([]cronium.Server, error) {
	hops := []cronium.Server{*s}
	for len(hops) <= cronium.MaxHops && len(hops[0].Jumps) > 0 {
		rows, err := tx.Query(ctx, `SELECT `+serverColumns("s")+` FROM unnest($1::uuid[]) WITH ORDINALITY j (id, n)
			JOIN servers s ON s.id = j.id AND s.workspace_id = $2 ORDER BY j.n`, hops[0].Jumps, s.WorkspaceID)
		if err != nil {
			return nil, err
		}
		before, err := pgx.CollectRows(rows, rowToServer)
		if err != nil {
			return nil, err
		}
		if len(before) != len(hops[0].Jumps) {
			return nil, cronium.Errorf(cronium.CodeConflict, "A server that %s is reached through does not exist any more.", hops[0].Name)
		}
		hops = append(before, hops...)
	}
	return hops, nil
}

// refuseJumpedThrough fails with CodeConflict where other servers are reached
// through this one.
func refuseJumpedThrough(ctx context.Context, tx pgx.Tx, workspace, id cronium.ID) error {
	rows, err := tx.Query(ctx, `SELECT name FROM servers WHERE workspace_id = $1 AND jumps @> ARRAY[$2::uuid] AND archived_at IS NULL ORDER BY name LIMIT 11`, workspace, id)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return err
	}
	more := ""
	if len(names) > 10 {
		names, more = names[:10], " and more"
	}
	return cronium.Errorf(cronium.CodeConflict, "Other servers are reached through this one: %s%s. Change them first.", strings.Join(names, ", "), more)
}

// ConnectionOf is all that connecting to a server over SSH takes, of whatever
// workspace: its hops and their sealed credentials. It fails with CodeConflict
// for an archived server and one that is not reached over SSH.
func (s *Store) ConnectionOf(ctx context.Context, id cronium.ID) (*cronium.ServerConnection, error) {
	var connection cronium.ServerConnection
	err := s.system(ctx, func(tx pgx.Tx) error {
		var server cronium.Server
		if err := tx.QueryRow(ctx, `SELECT `+serverColumns("s")+` FROM servers s WHERE s.id = $1`, id).Scan(scanServer(&server)...); err != nil {
			return err
		}
		if server.Kind != cronium.ServerSSH {
			return cronium.Errorf(cronium.CodeConflict, "%s is not reached over SSH: its agent dials in.", server.Name)
		}
		var err error
		connection, err = connectionOf(ctx, tx, &server)
		return err
	})
	if err != nil {
		return nil, mapError(err, "read how a server is reached")
	}
	return &connection, nil
}

// ConnectionThrough is ConnectionOf for a server that is not stored, or not as
// it is: its last hop has no credential.
func (s *Store) ConnectionThrough(ctx context.Context, server *cronium.Server) (*cronium.ServerConnection, error) {
	var connection cronium.ServerConnection
	err := s.workspace(ctx, server.WorkspaceID, func(tx pgx.Tx) error {
		if err := checkJumps(ctx, tx, server); err != nil {
			return err
		}
		var err error
		connection, err = connectionOf(ctx, tx, server)
		return err
	})
	if err != nil {
		return nil, mapError(err, "read how a server is reached")
	}
	return &connection, nil
}

func connectionOf(ctx context.Context, tx pgx.Tx, server *cronium.Server) (c cronium.ServerConnection, err error) {
	hops, err := path(ctx, tx, server)
	if err != nil {
		return c, err
	}
	if len(hops) > cronium.MaxHops {
		return c, cronium.Errorf(cronium.CodeConflict, "%s is reached through too many servers, or through itself.", server.Name)
	}
	for _, hop := range hops {
		if hop.ArchivedAt != nil {
			return c, cronium.Errorf(cronium.CodeConflict, "The server %s is archived, so nothing connects to it.", hop.Name)
		}
		credential, err := hopCredential(ctx, tx, hop.CredentialID)
		if err != nil {
			return c, err
		}
		c.Hops = append(c.Hops, cronium.ServerHop{Server: hop, Credential: credential})
	}
	return c, nil
}

func hopCredential(ctx context.Context, tx pgx.Tx, id *cronium.ID) (*cronium.Credential, error) {
	if id == nil {
		return nil, nil
	}
	var c cronium.Credential
	err := tx.QueryRow(ctx, `SELECT id, workspace_id, kind, data_key, sealed, hint, updated_at FROM credentials WHERE id = $1`, *id).
		Scan(&c.ID, &c.WorkspaceID, &c.Kind, &c.DataKey, &c.Sealed, &c.Hint, &c.UpdatedAt)
	return &c, err
}
