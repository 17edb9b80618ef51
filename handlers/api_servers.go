package handlers

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/store"
)

func (a *api) serverOperations() {
	const secrets = " Passwords and private keys are sealed, and no answer has them."
	add(a, operation{method: http.MethodGet, path: "/servers", permission: cronium.PermissionRead, id: "list-servers", tag: "Servers",
		summary: "List servers by name, with how they are", description: "Archived ones are listed only with archived."}, a.listServers)
	add(a, operation{method: http.MethodPost, path: "/servers", permission: cronium.PermissionAdmin, id: "create-server", tag: "Servers", status: http.StatusCreated,
		summary: "Add a server that is reached over SSH", description: "Without host_key nothing is sent there but the question for its key: the server is BLOCKED until that one is accepted." + secrets}, a.createServer)
	add(a, operation{method: http.MethodPost, path: "/servers/test", permission: cronium.PermissionAdmin, id: "test-server", tag: "Servers",
		summary: "Try a connection step by step, and store nothing", description: "Without host_key it ends at the host's key, which the answer has: confirm it and send it as host_key. With id, what is not sent is as that server has it." + secrets}, a.tryConnection)
	add(a, operation{method: http.MethodGet, path: "/servers/{id}", permission: cronium.PermissionRead, id: "get-server", tag: "Servers",
		summary: "One server and how it is"}, a.getServer)
	add(a, operation{method: http.MethodPatch, path: "/servers/{id}", permission: cronium.PermissionAdmin, id: "update-server", tag: "Servers",
		summary: "Change, archive or restore a server", description: "What is not sent stays as it is. Another address or port forgets the pinned host key unless host_key is sent too. With If-Match, which names the ETag that was read, the answer is 409 where somebody has changed the server since, with fields that are other now." + secrets}, a.updateServer)
	add(a, operation{method: http.MethodDelete, path: "/servers/{id}", permission: cronium.PermissionAdmin, id: "delete-server", tag: "Servers", status: http.StatusNoContent,
		summary: "Delete a server for good", description: "The agent is taken off the host if it can be reached. 409 while something runs there or others are reached through it."}, a.deleteServerOperation)
	add(a, operation{method: http.MethodPost, path: "/servers/{id}/host-key", permission: cronium.PermissionAdmin, id: "decide-host-key", tag: "Servers",
		summary: "Accept or refuse the key that a host shows", description: "Accepting names the key, so that no other one is accepted: 409 where the host shows another one by now."}, a.decideKeyOperation)
	add(a, operation{method: http.MethodPost, path: "/servers/host-keys", permission: cronium.PermissionAdmin, id: "accept-host-keys", tag: "Servers",
		summary: "Accept the keys that many hosts show", description: "Each names its key, so that no other one is accepted. What became of each is in the answer, in the order of the request. A key that takes the place of a confirmed one is refused here: decide-host-key accepts it."}, a.acceptKeysOperation)
	add(a, operation{method: http.MethodGet, path: "/servers/{id}/history", permission: cronium.PermissionRead, id: "server-history", tag: "Servers",
		summary: "How a server was in the last 24 hours, by five minutes"}, a.serverHistory)
	add(a, operation{method: http.MethodGet, path: "/servers/{id}/events", permission: cronium.PermissionRead, id: "server-events", tag: "Servers",
		summary: "Events that run on a server"}, a.serverEvents)
	a.importOperations()
}

// apiServer is a server as the API shows it.
type apiServer struct {
	ID          cronium.ID          `json:"id"`
	Name        string              `json:"name"`
	Kind        cronium.ServerKind  `json:"kind" enum:"ssh,agent"`
	Description string              `json:"description"`
	Environment string              `json:"environment"`
	Tags        map[string]string   `json:"tags"`
	Address     string              `json:"address,omitempty"`
	Port        int                 `json:"port,omitempty"`
	User        string              `json:"user,omitempty"`
	Jumps       []cronium.ID        `json:"jumps,omitempty" doc:"Servers to go through, the first one first"`
	SignsIn     bool                `json:"signs_in,omitempty" doc:"Something is stored to sign in with"`
	HostKey     *apiHostKey         `json:"host_key,omitempty" doc:"The pinned key of the host"`
	OfferedKey  *apiHostKey         `json:"offered_key,omitempty" doc:"Another key that the host shows and nobody has confirmed: it is BLOCKED"`
	State       cronium.ServerState `json:"state" enum:"UNKNOWN,ONLINE,OFFLINE,BLOCKED"`
	StateSince  time.Time           `json:"state_since"`
	Error       string              `json:"error,omitempty" doc:"Why it is OFFLINE or BLOCKED"`
	UpdateError string              `json:"agent_update_error,omitempty" doc:"Why its installed agent was not updated"`
	SeenAt      *time.Time          `json:"seen_at,omitempty"`
	Running     int                 `json:"running" doc:"Executions that are open on it"`
	Health      *apiHealth          `json:"health,omitempty" doc:"As it was seen last; absent before the first connection"`
	CreatedAt   time.Time           `json:"created_at"`
	UpdatedAt   time.Time           `json:"updated_at"`
	ArchivedAt  *time.Time          `json:"archived_at,omitempty"`
}

