package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// SampleSpan is the time that one row of a server's history covers, and
// SampleAge how long it is kept.
const (
	SampleSpan = 5 * time.Minute
	SampleAge  = 24 * time.Hour
)

// ServerSample is how a server was in one SampleSpan, or what is to be added to
// that: averages over Samples answers.
type ServerSample struct {
	ServerID    cronium.ID
	WorkspaceID cronium.ID
	At          time.Time     // start of the span
	Up          float64       // share of the samples that found it online
	Load        float64       // the following: averages of those
	Memory      float64       // share used, 0 to 1
	Disk        float64       // share used, 0 to 1
	Latency     time.Duration // of one question and answer
	Samples     int
}

// addSamples fills in the last day of the servers.
func addSamples(ctx context.Context, tx pgx.Tx, servers []ServerRow) error {
	at := make(map[cronium.ID]*ServerRow, len(servers))
	ids := make([]cronium.ID, len(servers))
	for i := range servers {
		ids[i], at[servers[i].ID] = servers[i].ID, &servers[i]
	}
	rows, err := tx.Query(ctx, `SELECT server_id, workspace_id, at, up, load1, memory, disk, latency_us, samples FROM server_samples
		WHERE server_id = ANY($1) AND at > now() - $2::interval ORDER BY server_id, at`, ids, SampleAge)
	if err != nil {
		return err
	}
	var s ServerSample
	_, err = pgx.ForEachRow(rows, []any{&s.ServerID, &s.WorkspaceID, &s.At, &s.Up, &s.Load, &s.Memory, &s.Disk, microseconds{&s.Latency}, &s.Samples}, func() error {
		row := at[s.ServerID]
		row.Samples = append(row.Samples, s)
		return nil
	})
	return err
}

// Watched is a server that a process watches.
type Watched struct {
	ID          cronium.ID
	WorkspaceID cronium.ID
	Kind        cronium.ServerKind
	State       cronium.ServerState
	Since       time.Time
}

// WatchServers gives the process up to limit more of the servers over SSH that
// no living process watches, and tells all that it watches now, with those whose
// installed agents it holds. What is archived or BLOCKED is watched by nobody.
func (s *Store) WatchServers(ctx context.Context, process cronium.ID, limit int) ([]Watched, error) {
	var watched []Watched
	err := s.system(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			WITH free AS (
				SELECT st.server_id FROM server_states st JOIN servers s ON s.id = st.server_id
				WHERE s.kind = 'ssh' AND s.archived_at IS NULL AND st.state <> 'BLOCKED'
					AND (st.holder IS NULL OR NOT EXISTS (SELECT FROM processes p WHERE p.id = st.holder AND p.lease_until > now()))
				ORDER BY st.server_id LIMIT $2 FOR UPDATE OF st SKIP LOCKED)
			UPDATE server_states st SET holder = $1 FROM free WHERE st.server_id = free.server_id`, process, limit); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT s.id, s.workspace_id, s.kind, st.state, st.since FROM server_states st JOIN servers s ON s.id = st.server_id
			WHERE st.holder = $1 AND s.archived_at IS NULL AND st.state <> 'BLOCKED'`, process)
		if err != nil {
			return err
		}
		watched, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Watched])
		return err
	})
	return watched, mapError(err, "take servers to watch")
}

// UnwatchServers gives back what the process watches over SSH, so that others
// take it at once.
func (s *Store) UnwatchServers(ctx context.Context, process cronium.ID) error {
	_, err := s.worker.Exec(ctx, `UPDATE server_states st SET holder = NULL FROM servers s
		WHERE st.holder = $1 AND s.id = st.server_id AND s.kind = 'ssh'`, process)
	return mapError(err, "give back watched servers")
}

// SaveStatuses stores how servers are, in one statement. What another process
// watches, and what is BLOCKED, stays as it is; seen_at and the figures of a
// server that is not ONLINE stay too.
func (s *Store) SaveStatuses(ctx context.Context, process cronium.ID, statuses []cronium.ServerStatus) error {
	if len(statuses) == 0 {
		return nil
	}
	_, err := s.worker.Exec(ctx, `
		UPDATE server_states st SET state = n.state, error = n.error, since = CASE WHEN st.state = n.state THEN st.since ELSE now() END,
			seen_at = CASE WHEN n.up THEN now() ELSE seen_at END,
			latency_us = CASE WHEN n.up THEN n.latency ELSE latency_us END, load1 = CASE WHEN n.up THEN n.load1 ELSE st.load1 END,
			cpus = CASE WHEN n.up THEN n.cpus ELSE st.cpus END,
			memory_total = CASE WHEN n.up THEN n.memory_total ELSE st.memory_total END, memory_used = CASE WHEN n.up THEN n.memory_used ELSE st.memory_used END,
			disk_total = CASE WHEN n.up THEN n.disk_total ELSE st.disk_total END, disk_used = CASE WHEN n.up THEN n.disk_used ELSE st.disk_used END,
			uptime_s = CASE WHEN n.up THEN n.uptime ELSE uptime_s END, agent_version = CASE WHEN n.up THEN n.agent ELSE agent_version END,
			os = CASE WHEN n.up THEN n.os ELSE st.os END, arch = CASE WHEN n.up THEN n.arch ELSE st.arch END,
			platform = CASE WHEN n.up THEN n.platform ELSE st.platform END, clock_skew_ms = CASE WHEN n.up THEN n.skew ELSE clock_skew_ms END
		FROM (SELECT *, state = 'ONLINE' AS up FROM unnest($2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::real[], $7::int[], $8::bigint[], $9::bigint[],
				$10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::text[], $17::bigint[])
			AS n (server, state, error, latency, load1, cpus, memory_total, memory_used, disk_total, disk_used, uptime, agent, os, arch, platform, skew)) n
		WHERE st.server_id = n.server AND st.holder = $1 AND st.state <> 'BLOCKED'`,
		append([]any{process}, statusArrays(statuses)...)...)
	return mapError(err, "store how servers are")
}

