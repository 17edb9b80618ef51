package handlers

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// overviewOperations are what Home and the pages Engine and About of the
// settings show.
func (a *api) overviewOperations() {
	add(a, operation{method: http.MethodGet, path: "/activity", permission: cronium.PermissionRead, id: "get-activity", tag: "Overview",
		summary: "Count jobs by the half hour in which they were accepted", description: "The oldest first, also half hours without jobs; the last one is not over."}, a.getActivity)
	add(a, operation{method: http.MethodGet, path: "/attention", permission: cronium.PermissionRead, id: "list-attention", tag: "Overview",
		summary: "List what needs attention", description: "The active events whose newest final job of the last week did not succeed, the most recent first, at most 20, where test runs do not count; and servers that are away."}, a.listAttention)
	add(a, operation{method: http.MethodGet, path: "/instance", permission: cronium.PermissionRead, id: "get-instance", tag: "Overview",
		summary: "Tell which programs run here"}, a.getInstance)
	add(a, operation{method: http.MethodGet, path: "/instance/engine", permission: cronium.PermissionAdmin, id: "get-engine", tag: "Overview",
		summary: "Tell where scripts run and how full it is", description: "The container engine and the slots are those of the server process that answers; jobs and processes are of all."}, a.getEngine)
}

type activityInput struct {
	Hours int `query:"hours" minimum:"1" maximum:"168" default:"24" doc:"How far back"`
}

type activityOutput struct {
	Body struct {
		Buckets []activityBucket `json:"buckets"`
	}
}

type activityBucket struct {
	Start     time.Time `json:"start" doc:"Of the half hour"`
	Succeeded int       `json:"succeeded"`
	Failed    int       `json:"failed" doc:"FAILURE, TIMEOUT and PARTIAL"`
	Other     int       `json:"other" doc:"Cancelled or not yet final"`
}

func (a *api) getActivity(ctx context.Context, in *activityInput) (*activityOutput, error) {
	counted, err := a.activity(ctx, who(ctx).WorkspaceID, time.Now(), int(time.Duration(in.Hours)*time.Hour/homeBucket))
	if err != nil {
		return nil, err
	}
	out := &activityOutput{}
	for _, b := range counted {
		out.Body.Buckets = append(out.Body.Buckets, activityBucket(b))
	}
	return out, nil
}

type attentionOutput struct {
	Body struct {
		Events  []attentionItem `json:"events"`
		Servers []apiServer     `json:"servers" doc:"That are OFFLINE or BLOCKED, by name, at most 20"`
	}
}

type attentionItem struct {
	EventID    cronium.ID     `json:"event_id"`
	EventName  string         `json:"event_name"`
	Failures   int            `json:"failures" doc:"In a row, at most 50"`
	Since      time.Time      `json:"since" doc:"When the first of them was accepted"`
	LastJobID  cronium.ID     `json:"last_job_id"`
	LastResult cronium.Result `json:"last_result"`
	LastError  string         `json:"last_error"`
}