type apiHostKey struct {
	Fingerprint string     `json:"fingerprint" example:"ssh-ed25519 SHA256:…"`
	Key         string     `json:"key" doc:"In base64, as known_hosts has it"`
	By          string     `json:"by,omitempty" doc:"Who confirmed it"`
	At          *time.Time `json:"at,omitempty"`
}

type apiHealth struct {
	LatencyMS     float64 `json:"latency_ms"`
	Load          float64 `json:"load" doc:"Of the last minute"`
	CPUs          int     `json:"cpus"`
	MemoryTotal   int64   `json:"memory_total" doc:"In bytes, as the following"`
	MemoryUsed    int64   `json:"memory_used"`
	DiskTotal     int64   `json:"disk_total"`
	DiskUsed      int64   `json:"disk_used"`
	UptimeSeconds int64   `json:"uptime_seconds"`
	AgentVersion  string  `json:"agent_version"`
	OS            string  `json:"os"`
	Arch          string  `json:"arch"`
	Platform      string  `json:"platform"`
	ClockSkewMS   int64   `json:"clock_skew_ms" doc:"The machine's clock against the server's"`
	Address       string  `json:"address,omitempty" doc:"From where an installed agent dialled in"`
}

func hostKeyOf(key []byte, by string, at *time.Time) *apiHostKey {
	if len(key) == 0 {
		return nil
	}
	return &apiHostKey{ssh.Fingerprint(key), base64.StdEncoding.EncodeToString(key), by, at}
}

func apiServerOf(r *store.ServerRow) apiServer {
	s := apiServer{
		ID: r.ID, Name: r.Name, Kind: r.Kind, Description: r.Description, Environment: r.Environment, Tags: r.Tags,
		Address: r.Server.Address, User: r.Login, Jumps: r.Jumps, SignsIn: r.CredentialID != nil,
		HostKey: hostKeyOf(r.HostKey, r.HostKeyBy, r.HostKeyAt), OfferedKey: hostKeyOf(r.OfferedKey, "", r.OfferedAt),
		State: r.Status.State, StateSince: r.Status.Since, Error: r.Status.Error, UpdateError: r.Status.UpdateError, SeenAt: r.Status.SeenAt, Running: r.Running,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, ArchivedAt: r.ArchivedAt,
	}
	if r.Kind == cronium.ServerSSH {
		s.Port = r.Port
	}
	if h := r.Status; h.SeenAt != nil {
		s.Health = &apiHealth{
			LatencyMS: float64(h.Latency.Microseconds()) / 1000, Load: h.Load1, CPUs: h.CPUs, MemoryTotal: h.MemoryTotal, MemoryUsed: h.MemoryUsed,
			DiskTotal: h.DiskTotal, DiskUsed: h.DiskUsed, UptimeSeconds: int64(h.Uptime / time.Second), AgentVersion: h.AgentVersion,
			OS: h.OS, Arch: h.Arch, Platform: h.Platform, ClockSkewMS: h.ClockSkew.Milliseconds(), Address: h.Address,
		}
	}
	return s
}

type listServersInput struct {
	ListInput
	Query    string `query:"q" doc:"Part of the name or the address"`
	Selector string `query:"selector" doc:"Those that it chooses" example:"env=prod and role in (web, api)"`
	State    string `query:"state" doc:"One or more of UNKNOWN, ONLINE, OFFLINE, BLOCKED with commas between"`
	Kind     string `query:"kind" enum:"ssh,agent"`
	Archived bool   `query:"archived" doc:"Archived ones alone"`
}

