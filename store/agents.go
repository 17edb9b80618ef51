package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// CreateAgentCode stores a code for agents by its hash. It fails with
// cronium.ErrNotFound when the code is for a server that is not there.
func (s *Store) CreateAgentCode(ctx context.Context, c *cronium.AgentCode, hash []byte) error {
	err := s.workspace(ctx, c.WorkspaceID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			INSERT INTO agent_codes (id, workspace_id, hash, name, tags, environment, server_id, uses, created_by, expires_at)
			SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
			WHERE $7::uuid IS NULL OR EXISTS (SELECT 1 FROM servers WHERE id = $7 AND kind = 'agent' AND archived_at IS NULL)
			RETURNING created_at`,
			c.ID, c.WorkspaceID, hash, c.Name, tagsOf(c.Tags), c.Environment, c.ServerID, c.Uses, c.CreatedBy, c.ExpiresAt).Scan(&c.CreatedAt)
	})
	return mapError(err, "make a code for agents")
}

// tagsOf keeps NULL out of a column of tags.
func tagsOf(tags map[string]string) map[string]string {
	if tags == nil {
		return map[string]string{}
	}
	return tags
}

// AgentCodes lists the newest 200 codes that can still be used, the newest first.
func (s *Store) AgentCodes(ctx context.Context, workspace cronium.ID) ([]cronium.AgentCode, error) {
	var codes []cronium.AgentCode
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id, workspace_id, name, environment, tags, server_id, uses, created_by, created_at, expires_at
			FROM agent_codes WHERE workspace_id = $1 AND uses > 0 AND expires_at > now()
			ORDER BY id DESC LIMIT 200`, workspace)
		if err != nil {
			return err
		}
		codes, err = pgx.CollectRows(rows, pgx.RowToStructByName[cronium.AgentCode])
		return err
	})
	return codes, mapError(err, "list codes for agents")
}

