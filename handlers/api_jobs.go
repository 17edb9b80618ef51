package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/store"
)

// apiJob is a job as the API shows it. In lists input and output are left out.
type apiJob struct {
	ID          cronium.ID         `json:"id"`
	EventID     cronium.ID         `json:"event_id"`
	EventName   string             `json:"event_name,omitempty"`
	Version     int                `json:"version" doc:"Of the event; below zero for a test run"`
	Priority    cronium.Priority   `json:"priority" enum:"LOW,NORMAL,HIGH,CRITICAL"`
	Status      cronium.JobStatus  `json:"status" enum:"QUEUED,CLAIMED,RUNNING,COMPLETED,FAILED,CANCELLED"`
	Result      cronium.Result     `json:"result" doc:"SUCCESS, FAILURE, TIMEOUT, CANCELLED or PARTIAL; empty until the job is final"`
	Trigger     cronium.Trigger    `json:"trigger" enum:"MANUAL,API,RERUN,TEST,SCHEDULE,WEBHOOK,EVENT"`
	TriggeredBy string             `json:"triggered_by"`
	RerunOf     *cronium.ID        `json:"rerun_of,omitempty"`
	Source      *cronium.ID        `json:"source_id,omitempty" doc:"The schedule, webhook or job that fired it"`
	FireAt      *time.Time         `json:"fire_at,omitempty" doc:"The instant of a schedule that it is for"`
	Depth       int                `json:"depth,omitempty" doc:"Jobs before it in a chain of follow-ups"`
	Target      cronium.TargetKind `json:"target,omitempty"`
	Input       json.RawMessage    `json:"input,omitempty"`
	Output      json.RawMessage    `json:"output,omitempty" doc:"What the script gave to output()"`
	Condition   *bool              `json:"condition,omitempty" doc:"What the script gave to setCondition()"`
	Attempts    int                `json:"attempts"`
	NextAttempt *time.Time         `json:"next_attempt,omitempty"`
	Waiting     cronium.Waiting    `json:"waiting,omitempty" doc:"What keeps a queued job from running: concurrency, group, rate, overlap, quota or paused"`
	Error       string             `json:"error,omitempty"`
	Targets     int                `json:"targets,omitempty" doc:"Servers that it runs on; /jobs/{id}/targets lists them"`
	Succeeded   int                `json:"succeeded,omitempty" doc:"Of the targets so far"`
	Failed      int                `json:"failed,omitempty" doc:"Of the targets so far, in whatever way"`
	CancelledAt *time.Time         `json:"cancelled_at,omitempty" doc:"When cancelling was asked for"`
	CancelledBy string             `json:"cancelled_by,omitempty"`
	QueuedAt    time.Time          `json:"queued_at"`
	ClaimedAt   *time.Time         `json:"claimed_at,omitempty"`
	StartedAt   *time.Time         `json:"started_at,omitempty"`
	FinishedAt  *time.Time         `json:"finished_at,omitempty"`
}

func jobOf(j *cronium.Job) apiJob {
	return apiJob{
		ID: j.ID, EventID: j.EventID, Version: j.Version, Priority: j.Priority, Status: j.Status, Result: j.Result,
		Trigger: j.Trigger, TriggeredBy: j.TriggeredBy, RerunOf: j.RerunOf, Source: j.Source, FireAt: j.FireAt, Depth: j.Depth, Input: j.Input, Output: j.Output, Condition: j.Condition,
		Attempts: j.Attempts, NextAttempt: j.NextAttempt, Waiting: j.Waiting, Error: j.Error,
		Targets: j.Targets, Succeeded: j.Succeeded, Failed: j.Failed, CancelledAt: j.CancelledAt,
		CancelledBy: j.CancelledBy, QueuedAt: j.QueuedAt(), ClaimedAt: j.ClaimedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
	}
}

func jobRowOf(r *store.JobRow) apiJob {
	j := jobOf(&r.Job)
	j.EventName, j.Target = r.EventName, r.Target
	return j
}