func statusArrays(statuses []cronium.ServerStatus) []any {
	var (
		servers                                         []cronium.ID
		state, problem, agent, os, arch, platform       []string
		load                                            []float32
		cpus                                            []int32
		latency, memory, memoryUsed, disk, diskUsed, up []int64
		skew                                            []int64
	)
	for _, s := range statuses {
		servers = append(servers, s.ServerID)
		state, problem = append(state, string(s.State)), append(problem, s.Error)
		latency, load, cpus = append(latency, s.Latency.Microseconds()), append(load, float32(s.Load1)), append(cpus, int32(s.CPUs))
		memory, memoryUsed = append(memory, s.MemoryTotal), append(memoryUsed, s.MemoryUsed)
		disk, diskUsed = append(disk, s.DiskTotal), append(diskUsed, s.DiskUsed)
		up, skew = append(up, int64(s.Uptime/time.Second)), append(skew, s.ClockSkew.Milliseconds())
		agent, os, arch, platform = append(agent, s.AgentVersion), append(os, s.OS), append(arch, s.Arch), append(platform, s.Platform)
	}
	return []any{servers, state, problem, latency, load, cpus, memory, memoryUsed, disk, diskUsed, up, agent, os, arch, platform, skew}
}

// AddSamples adds samples to the servers' history, in one statement: each row
// becomes the average of what it has and what is added.
func (s *Store) AddSamples(ctx context.Context, samples []ServerSample) error {
	if len(samples) == 0 {
		return nil
	}
	var servers, workspaces []cronium.ID
	var at []time.Time
	var up, load, memory, disk []float32
	var latency, count []int64
	for _, s := range samples {
		servers, workspaces, at = append(servers, s.ServerID), append(workspaces, s.WorkspaceID), append(at, s.At.Truncate(SampleSpan))
		up, load, memory, disk = append(up, float32(s.Up)), append(load, float32(s.Load)), append(memory, float32(s.Memory)), append(disk, float32(s.Disk))
		latency, count = append(latency, s.Latency.Microseconds()), append(count, int64(s.Samples))
	}
	_, err := s.worker.Exec(ctx, `
		INSERT INTO server_samples AS h (server_id, workspace_id, at, up, load1, memory, disk, latency_us, samples)
		SELECT n.* FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::real[], $5::real[], $6::real[], $7::real[], $8::bigint[], $9::int[])
			AS n (server_id, workspace_id, at, up, load1, memory, disk, latency_us, samples)
		WHERE EXISTS (SELECT FROM servers WHERE id = n.server_id)
		ON CONFLICT (server_id, at) DO UPDATE SET
			up = (h.up * h.samples + excluded.up * excluded.samples) / (h.samples + excluded.samples),
			load1 = coalesce((h.load1 * h.up * h.samples + excluded.load1 * excluded.up * excluded.samples) / nullif(h.up * h.samples + excluded.up * excluded.samples, 0), 0),
			memory = coalesce((h.memory * h.up * h.samples + excluded.memory * excluded.up * excluded.samples) / nullif(h.up * h.samples + excluded.up * excluded.samples, 0), 0),
			disk = coalesce((h.disk * h.up * h.samples + excluded.disk * excluded.up * excluded.samples) / nullif(h.up * h.samples + excluded.up * excluded.samples, 0), 0),
			latency_us = coalesce((h.latency_us * h.up * h.samples + excluded.latency_us * excluded.up * excluded.samples) / nullif(h.up * h.samples + excluded.up * excluded.samples, 0), 0),
			samples = h.samples + excluded.samples`,
		servers, workspaces, at, up, load, memory, disk, latency, count)
	return mapError(err, "store the history of servers")
}

// dropOldSamples removes history that is no longer shown.
func (s *Store) dropOldSamples(ctx context.Context, now time.Time) error {
	_, err := s.worker.Exec(ctx, `DELETE FROM server_samples WHERE at < $1`, now.Add(-SampleAge-time.Hour))
	return mapError(err, "remove old history of servers")
}
