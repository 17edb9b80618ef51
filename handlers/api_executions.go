package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// apiExecution is one attempt of a job as the API shows it.
type apiExecution struct {
	ID            cronium.ID              `json:"id"`
	JobID         cronium.ID              `json:"job_id"`
	Attempt       int                     `json:"attempt" doc:"From 1; of a job on servers on each of them"`
	ServerID      *cronium.ID             `json:"server_id,omitempty" doc:"Of a job on servers"`
	Target        cronium.TargetKind      `json:"target"`
	Status        cronium.ExecutionStatus `json:"status" enum:"PENDING,RUNNING,SUCCESS,FAILURE,TIMEOUT,CANCELLED,LOST"`
	ExitCode      *int                    `json:"exit_code,omitempty"`
	Signal        int                     `json:"signal,omitempty"`
	OutOfMemory   bool                    `json:"out_of_memory,omitempty"`
	Error         string                  `json:"error,omitempty"`
	Progress      string                  `json:"progress,omitempty" doc:"What is being waited for: before the start, or while the target cannot be reached"`
	CreatedAt     time.Time               `json:"created_at"`
	StartedAt     *time.Time              `json:"started_at,omitempty"`
	FinishedAt    *time.Time              `json:"finished_at,omitempty"`
	Warm          bool                    `json:"warm" doc:"Its container was waiting for it"`
	SetupMS       float64                 `json:"setup_ms"`
	RunMS         float64                 `json:"run_ms"`
	CleanupMS     float64                 `json:"cleanup_ms"`
	CPUMS         float64                 `json:"cpu_ms" doc:"Processor time used"`
	PeakMemory    int64                   `json:"peak_memory_bytes"`
	OutputBytes   int64                   `json:"output_bytes" doc:"Stored, of both streams"`
	OutputLines   int64                   `json:"output_lines" doc:"Line feeds stored"`
	OutputDropped int64                   `json:"output_dropped_bytes" doc:"Beyond the event's output limit"`
}

func executionOf(e *cronium.Execution) apiExecution {
	return apiExecution{
		ID: e.ID, JobID: e.JobID, Attempt: e.Attempt, ServerID: e.ServerID, Target: e.Target, Status: e.Status, ExitCode: e.ExitCode, Signal: e.Signal,
		OutOfMemory: e.OutOfMemory, Error: e.Error, Progress: e.Progress, CreatedAt: e.CreatedAt(), StartedAt: e.StartedAt, FinishedAt: e.FinishedAt,
		Warm: e.Warm, SetupMS: milliseconds(e.Setup), RunMS: milliseconds(e.Run), CleanupMS: milliseconds(e.Cleanup), CPUMS: milliseconds(e.CPU),
		PeakMemory: e.PeakMemory, OutputBytes: e.OutputBytes, OutputLines: e.OutputLines, OutputDropped: e.OutputDropped,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (a *api) executionOperations() {
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}/executions", permission: cronium.PermissionRead, id: "list-executions", tag: "Executions",
		summary: "List a job's executions, by attempt", description: "Of a job on servers each attempt on each of them."}, a.listExecutions)
	add(a, operation{method: http.MethodGet, path: "/executions/{id}", permission: cronium.PermissionRead, id: "get-execution", tag: "Executions",
		summary: "Get an execution"}, a.getExecution)
	add(a, operation{method: http.MethodGet, path: "/executions/{id}/output", permission: cronium.PermissionRead, id: "get-output", tag: "Output", kind: KindStream,
		summary:     "Read lines of an execution's output, or all of it as it is",
		description: "Lines as JSON; with Accept: text/plain or download=1 the bytes of the whole output, as an attachment.",
		responses:   a.outputResponses()}, a.getOutput)
	add(a, operation{method: http.MethodGet, path: "/executions/{id}/output/search", permission: cronium.PermissionRead, id: "search-output", tag: "Output",
		summary: "Find the lines that contain a text", description: "Plain text as it is seen: colours do not count. A call searches for some seconds at most; search on from next_line."}, a.searchOutput)
	add(a, operation{method: http.MethodGet, path: "/executions/{id}/output/stream", permission: cronium.PermissionRead, id: "follow-output", tag: "Output", kind: KindStream,
		summary: "Follow an execution's output as server-sent events",
		description: "event: output has as id the position behind it, OFFSET:LINE, and as data {offset, line, records: [{at_ms, stream, text}]}; event: end says that the execution has ended and all was sent. " +
			"A client that was cut off sends the last id as Last-Event-ID and misses and repeats nothing.",
		responses: map[string]*huma.Response{"200": {Description: "Events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}}},
	}, a.followOutput)
}

type listExecutionsInput struct {
	ListInput
	ID string `path:"id"`
}

type executionsOutput struct {
	ListHead
	Body struct {
		Executions []apiExecution `json:"executions"`
		Next       string         `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listExecutions(ctx context.Context, in *listExecutionsInput) (*executionsOutput, error) {
	id, err := a.existingJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var after store.ExecutionCursor
	if _, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	}
	executions, err := a.Store.ExecutionsPage(ctx, who(ctx).WorkspaceID, id, after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &executionsOutput{}
	out.Body.Executions = make([]apiExecution, 0, len(executions))
	for i := range executions {
		out.Body.Executions = append(out.Body.Executions, executionOf(&executions[i]))
	}
	if n := len(executions); n > 0 && n == in.Limit {
		out.Body.Next = encodeCursor(store.ExecutionCursor{Attempt: executions[n-1].Attempt, ID: executions[n-1].ID})
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

type executionInput struct {
	ID string `path:"id"`
}

type executionOutput struct {
	Body apiExecution
}

func (a *api) getExecution(ctx context.Context, in *executionInput) (*executionOutput, error) {
	e, err := a.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &executionOutput{executionOf(e)}, nil
}

// execution finds an execution by the id in a path.
func (a *api) execution(ctx context.Context, id string) (*cronium.Execution, error) {
	parsed, err := apiID(id)
	if err != nil {
		return nil, err
	}
	return a.Store.Execution(ctx, who(ctx).WorkspaceID, parsed)
}
