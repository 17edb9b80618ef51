package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// ServerRow is a server as lists and its page show it.
type ServerRow struct {
	cronium.Server
	Status  cronium.ServerStatus
	Running int            // executions that are open on it
	Samples []ServerSample // of the last day, the oldest first; of lists and with ServerFilter.Samples alone
}

// ServerCursor is where the next page begins: after this server.
type ServerCursor struct {
	Name string
	ID   cronium.ID
}

// Cursor is where the page after the row begins.
func (r *ServerRow) Cursor() ServerCursor { return ServerCursor{Name: r.Name, ID: r.ID} }

// ServerFilter chooses servers. Zero fields do not restrict, except that archived
// ones are listed only with Archived.
type ServerFilter struct {
	IDs      []cronium.ID // nil = all
	Query    string       // part of the name or the address, in any case
	State    []cronium.ServerState
	Kind     cronium.ServerKind
	Archived bool // those alone
	Offered  bool // those alone that show a host key which nobody has confirmed
	Troubled bool // those alone that are OFFLINE or BLOCKED, or whose agent was not updated
	Samples  bool // with their day
	After    *ServerCursor
	Limit    int // 1 to 200; 0 = 50
}

const statusColumns = `st.state st.since st.error st.holder st.seen_at st.latency_us st.load1 st.cpus st.memory_total st.memory_used st.disk_total st.disk_used
	st.uptime_s st.agent_version st.os st.arch st.platform st.clock_skew_ms st.address st.update_error`

// scanStatus gives the destinations of statusColumns.
func scanStatus(s *cronium.ServerStatus) []any {
	return []any{&s.State, &s.Since, &s.Error, &s.Holder, &s.SeenAt, microseconds{&s.Latency}, &s.Load1, &s.CPUs, &s.MemoryTotal, &s.MemoryUsed,
		&s.DiskTotal, &s.DiskUsed, unit{&s.Uptime, time.Second}, &s.AgentVersion, &s.OS, &s.Arch, &s.Platform, unit{&s.ClockSkew, time.Millisecond}, &s.Address, &s.UpdateError}
}

// unit scans a bigint of some unit into a duration.
type unit struct {
	d  *time.Duration
	of time.Duration
}

// Scan makes it a sql.Scanner.
func (u unit) Scan(value any) error {
	n, _ := value.(int64)
	*u.d = time.Duration(n) * u.of
	return nil
}

// where builds the condition; every value is a parameter.
func (f ServerFilter) where(workspace cronium.ID) (string, []any) {
	conditions := []string{"s.workspace_id = $1", "s.archived_at IS NULL"}
	args := []any{workspace}
	add := func(condition string, values ...any) {
		numbers := make([]any, len(values))
		for i, value := range values {
			args = append(args, value)
			numbers[i] = len(args)
		}
		conditions = append(conditions, fmt.Sprintf(condition, numbers...))
	}
	if f.Archived {
		conditions[1] = "s.archived_at IS NOT NULL"
	}
	if f.IDs != nil {
		add("s.id = ANY($%d)", f.IDs)
	}
	if f.Query != "" {
		add("(strpos(lower(s.name), lower($%[1]d)) > 0 OR strpos(lower(s.address), lower($%[1]d)) > 0)", f.Query)
	}
	if len(f.State) > 0 {
		add("st.state = ANY($%d)", f.State)
	}
	if f.Kind != "" {
		add("s.kind = $%d", f.Kind)
	}
	if f.Troubled {
		conditions = append(conditions, "(st.state IN ('OFFLINE', 'BLOCKED') OR st.update_error <> '')")
	}
	if f.Offered {
		conditions = append(conditions, "s.offered_key IS NOT NULL")
	}
	if f.After != nil {
		add("(lower(s.name), s.id) > (lower($%d), $%d::uuid)", f.After.Name, f.After.ID)
	}
	return strings.Join(conditions, " AND "), args
}