type listServersOutput struct {
	ListHead
	Body struct {
		Servers []apiServer `json:"servers"`
		Next    string      `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listServers(ctx context.Context, in *listServersInput) (*listServersOutput, error) {
	workspace := who(ctx).WorkspaceID
	filter := store.ServerFilter{Query: in.Query, Kind: cronium.ServerKind(in.Kind), Archived: in.Archived, Limit: in.Limit}
	states := []cronium.ServerState{cronium.ServerUnknown, cronium.ServerOnline, cronium.ServerOffline, cronium.ServerBlocked}
	var err error
	if filter.State, err = words(in.State, "state", states); err != nil {
		return nil, err
	}
	var after store.ServerCursor
	if given, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	} else if given {
		filter.After = &after
	}
	if in.Selector != "" {
		selector, err := cronium.ParseSelector(in.Selector)
		if err != nil {
			var problems cronium.Problems
			problems.Add(false, "selector", "cannot be read: %v", err)
			return nil, problems.Err("The request")
		}
		all, err := a.Store.ServersMatching(ctx, workspace)
		if err != nil {
			return nil, err
		}
		filter.IDs = matchingIDs(all, selector)
	}
	rows, err := a.Store.Servers(ctx, workspace, filter)
	if err != nil {
		return nil, err
	}
	out := &listServersOutput{}
	out.Body.Servers = make([]apiServer, 0, len(rows))
	for i := range rows {
		out.Body.Servers = append(out.Body.Servers, apiServerOf(&rows[i]))
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].Cursor())
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

// ServerID names a server.
type ServerID struct {
	ID string `path:"id"`
}

type serverOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag" doc:"The version of what persons have saved, for If-Match"`
	Body     apiServer
}

func (a *api) getServer(ctx context.Context, in *ServerID) (*serverOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return a.oneServer(ctx, id, "")
}

func (a *api) oneServer(ctx context.Context, id cronium.ID, location string) (*serverOutput, error) {
	row, err := a.Store.ServerRow(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	return &serverOutput{location, etag(row.Version), apiServerOf(row)}, nil
}

func (a *api) updateAgent(ctx context.Context, in *ServerID) (*serverOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.retryAgentUpdate(ctx, id); err != nil {
		return nil, err
	}
	return a.oneServer(ctx, id, "")
}

func (a *api) deleteServerOperation(ctx context.Context, in *ServerID) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.deleteServer(ctx, id)
}

type decideKeyInput struct {
	ServerID
	Body struct {
		Decision string `json:"decision,omitempty" enum:"accept,refuse" doc:"Required"`
		Key      string `json:"key,omitempty" doc:"Required with accept: the key that the host shows, as known_hosts has it"`
	}
}

func (a *api) decideKeyOperation(ctx context.Context, in *decideKeyInput) (*serverOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	switch in.Body.Decision {
	case "accept":
		err = a.acceptKey(ctx, id, in.Body.Key)
	case "refuse":
		err = a.refuseKey(ctx, id)
	default:
		if _, err = a.Store.Server(ctx, who(ctx).WorkspaceID, id); err == nil {
			var problems cronium.Problems
			problems.Add(false, "decision", "must be accept or refuse")
			err = problems.Err("The decision")
		}
	}
	if err != nil {
		return nil, err
	}
	return a.oneServer(ctx, id, "")
}

type historyOutput struct {
	Body struct {
		Samples []apiSample `json:"samples" doc:"The oldest first"`
	}
}

type apiSample struct {
	At        time.Time `json:"at" doc:"Start of the five minutes"`
	Up        float64   `json:"up" doc:"Share of the answers that it gave, 0 to 1"`
	Load      float64   `json:"load"`
	Memory    float64   `json:"memory" doc:"Share used, 0 to 1"`
	Disk      float64   `json:"disk" doc:"Share used, 0 to 1"`
	LatencyMS float64   `json:"latency_ms"`
}

func (a *api) serverHistory(ctx context.Context, in *ServerID) (*historyOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	row, err := a.Store.ServerRow(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	out := &historyOutput{}
	out.Body.Samples = make([]apiSample, 0, len(row.Samples))
	for _, s := range row.Samples {
		out.Body.Samples = append(out.Body.Samples, apiSample{s.At, s.Up, s.Load, s.Memory, s.Disk, float64(s.Latency.Microseconds()) / 1000})
	}
	return out, nil
}

type serverEventsOutput struct {
	Body struct {
		Events []apiServerEvent `json:"events"`
	}
}

type apiServerEvent struct {
	ID     cronium.ID          `json:"id"`
	Name   string              `json:"name"`
	Status cronium.EventStatus `json:"status" enum:"DRAFT,ACTIVE,PAUSED"`
	Chosen bool                `json:"chosen" doc:"It names the server; otherwise its selector chooses it now"`
}

func (a *api) serverEvents(ctx context.Context, in *ServerID) (*serverEventsOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	workspace := who(ctx).WorkspaceID
	s, err := a.Store.Server(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	events, err := a.Store.EventsOnServer(ctx, workspace, id, selectorMatches(s))
	if err != nil {
		return nil, err
	}
	out := &serverEventsOutput{}
	out.Body.Events = make([]apiServerEvent, 0, len(events))
	for _, e := range events {
		out.Body.Events = append(out.Body.Events, apiServerEvent(e))
	}
	return out, nil
}
