package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// AgentGrace is how long an installed agent may be without a connection before
// its server is OFFLINE: a line that was cut comes back within seconds.
const AgentGrace = 12 * time.Second

// AgentConnected notes that a process holds the connection of an agent, and
// with which key it came. Keys older than that one count no more.
func (s *Store) AgentConnected(ctx context.Context, process, server cronium.ID, publicKey []byte, address string, m cronium.Machine) error {
	m = m.Bounded()
	err := s.system(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE server_states SET holder = $2, state = 'ONLINE', error = '', seen_at = now(),
				since = CASE WHEN state = 'ONLINE' THEN since ELSE now() END,
				address = $3, os = $4, arch = $5, agent_version = $6,
				update_error = CASE WHEN agent_version = $6 THEN update_error ELSE '' END
			WHERE server_id = $1`, server, process, address, m.OS, m.Arch, m.Version)
		if err != nil {
			return err
		}
		var made time.Time
		if err := tx.QueryRow(ctx, `UPDATE agent_keys SET used_at = now() WHERE public_key = $1 RETURNING created_at`, publicKey).Scan(&made); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE agent_keys SET expires_at = now()
			WHERE server_id = $1 AND created_at < $2 AND public_key <> $3 AND expires_at IS NULL AND revoked_at IS NULL`, server, made, publicKey)
		return err
	})
	return mapError(err, "note the connection of an agent")
}

// AgentsHeld notes that the process holds the connections of these agents and of
// no others. An agent that another process holds now stays that one's. Nothing is
// written of those of whom that is known: the lease of the process tells that it
// still holds them.
func (s *Store) AgentsHeld(ctx context.Context, process cronium.ID, servers []cronium.ID) error {
	err := s.system(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			UPDATE server_states SET seen_at = now(), holder = $1, state = 'ONLINE', error = '',
				since = CASE WHEN state = 'ONLINE' THEN since ELSE now() END
			WHERE server_id = ANY($2) AND (holder IS NULL OR holder = $1 AND (state <> 'ONLINE' OR error <> ''))`, process, servers); err != nil {
			return err
		}
		// What has connected in this moment is not among them yet.
		_, err := tx.Exec(ctx, `
			UPDATE server_states st SET holder = NULL, seen_at = now() FROM servers s
			WHERE st.holder = $1 AND st.server_id <> ALL($2) AND s.id = st.server_id AND s.kind = 'agent' AND st.seen_at < now() - $3::interval`,
			process, servers, AgentGrace/2)
		return err
	})
	return mapError(err, "note the connections of agents")
}

// AgentGone notes that the process holds the agent's connection no more. The
// server is OFFLINE only when no process has it for AgentGrace.
func (s *Store) AgentGone(ctx context.Context, process, server cronium.ID) error {
	_, err := s.worker.Exec(ctx, `UPDATE server_states SET holder = NULL, seen_at = now() WHERE server_id = $1 AND holder = $2`, server, process)
	return mapError(err, "note the end of an agent's connection")
}

// AgentHolder finds the living process that holds the agent's connection. It fails
// with ErrNotFound where none does.
func (s *Store) AgentHolder(ctx context.Context, server cronium.ID) (*cronium.AgentHolder, error) {
	var h cronium.AgentHolder
	err := s.worker.QueryRow(ctx, `
		SELECT p.id, p.hostname, p.address FROM server_states st JOIN processes p ON p.id = st.holder
		WHERE st.server_id = $1 AND p.lease_until > now()`, server).Scan(&h.Process, &h.Hostname, &h.Address)
	if err != nil {
		return nil, mapError(err, "find who holds an agent")
	}
	return &h, nil
}

// OfflineAgents marks the servers whose agents nobody has heard of for
// AgentGrace, and no process that was alive since then holds, and gives the workspaces that have such.
func (s *Store) OfflineAgents(ctx context.Context) ([]cronium.ID, error) {
	rows, err := s.worker.Query(ctx, `
		WITH lost AS (
			UPDATE server_states st SET state = 'OFFLINE', since = now(), holder = NULL,
				error = 'Its agent is not connected. Is the machine on, and can it reach this server?'
			FROM servers s WHERE s.id = st.server_id AND s.kind = 'agent' AND st.state = 'ONLINE'
			  AND st.seen_at < now() - $1::interval
			  AND NOT EXISTS (SELECT FROM processes p WHERE p.id = st.holder AND p.lease_until > now() - $1::interval)
			RETURNING st.workspace_id)
		SELECT DISTINCT workspace_id FROM lost`, AgentGrace)
	if err != nil {
		return nil, mapError(err, "look for agents that are gone")
	}
	workspaces, err := pgx.CollectRows(rows, pgx.RowTo[cronium.ID])
	return workspaces, mapError(err, "look for agents that are gone")
}

// NoteAgentUpdate notes why an agent was not updated. Its next version clears it.
func (s *Store) NoteAgentUpdate(ctx context.Context, server cronium.ID, fault string) error {
	_, err := s.worker.Exec(ctx, `UPDATE server_states SET update_error = $2 WHERE server_id = $1`, server, fault)
	return mapError(err, "note the update of an agent")
}

// AgentUpdateFault is AgentUpdate for workers, of whatever workspace.
func (s *Store) AgentUpdateFault(ctx context.Context, server cronium.ID) (fault string, err error) {
	err = s.worker.QueryRow(ctx, `SELECT update_error FROM server_states WHERE server_id = $1`, server).Scan(&fault)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return fault, mapError(err, "read the update of an agent")
}

// RetryAgentUpdate has the update of an agent tried again that failed. It fails
// with CodeConflict where none did.
func (s *Store) RetryAgentUpdate(ctx context.Context, workspace, server cronium.ID) error {
	err := s.workspace(ctx, workspace, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE server_states SET update_error = '' WHERE workspace_id = $1 AND server_id = $2 AND update_error <> ''`, workspace, server)
		if err == nil && tag.RowsAffected() == 0 {
			return cronium.Errorf(cronium.CodeConflict, "No update of this agent has failed, so none is tried again.")
		}
		return err
	})
	return asIs(err, "try an update again")
}

// AgentUpdate is why the agent of a server was not updated, "" if it was or need
// not be.
func (s *Store) AgentUpdate(ctx context.Context, workspace, server cronium.ID) (fault string, err error) {
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT update_error FROM server_states WHERE workspace_id = $1 AND server_id = $2`, workspace, server).Scan(&fault)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return fault, mapError(err, "read the update of an agent")
}