// Servers lists servers by name.
func (s *Store) Servers(ctx context.Context, workspace cronium.ID, filter ServerFilter) ([]ServerRow, error) {
	where, args := filter.where(workspace)
	args = append(args, pageLimit(filter.Limit))
	var servers []ServerRow
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(`
			SELECT %s, %s, (SELECT count(*)::int FROM executions e WHERE e.server_id = s.id AND e.status IN ('PENDING', 'RUNNING'))
			FROM servers s JOIN server_states st ON st.server_id = s.id
			WHERE %s ORDER BY lower(s.name), s.id LIMIT $%d`,
			serverColumns("s"), strings.Join(strings.Fields(statusColumns), ", "), where, len(args)), args...)
		if err != nil {
			return err
		}
		if servers, err = pgx.CollectRows(rows, rowToServerRow); err != nil || !filter.Samples {
			return err
		}
		return addSamples(ctx, tx, servers)
	})
	return servers, mapError(err, "list servers")
}

// ServerRow reads one server with its status and its day, also an archived one.
func (s *Store) ServerRow(ctx context.Context, workspace, id cronium.ID) (*ServerRow, error) {
	filter := ServerFilter{IDs: []cronium.ID{id}, Samples: true, Limit: 1}
	for range 2 {
		rows, err := s.Servers(ctx, workspace, filter)
		if err != nil {
			return nil, err
		}
		if len(rows) == 1 {
			return &rows[0], nil
		}
		filter.Archived = true
	}
	return nil, cronium.ErrNotFound
}

func rowToServerRow(row pgx.CollectableRow) (ServerRow, error) {
	var r ServerRow
	err := row.Scan(append(append(scanServer(&r.Server), scanStatus(&r.Status)...), &r.Running)...)
	r.Status.ServerID = r.ID
	return r, err
}

// ServerStates counts the servers of a workspace by state, without archived ones.
func (s *Store) ServerStates(ctx context.Context, workspace cronium.ID) (map[cronium.ServerState]int, error) {
	states := map[cronium.ServerState]int{}
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT st.state, count(*)::int FROM servers s JOIN server_states st ON st.server_id = s.id
			WHERE s.workspace_id = $1 AND s.archived_at IS NULL GROUP BY st.state`, workspace)
		if err != nil {
			return err
		}
		var state cronium.ServerState
		var count int
		_, err = pgx.ForEachRow(rows, []any{&state, &count}, func() error {
			states[state] = count
			return nil
		})
		return err
	})
	return states, mapError(err, "count servers")
}

// TroubledServers counts those of ServerFilter.Troubled, without archived ones.
func (s *Store) TroubledServers(ctx context.Context, workspace cronium.ID) (count int, err error) {
	where, args := ServerFilter{Troubled: true}.where(workspace)
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*)::int FROM servers s JOIN server_states st ON st.server_id = s.id WHERE `+where, args...).Scan(&count)
	})
	return count, mapError(err, "count servers that need attention")
}