// DeleteAgentCode makes a code useless.
func (s *Store) DeleteAgentCode(ctx context.Context, workspace, id cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM agent_codes WHERE workspace_id = $1 AND id = $2`, workspace, id)
		if err == nil && tag.RowsAffected() == 0 {
			err = cronium.ErrNotFound
		}
		return err
	})
	return asIs(err, "delete a code for agents")
}

// asIs keeps an error that is written for people, and maps the others.
func asIs(err error, what string) error {
	var told *cronium.Error
	if errors.As(err, &told) {
		return err
	}
	return mapError(err, what)
}

// ErrCode says that a code for agents is not known, not any more, or was used.
// Which of them is not told: whoever tries codes shall not learn.
var ErrCode = cronium.Errorf(cronium.CodeUnauthorized,
	"The code is not known, has expired or has been used. Make a new one on the page Servers.")

// EnrolAgent uses a code once: it makes the server (or takes the one that the
// code is for, whose earlier keys are revoked) and notes the key of its agent. A
// key that has joined before gets the same answer again, so an agent whose answer
// was lost may ask again. It fails with ErrCode.
func (s *Store) EnrolAgent(ctx context.Context, hash, publicKey []byte, m cronium.Machine) (*cronium.EnrolledAgent, error) {
	var agent *cronium.EnrolledAgent
	err := s.system(ctx, func(tx pgx.Tx) error {
		var code cronium.AgentCode
		err := tx.QueryRow(ctx, `
			SELECT id, workspace_id, name, environment, tags, server_id, uses, created_by
			FROM agent_codes WHERE hash = $1 AND expires_at > now() FOR UPDATE`, hash).Scan(
			&code.ID, &code.WorkspaceID, &code.Name, &code.Environment, &code.Tags, &code.ServerID, &code.Uses, &code.CreatedBy)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrCode
		}
		if err != nil {
			return err
		}
		if agent, err = agentByKey(ctx, tx, publicKey); err == nil {
			if agent.WorkspaceID != code.WorkspaceID || agent.Refused != "" {
				return ErrCode
			}
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if code.Uses < 1 {
			return ErrCode
		}
		agent, err = useCode(ctx, tx, code, publicKey, m.Bounded())
		return err
	})
	return agent, asIs(err, "enrol an agent")
}

func useCode(ctx context.Context, tx pgx.Tx, code cronium.AgentCode, publicKey []byte, m cronium.Machine) (*cronium.EnrolledAgent, error) {
	if _, err := tx.Exec(ctx, `UPDATE agent_codes SET uses = uses - 1 WHERE id = $1`, code.ID); err != nil {
		return nil, err
	}
	agent := &cronium.EnrolledAgent{WorkspaceID: code.WorkspaceID}
	var err error
	if code.ServerID != nil {
		err = tx.QueryRow(ctx, `SELECT id, name FROM servers WHERE id = $1 AND archived_at IS NULL FOR UPDATE`, code.ServerID).Scan(&agent.ServerID, &agent.Name)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ErrCode
		}
		if err == nil {
			_, err = tx.Exec(ctx, `UPDATE agent_keys SET revoked_at = now(), revoked_by = $2 WHERE server_id = $1 AND revoked_at IS NULL`, agent.ServerID, code.CreatedBy)
		}
	} else {
		name := code.Name
		if name == "" {
			name = cronium.ServerNameOf(m.Hostname)
		}
		agent.ServerID, agent.Name, err = insertAgentServer(ctx, tx, code, name)
	}
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO agent_keys (public_key, workspace_id, server_id) VALUES ($1, $2, $3)`, publicKey, agent.WorkspaceID, agent.ServerID)
	if err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO server_states (server_id, workspace_id, os, arch, agent_version) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (server_id) DO UPDATE SET os = excluded.os, arch = excluded.arch, agent_version = excluded.agent_version`,
		agent.ServerID, agent.WorkspaceID, m.OS, m.Arch, m.Version)
	return agent, err
}

// insertAgentServer makes a server of the name, or of the first of name-2,
// name-3, … that is free.
func insertAgentServer(ctx context.Context, tx pgx.Tx, code cronium.AgentCode, name string) (cronium.ID, string, error) {
	id, tried := cronium.NewID(), name
	for n := 2; ; n++ {
		tag, err := tx.Exec(ctx, `
			INSERT INTO servers (id, workspace_id, name, kind, environment, tags) VALUES ($1, $2, $3, 'agent', $4, $5)
			ON CONFLICT (workspace_id, lower(name)) WHERE archived_at IS NULL DO NOTHING`,
			id, code.WorkspaceID, tried, code.Environment, tagsOf(code.Tags))
		if err != nil {
			return id, "", err
		}
		if tag.RowsAffected() == 1 {
			return id, tried, nil
		}
		if n > cronium.MaxCodeUses {
			return id, "", cronium.Errorf(cronium.CodeConflict, "There are servers %s to %s already. Make a code with another name.", name, tried)
		}
		suffix := fmt.Sprintf("-%d", n)
		tried = name[:min(len(name), 63-len(suffix))] + suffix
	}
}

// AgentByKey is whose key it is, and whether it may connect. It fails with
// cronium.ErrNotFound for a key that nobody has.
func (s *Store) AgentByKey(ctx context.Context, publicKey []byte) (*cronium.EnrolledAgent, error) {
	agent, err := agentByKey(ctx, s.worker, publicKey)
	return agent, mapError(err, "look up the key of an agent")
}

type queryRower interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func agentByKey(ctx context.Context, db queryRower, publicKey []byte) (*cronium.EnrolledAgent, error) {
	var a cronium.EnrolledAgent
	err := db.QueryRow(ctx, `
		SELECT k.server_id, k.workspace_id, s.name, k.created_at, CASE
			WHEN k.revoked_at IS NOT NULL THEN 'the key of this agent was revoked'
			WHEN k.expires_at < now() THEN 'the key of this agent was replaced by a newer one'
			WHEN s.archived_at IS NOT NULL THEN 'the server of this agent is archived'
			ELSE '' END
		FROM agent_keys k JOIN servers s ON s.id = k.server_id WHERE k.public_key = $1`, publicKey).Scan(
		&a.ServerID, &a.WorkspaceID, &a.Name, &a.KeySince, &a.Refused)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// UsableAgentKeys tells which of the keys may be connected.
func (s *Store) UsableAgentKeys(ctx context.Context, keys [][]byte) ([][]byte, error) {
	rows, err := s.worker.Query(ctx, `
		SELECT k.public_key FROM agent_keys k JOIN servers s ON s.id = k.server_id
		WHERE k.public_key = ANY($1) AND k.revoked_at IS NULL AND s.archived_at IS NULL
		  AND (k.expires_at IS NULL OR k.expires_at > now())`, keys)
	if err != nil {
		return nil, mapError(err, "look up keys of agents")
	}
	usable, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	return usable, mapError(err, "look up keys of agents")
}

// AddAgentKey notes the next key of an agent that holds the key before it.
func (s *Store) AddAgentKey(ctx context.Context, server cronium.ID, before, next []byte) error {
	tag, err := s.worker.Exec(ctx, `
		INSERT INTO agent_keys (public_key, workspace_id, server_id)
		SELECT $3, workspace_id, server_id FROM agent_keys
		WHERE server_id = $1 AND public_key = $2 AND revoked_at IS NULL
		ON CONFLICT (public_key) DO NOTHING`, server, before, next)
	if err == nil && tag.RowsAffected() == 0 {
		err = fmt.Errorf("the key is known already, or the one before it was revoked")
	}
	return mapError(err, "note the next key of an agent")
}

// AgentKeys lists the newest 100 keys of a server's agent, the newest first.
func (s *Store) AgentKeys(ctx context.Context, workspace, server cronium.ID) ([]cronium.AgentKey, error) {
	var keys []cronium.AgentKey
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		var there cronium.ID
		if err := tx.QueryRow(ctx, `SELECT id FROM servers WHERE workspace_id = $1 AND id = $2`, workspace, server).Scan(&there); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT public_key, server_id, created_at, used_at, expires_at, revoked_at, revoked_by
			FROM agent_keys WHERE workspace_id = $1 AND server_id = $2 ORDER BY created_at DESC LIMIT 100`, workspace, server)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, pgx.RowToStructByName[cronium.AgentKey])
		return err
	})
	return keys, mapError(err, "list the keys of an agent")
}

