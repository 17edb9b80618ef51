package handlers

import (
	"context"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

func (a *api) queueOperations() {
	add(a, operation{method: http.MethodGet, path: "/queue", permission: cronium.PermissionRead, id: "get-queue", tag: "Queue",
		summary: "Tell what waits, for what, and what bounds the workspace"}, a.getQueue)
	add(a, operation{method: http.MethodPatch, path: "/queue", permission: cronium.PermissionAdmin, id: "update-queue", tag: "Queue",
		summary: "Open, pause or drain the queue, or change the workspace's limits", description: "What is not sent stays as it is."}, a.updateQueue)
	add(a, operation{method: http.MethodGet, path: "/queue/jobs", permission: cronium.PermissionRead, id: "list-queue", tag: "Queue",
		summary: "List the jobs that wait, the next first", description: "Of the 10,000 that have waited longest, and those that were put first."}, a.listQueue)
	add(a, operation{method: http.MethodPost, path: "/jobs/{id}/first", permission: cronium.PermissionRun, id: "put-job-first", tag: "Queue", status: http.StatusNoContent,
		summary: "Put a job that waits before all others of the workspace"}, a.putFirst)
}

type apiQueueLimits struct {
	Running int          `json:"running" doc:"Jobs at once; 0: no limit. More wait"`
	Queued  int          `json:"queued" doc:"Jobs that wait; 0: no limit. More are refused"`
	Rate    cronium.Rate `json:"rate" doc:"So many starts at once, then evenly in the time; a count of 0: no limit"`
}

type apiQueueReason struct {
	For         cronium.Waiting `json:"for" doc:"concurrency, group, rate, overlap, quota or paused; empty: their turn, or their next attempt"`
	EventID     *cronium.ID     `json:"event_id,omitempty"`
	EventName   string          `json:"event_name,omitempty"`
	Group       string          `json:"group,omitempty"`
	Jobs        int             `json:"jobs"`
	Running     int             `json:"running,omitempty" doc:"Jobs that hold what these wait for"`
	Limit       int             `json:"limit,omitempty" doc:"Of those that may"`
	NextAttempt *time.Time      `json:"next_attempt,omitempty" doc:"The first of them"`
}

type queueOutput struct {
	Body struct {
		Mode      cronium.QueueMode `json:"mode" enum:"OPEN,PAUSED,DRAINING"`
		Limits    apiQueueLimits    `json:"limits"`
		ChangedBy string            `json:"changed_by,omitempty"`
		ChangedAt *time.Time        `json:"changed_at,omitempty"`
		Waiting   []apiQueueReason  `json:"waiting"`
	}
}

func (a *api) getQueue(ctx context.Context, _ *struct{}) (*queueOutput, error) {
	workspace := who(ctx).WorkspaceID
	queue, err := a.Store.WorkspaceQueue(ctx, workspace)
	if err != nil {
		return nil, err
	}
	reasons, err := a.Store.QueueReasons(ctx, workspace)
	if err != nil {
		return nil, err
	}
	out := &queueOutput{}
	out.Body.Mode, out.Body.ChangedBy = queue.Mode, queue.ChangedBy
	out.Body.Limits = apiQueueLimits{Running: queue.Limits.Running, Queued: queue.Limits.Queued, Rate: queue.Limits.Rate}
	if queue.ChangedBy != "" {
		out.Body.ChangedAt = &queue.ChangedAt
	}
	out.Body.Waiting = make([]apiQueueReason, 0, len(reasons))
	for _, r := range reasons {
		out.Body.Waiting = append(out.Body.Waiting, apiQueueReason{For: r.Waiting, EventID: r.EventID, EventName: r.EventName, Group: r.Group,
			Jobs: r.Jobs, Running: r.Running, Limit: r.Limit, NextAttempt: r.NextAttempt})
	}
	return out, nil
}

type updateQueueInput struct {
	Body struct {
		Mode   *string         `json:"mode,omitempty" enum:"OPEN,PAUSED,DRAINING"`
		Limits *apiQueueLimits `json:"limits,omitempty" doc:"All of them"`
	}
}

func (a *api) updateQueue(ctx context.Context, in *updateQueueInput) (*queueOutput, error) {
	p := who(ctx)
	if l := in.Body.Limits; l != nil {
		limits := cronium.WorkspaceLimits{Running: l.Running, Queued: l.Queued, Rate: l.Rate}
		if err := a.Store.SetWorkspaceLimits(ctx, p.WorkspaceID, limits, p.DisplayName()); err != nil {
			return nil, err
		}
	}
	if in.Body.Mode != nil {
		if err := a.setQueueMode(ctx, p, cronium.QueueMode(*in.Body.Mode)); err != nil {
			return nil, err
		}
	}
	a.Hub.Publish(live.JobsTopic(p.WorkspaceID))
	return a.getQueue(ctx, nil)
}

type listQueueInput struct {
	ListInput
	For string `query:"for" enum:"turn,concurrency,group,rate,overlap,quota,paused" doc:"Only jobs that wait for this"`
}

type listQueueOutput struct {
	ListHead
	Body struct {
		Jobs []apiJob `json:"jobs"`
		Next string   `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listQueue(ctx context.Context, in *listQueueInput) (*listQueueOutput, error) {
	var after *store.QueueCursor
	var cursor store.QueueCursor
	if given, err := decodeCursor(in.Cursor, &cursor); err != nil {
		return nil, err
	} else if given {
		after = &cursor
	}
	rows, next, err := a.Store.QueueJobs(ctx, who(ctx).WorkspaceID, waitingFor(in.For), after, in.Limit)
	if err != nil {
		return nil, err
	}
	out := &listQueueOutput{}
	out.Body.Jobs = make([]apiJob, 0, len(rows))
	for i := range rows {
		out.Body.Jobs = append(out.Body.Jobs, jobRowOf(&rows[i].JobRow))
	}
	if next != nil {
		out.Body.Next = encodeCursor(next)
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

func (a *api) putFirst(ctx context.Context, in *jobInput) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.Store.PutFirst(ctx, who(ctx).WorkspaceID, id); err != nil {
		return nil, err
	}
	a.Hub.Publish(live.JobsTopic(who(ctx).WorkspaceID))
	return nil, nil
}