// ServersWithoutKey counts the servers over SSH that have no pinned host key and
// have shown none yet, without archived ones.
func (s *Store) ServersWithoutKey(ctx context.Context, workspace cronium.ID) (count int, err error) {
	err = s.read(ctx, workspace, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*)::int FROM servers
			WHERE workspace_id = $1 AND kind = 'ssh' AND archived_at IS NULL AND host_key IS NULL AND offered_key IS NULL`, workspace).Scan(&count)
	})
	return count, mapError(err, "count servers without a host key")
}

// ServersMatching gives what selectors look at of all servers that are not
// archived, by name.
func (s *Store) ServersMatching(ctx context.Context, workspace cronium.ID) ([]SelectableServer, error) {
	var servers []SelectableServer
	err := s.read(ctx, workspace, func(tx pgx.Tx) (err error) {
		servers, err = selectableServers(ctx, tx, workspace)
		return err
	})
	return servers, mapError(err, "list servers")
}

// SelectableServer is what a selector looks at, and the state.
type SelectableServer struct {
	ID          cronium.ID
	Name        string
	Kind        cronium.ServerKind
	Environment string
	Tags        map[string]string
	State       cronium.ServerState
}

func selectableServers(ctx context.Context, tx pgx.Tx, workspace cronium.ID) ([]SelectableServer, error) {
	rows, err := tx.Query(ctx, `SELECT s.id, s.name, s.kind, s.environment, s.tags, st.state
		FROM servers s JOIN server_states st ON st.server_id = s.id
		WHERE s.workspace_id = $1 AND s.archived_at IS NULL ORDER BY lower(s.name), s.id`, workspace)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[SelectableServer])
}

// EventOnServer is an event that runs on a server.
type EventOnServer struct {
	ID     cronium.ID
	Name   string
	Status cronium.EventStatus
	Chosen bool // named one by one; else its selector matches
}

// EventsOnServer lists events whose current version names the server or whose
// selector, which matches decides, has it. Archived events are left out.
func (s *Store) EventsOnServer(ctx context.Context, workspace, id cronium.ID, matches func(selector string) bool) ([]EventOnServer, error) {
	var events []EventOnServer
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT e.id, e.name, e.status, v.fleet->'servers' ? $2::text, coalesce(v.fleet->>'selector', '')
			FROM events e JOIN event_versions v ON v.event_id = e.id AND v.number = e.version
			WHERE e.workspace_id = $1 AND e.status <> 'ARCHIVED' AND v.fleet IS NOT NULL AND v.target = 'servers'
			ORDER BY lower(e.name), e.id`, workspace, id.String())
		if err != nil {
			return err
		}
		var e EventOnServer
		var chosen *bool
		var selector string
		_, err = pgx.ForEachRow(rows, []any{&e.ID, &e.Name, &e.Status, &chosen, &selector}, func() error {
			e.Chosen = chosen != nil && *chosen
			if e.Chosen || selector != "" && matches(selector) {
				events = append(events, e)
			}
			return nil
		})
		return err
	})
	return events, mapError(err, "list the events of a server")
}

// mostUsersOnServer bounds UsersOnServer.
const mostUsersOnServer = 20

// UsersOnServer are the users other than its login that scripts ran as on a
// server, as far as its jobs are kept; the first twenty by name.
func (s *Store) UsersOnServer(ctx context.Context, workspace, id cronium.ID) ([]string, error) {
	var users []string
	err := s.read(ctx, workspace, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH ran AS (
				SELECT DISTINCT j.event_id, j.version FROM job_targets t JOIN jobs j ON j.id = t.job_id
				WHERE t.workspace_id = $1 AND t.server_id = $2 AND t.execution_id IS NOT NULL)
			SELECT DISTINCT v.fleet->>'run_as' AS name FROM ran JOIN event_versions v ON v.event_id = ran.event_id AND v.number = ran.version
			WHERE v.workspace_id = $1 AND v.fleet->>'run_as' <> '' ORDER BY name LIMIT $3`, workspace, id, mostUsersOnServer)
		if err != nil {
			return err
		}
		users, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return users, mapError(err, "list the users of a server")
}

// JobOnServer is a job that had a server as a target.
type JobOnServer struct {
	Job       cronium.Job // without input and output
	EventName string
	Target    cronium.TargetStatus // of the server in it
}

// JobsOnServer lists the last jobs on a server, the newest first.
func (s *Store) JobsOnServer(ctx context.Context, workspace, id cronium.ID, limit int) ([]JobOnServer, error) {
	list := strings.NewReplacer("j.input", "NULL::json", "j.output", "NULL::json").Replace(jobColumns("j"))
	var jobs []JobOnServer
	err := s.inWorkspace(ctx, workspace, indexAlone, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT `+list+`, e.name, t.status
			FROM (SELECT job_id, status FROM job_targets WHERE workspace_id = $1 AND server_id = $2 ORDER BY job_id DESC LIMIT $3) t
			JOIN jobs j ON j.id = t.job_id JOIN events e ON e.id = j.event_id
			ORDER BY j.id DESC`, workspace, id, limit)
		if err != nil {
			return err
		}
		jobs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (JobOnServer, error) {
			var j JobOnServer
			return j, row.Scan(append(scanJob(&j.Job), &j.EventName, &j.Target)...)
		})
		return err
	})
	return jobs, mapError(err, "list the jobs of a server")
}