// RevokeAgent revokes all keys of a server's agent, and gives how many there
// were. The caller publishes live.AgentsTopic.
func (s *Store) RevokeAgent(ctx context.Context, workspace, server cronium.ID, by string) (int, error) {
	var revoked int64
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		var kind cronium.ServerKind
		if err := tx.QueryRow(ctx, `SELECT kind FROM servers WHERE workspace_id = $1 AND id = $2`, workspace, server).Scan(&kind); err != nil {
			return err
		}
		if kind != cronium.ServerAgent {
			return cronium.Errorf(cronium.CodeConflict, "The server is reached over SSH; it has no installed agent.")
		}
		tag, err := tx.Exec(ctx, `UPDATE agent_keys SET revoked_at = now(), revoked_by = $3
			WHERE workspace_id = $1 AND server_id = $2 AND revoked_at IS NULL`, workspace, server, by)
		revoked = tag.RowsAffected()
		return err
	})
	return int(revoked), asIs(err, "revoke the keys of an agent")
}

// dropOldAgentCodes removes codes that can never be used again.
func (s *Store) dropOldAgentCodes(ctx context.Context, before time.Time) error {
	_, err := s.worker.Exec(ctx, `DELETE FROM agent_codes WHERE expires_at < $1`, before)
	return mapError(err, "remove old codes for agents")
}

// OpenExecutions tells which of the executions are not final.
func (s *Store) OpenExecutions(ctx context.Context, ids []cronium.ID) ([]cronium.ID, error) {
	rows, err := s.worker.Query(ctx, `SELECT id FROM executions WHERE id = ANY($1) AND status IN ('PENDING', 'RUNNING')`, ids)
	if err != nil {
		return nil, mapError(err, "look up executions")
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	return open, mapError(err, "look up executions")
}