func (a *api) listAttention(ctx context.Context, _ *struct{}) (*attentionOutput, error) {
	items, err := a.Store.Attention(ctx, who(ctx).WorkspaceID)
	if err != nil {
		return nil, err
	}
	out := &attentionOutput{}
	out.Body.Events = make([]attentionItem, 0, len(items))
	for _, item := range items {
		out.Body.Events = append(out.Body.Events, attentionItem(item))
	}
	filter := store.ServerFilter{State: []cronium.ServerState{cronium.ServerOffline, cronium.ServerBlocked}, Limit: 20}
	servers, err := a.Store.Servers(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out.Body.Servers = make([]apiServer, 0, len(servers))
	for i := range servers {
		out.Body.Servers = append(out.Body.Servers, apiServerOf(&servers[i]))
	}
	return out, nil
}

type instanceOutput struct {
	Body struct {
		Version   string    `json:"version"`
		Commit    string    `json:"commit,omitempty" doc:"The source it was built from, if the build noted it"`
		Go        string    `json:"go"`
		Database  string    `json:"database"`
		Engine    string    `json:"engine,omitempty" doc:"The container engine; absent where none answers"`
		StartedAt time.Time `json:"started_at" doc:"Of the server process that answers"`
	}
}

func (a *api) getInstance(ctx context.Context, _ *struct{}) (*instanceOutput, error) {
	database, err := a.Store.Version(ctx)
	if err != nil {
		return nil, err
	}
	out := &instanceOutput{}
	out.Body.Version, out.Body.Commit, out.Body.Go, out.Body.Database, out.Body.StartedAt = a.Version, commit(), runtime.Version(), database, a.Started
	if a.Containers != nil {
		out.Body.Engine = engineName(a.Containers.Status(ctx))
	}
	return out, nil
}

type engineOutput struct {
	Body struct {
		Queued        int             `json:"queued" doc:"Jobs accepted and not claimed, of all workspaces, up to 10,000"`
		Running       int             `json:"running" doc:"Executions of the server process that answers"`
		Slots         int             `json:"slots" doc:"How many it may have"`
		ProcessTarget bool            `json:"process_target" doc:"Scripts may run on this machine without isolation"`
		Containers    *engineState    `json:"containers,omitempty" doc:"Absent where the process runs none"`
		Processes     []serverProcess `json:"processes" doc:"Server processes, the newest first"`
	}
}

type engineState struct {
	Error      string      `json:"error,omitempty" doc:"Why the engine does not answer"`
	Engine     string      `json:"engine,omitempty"`
	Image      string      `json:"image" doc:"The runtime image"`
	ImageReady bool        `json:"image_ready"`
	Warnings   []string    `json:"warnings"`
	Warm       []warmPlace `json:"warm" doc:"Containers made ahead, by kind"`
	WarmMost   int         `json:"warm_most" doc:"How many there may be in all"`
}

type warmPlace struct {
	Image     string          `json:"image"`
	Network   cronium.Network `json:"network"`
	MemoryMiB int             `json:"memory_mib"`
	CPUs      float64         `json:"cpus"`
	Ready     int             `json:"ready"`
	Wanted    int             `json:"wanted" doc:"As many as the recent use is worth"`
}

type serverProcess struct {
	ID        cronium.ID `json:"id"`
	Hostname  string     `json:"hostname"`
	PID       int        `json:"pid"`
	Version   string     `json:"version"`
	StartedAt time.Time  `json:"started_at"`
	Alive     bool       `json:"alive"`
	This      bool       `json:"this" doc:"It is the one that answers"`
}

func (a *api) getEngine(ctx context.Context, _ *struct{}) (*engineOutput, error) {
	processes, err := a.Store.Processes(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := a.Store.Counts(ctx)
	if err != nil {
		return nil, err
	}
	status := a.Engine.Status()
	out := &engineOutput{}
	body := &out.Body
	body.Queued, body.Running, body.Slots, body.ProcessTarget = counts.Queued, status.Running, status.MaxRuns, a.ProcessTarget
	body.Containers = a.engineState(ctx)
	body.Processes = make([]serverProcess, 0, len(processes))
	for _, p := range processes {
		body.Processes = append(body.Processes, serverProcess{p.ID, p.Hostname, p.PID, p.Version, p.StartedAt, p.Alive, p.ID == status.ProcessID})
	}
	return out, nil
}

func (a *api) engineState(ctx context.Context) *engineState {
	if a.Containers == nil {
		return nil
	}
	status := a.Containers.Status(ctx)
	state := &engineState{Error: status.Error, Engine: engineName(status), Image: status.Image, ImageReady: status.ImageReady,
		Warnings: append([]string{}, status.Warnings...), Warm: make([]warmPlace, 0, len(status.Pool)), WarmMost: status.PoolSize}
	for _, idle := range status.Pool {
		state.Warm = append(state.Warm, warmPlace{idle.Image, idle.Network, idle.MemoryMiB, idle.CPUs, idle.Count, idle.Target})
	}
	return state
}