func (a *api) jobOperations() {
	add(a, operation{method: http.MethodPost, path: "/events/{id}/run", permission: cronium.PermissionRun, id: "run-event", tag: "Jobs", status: http.StatusAccepted,
		summary: "Run an event", description: "When this answers, the job is accepted and will reach a final state. A request with an Idempotency-Key that was used before for the same request gets the first job back."}, a.runEvent)
	add(a, operation{method: http.MethodPost, path: "/events/{id}/test", permission: cronium.PermissionWrite, id: "test-event", tag: "Jobs", status: http.StatusAccepted,
		summary: "Run a content without saving it as a version"}, a.testEvent)
	add(a, operation{method: http.MethodGet, path: "/jobs", permission: cronium.PermissionRead, id: "list-jobs", tag: "Jobs",
		summary: "List jobs, the newest first"}, a.listJobs)
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}", permission: cronium.PermissionRead, id: "get-job", tag: "Jobs",
		summary: "Get a job with its input and output"}, a.getJob)
	a.targetOperations()
	add(a, operation{method: http.MethodPost, path: "/jobs/{id}/cancel", permission: cronium.PermissionRun, id: "cancel-job", tag: "Jobs", status: http.StatusAccepted,
		summary: "Cancel a job", description: "A job that waits is final at once; one that runs is stopped. A final job stays as it is."}, a.cancelJob)
	add(a, operation{method: http.MethodPost, path: "/jobs/{id}/rerun", permission: cronium.PermissionRun, id: "rerun-job", tag: "Jobs", status: http.StatusAccepted,
		summary: "Run a job again, with the same or another input"}, a.rerunJob)
}

type runEventInput struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"Any text of your choice, one for each run"`
	Body           *struct {
		Input    json.RawMessage `json:"input,omitempty" doc:"JSON as the event's input schema asks for; the event's default input where it is not given"`
		Version  int             `json:"version,omitempty" minimum:"0" doc:"0 or not given: the current one"`
		Priority string          `json:"priority,omitempty" enum:"LOW,NORMAL,HIGH,CRITICAL" doc:"The event's where it is not given"`
		On       string          `json:"on,omitempty" doc:"A selector, like env=prod and role=web: the servers that match it now, instead of those that the event says"`
		Servers  []cronium.ID    `json:"servers,omitempty" doc:"Ids of servers, instead of those that the event says"`
	}
}

type jobOutput struct {
	Location string `header:"Location"`
	Body     apiJob
}

func acceptedJob(j *cronium.Job) *jobOutput {
	return &jobOutput{Location: apiPrefix + "/jobs/" + j.ID.String(), Body: jobOf(j)}
}

func (a *api) runEvent(ctx context.Context, in *runEventInput) (*jobOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	request := jobs.Request{WorkspaceID: p.WorkspaceID, EventID: id, Trigger: p.Trigger(), TriggeredBy: p.DisplayName(), IdempotencyKey: in.IdempotencyKey}
	if in.Body != nil {
		request.Input, request.Version, request.Priority = in.Body.Input, in.Body.Version, cronium.Priority(in.Body.Priority)
		request.Selector, request.Servers = in.Body.On, in.Body.Servers
	}
	job, err := a.Engine.Enqueue(ctx, request)
	if err != nil {
		return nil, err
	}
	return acceptedJob(job), nil
}

type testEventInput struct {
	ID   string `path:"id"`
	Body struct {
		Content contentInput    `json:"content,omitempty" doc:"Required"`
		Input   json.RawMessage `json:"input,omitempty"`
	}
}

func (a *api) testEvent(ctx context.Context, in *testEventInput) (*jobOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	e, err := a.Store.Event(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	content, err := in.Body.Content.required(e.Type)
	if err != nil {
		return nil, err
	}
	if err := a.checkContent(p, &content); err != nil {
		return nil, underContent(err)
	}
	job, err := a.Engine.Enqueue(ctx, jobs.Request{
		WorkspaceID: p.WorkspaceID, EventID: id, Draft: &store.Draft{Content: content, Author: author(p)}, Input: in.Body.Input, Trigger: cronium.TriggerTest, TriggeredBy: p.DisplayName()})
	if err != nil {
		return nil, err
	}
	return acceptedJob(job), nil
}

type listJobsInput struct {
	ListInput
	ID      string    `query:"id" doc:"Those whose id begins so: 6 characters or more" example:"0199a3f2-4c"`
	Status  string    `query:"status" doc:"One or more of QUEUED, CLAIMED, RUNNING, COMPLETED, FAILED, CANCELLED with commas between"`
	Result  string    `query:"result" doc:"One or more of SUCCESS, FAILURE, TIMEOUT, CANCELLED, PARTIAL with commas between"`
	EventID string    `query:"event_id"`
	Event   string    `query:"event" doc:"Part of the event's name, in any case"`
	Trigger string    `query:"trigger" enum:"MANUAL,API,RERUN,TEST"`
	Since   time.Time `query:"since" doc:"Accepted at this moment or later"`
	Until   time.Time `query:"until" doc:"Accepted before this moment"`
}

type listJobsOutput struct {
	ListHead
	Body struct {
		Jobs []apiJob `json:"jobs"`
		Next string   `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listJobs(ctx context.Context, in *listJobsInput) (*listJobsOutput, error) {
	filter := store.JobFilter{Event: in.Event, Trigger: cronium.Trigger(in.Trigger), Since: in.Since, Until: in.Until, Limit: in.Limit}
	var err error
	if filter.Status, err = words(in.Status, "status", cronium.JobStatuses); err != nil {
		return nil, err
	}
	if in.ID != "" {
		first, last, ok := cronium.IDsBeginning(in.ID)
		var problems cronium.Problems
		problems.Add(ok, "id", "must be the beginning of a job's id, %d characters or more", cronium.ShortestPrefix)
		if err := problems.Err("The request"); err != nil {
			return nil, err
		}
		filter.First, filter.Last = &first, &last
	}
	results := []cronium.Result{cronium.ResultSuccess, cronium.ResultFailure, cronium.ResultTimeout, cronium.ResultCancelled, cronium.ResultPartial}
	if filter.Results, err = words(in.Result, "result", results); err != nil {
		return nil, err
	}
	if in.EventID != "" {
		id, ok := cronium.ParseID(in.EventID)
		var problems cronium.Problems
		problems.Add(ok, "event_id", "must be an event's id of 36 characters")
		if err := problems.Err("The request"); err != nil {
			return nil, err
		}
		filter.EventID = &id
	}
	var before cronium.ID
	if given, err := decodeCursor(in.Cursor, &before); err != nil {
		return nil, err
	} else if given {
		filter.Before = &before
	}
	rows, err := a.Store.Jobs(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listJobsOutput{}
	out.Body.Jobs = make([]apiJob, 0, len(rows))
	for i := range rows {
		out.Body.Jobs = append(out.Body.Jobs, jobRowOf(&rows[i]))
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].ID)
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

type jobInput struct {
	ID string `path:"id"`
}

type oneJobOutput struct {
	Body apiJob
}

func (a *api) getJob(ctx context.Context, in *jobInput) (*oneJobOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	row, err := a.Store.Job(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	return &oneJobOutput{jobRowOf(row)}, nil
}

func (a *api) cancelJob(ctx context.Context, in *jobInput) (*oneJobOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.Engine.Cancel(ctx, who(ctx).WorkspaceID, id, who(ctx).DisplayName()); err != nil {
		return nil, err
	}
	return a.getJob(ctx, in)
}

type rerunJobInput struct {
	ID             string `path:"id"`
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200"`
	Body           *struct {
		Input   json.RawMessage `json:"input,omitempty" doc:"The job's own where it is not given"`
		Current bool            `json:"current,omitempty" doc:"Run the event's current version and not the one that the job ran"`
		Targets string          `json:"targets,omitempty" enum:"failed" doc:"failed: run it on those servers alone on which it did not succeed"`
	}
}

func (a *api) rerunJob(ctx context.Context, in *rerunJobInput) (*jobOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	old, err := a.Store.Job(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	request := jobs.Request{
		WorkspaceID: p.WorkspaceID, EventID: old.EventID, Version: old.Version, Input: old.Input, Priority: old.Priority,
		Trigger: cronium.TriggerRerun, TriggeredBy: p.DisplayName(), RerunOf: &id, IdempotencyKey: in.IdempotencyKey, Servers: old.Servers,
	}
	if in.Body != nil && len(in.Body.Input) > 0 {
		request.Input = in.Body.Input
	}
	if in.Body != nil && in.Body.Current {
		request.Version = 0
	}
	if in.Body != nil {
		request.OnFailed = in.Body.Targets == "failed"
	}
	job, err := a.Engine.Enqueue(ctx, request)
	if err != nil {
		return nil, err
	}
	return acceptedJob(job), nil
}
