package handlers

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// apiTarget is one server of a job as the API shows it.
type apiTarget struct {
	ServerID    cronium.ID           `json:"server_id"`
	Server      string               `json:"server" doc:"Its name when the job was resolved"`
	Kind        cronium.ServerKind   `json:"kind" enum:"ssh,agent"`
	Position    int                  `json:"position" doc:"From 0, in the order of release"`
	Status      cronium.TargetStatus `json:"status" enum:"WAITING,QUEUED,RUNNING,SUCCESS,FAILURE,TIMEOUT,CANCELLED,LOST,SKIPPED"`
	Reason      string               `json:"reason,omitempty" doc:"Why it waits, was skipped or failed"`
	Attempts    int                  `json:"attempts"`
	NextAttempt *time.Time           `json:"next_attempt,omitempty"`
	ExecutionID *cronium.ID          `json:"execution_id,omitempty" doc:"The latest"`
	ExitCode    *int                 `json:"exit_code,omitempty"`
	Output      json.RawMessage      `json:"output,omitempty" doc:"What the script gave to output()"`
	Condition   *bool                `json:"condition,omitempty" doc:"What the script gave to setCondition()"`
	OutputHash  string               `json:"output_hash,omitempty" doc:"Equal where the script printed the same; not given where that is not known"`
	StartedAt   *time.Time           `json:"started_at,omitempty"`
	FinishedAt  *time.Time           `json:"finished_at,omitempty"`
	Host        *cronium.TargetHost  `json:"host,omitempty" doc:"What the server was when the latest attempt began there, as far as it was known"`
}

func targetOf(t *cronium.JobTarget) apiTarget {
	return apiTarget{
		ServerID: t.ServerID, Server: t.Name, Kind: t.Kind, Position: t.Position, Status: t.Status, Reason: t.Reason, Attempts: t.Attempts,
		NextAttempt: t.NextAttempt, ExecutionID: t.ExecutionID, ExitCode: t.ExitCode, Output: t.Output, Condition: t.Condition,
		OutputHash: hex.EncodeToString(t.OutputHash), StartedAt: t.StartedAt, FinishedAt: t.FinishedAt, Host: t.Host,
	}
}

func (a *api) targetOperations() {
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}/targets", permission: cronium.PermissionRead, id: "list-targets", tag: "Jobs",
		summary: "List the servers of a job, in the order of their release", description: "Empty for a job that runs in a container, and until the servers have been found."}, a.listTargets)
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}/target-groups", permission: cronium.PermissionRead, id: "list-target-groups", tag: "Jobs",
		summary: "Gather the servers of a job that ended in the same way and printed the same", description: "The largest group first, at most 200. Those that have not ended are in none."}, a.listTargetGroups)
}

type listTargetsInput struct {
	ListInput
	ID     string `path:"id"`
	Status string `query:"status" doc:"One or more of WAITING, QUEUED, RUNNING, SUCCESS, FAILURE, TIMEOUT, CANCELLED, LOST, SKIPPED with commas between"`
	Hash   string `query:"output_hash" doc:"Those whose script printed this"`
}

type listTargetsOutput struct {
	ListHead
	Body struct {
		Targets []apiTarget `json:"targets"`
		Next    string      `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listTargets(ctx context.Context, in *listTargetsInput) (*listTargetsOutput, error) {
	id, err := a.existingJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	filter := store.TargetFilter{After: -1, Limit: in.Limit}
	if filter.Status, err = words(in.Status, "status", cronium.TargetStatuses); err != nil {
		return nil, err
	}
	if in.Hash != "" {
		var problems cronium.Problems
		filter.Hash, err = hex.DecodeString(in.Hash)
		problems.Add(err == nil, "output_hash", "must be the output_hash of a target")
		if err := problems.Err("The request"); err != nil {
			return nil, err
		}
	}
	if _, err := decodeCursor(in.Cursor, &filter.After); err != nil {
		return nil, err
	}
	targets, err := a.Store.JobTargets(ctx, who(ctx).WorkspaceID, id, filter)
	if err != nil {
		return nil, err
	}
	out := &listTargetsOutput{}
	out.Body.Targets = make([]apiTarget, 0, len(targets))
	for i := range targets {
		out.Body.Targets = append(out.Body.Targets, targetOf(&targets[i]))
	}
	if len(targets) > 0 && len(targets) == in.Limit {
		out.Body.Next = encodeCursor(targets[len(targets)-1].Position)
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

// existingJob reads the id of a job of the workspace.
func (a *api) existingJob(ctx context.Context, text string) (cronium.ID, error) {
	id, err := apiID(text)
	if err == nil {
		_, err = a.Store.Job(ctx, who(ctx).WorkspaceID, id)
	}
	return id, err
}

// apiTargetGroup is servers that said the same.
type apiTargetGroup struct {
	Status      cronium.TargetStatus `json:"status" enum:"SUCCESS,FAILURE,TIMEOUT,CANCELLED,LOST,SKIPPED"`
	ExitCode    *int                 `json:"exit_code,omitempty"`
	OutputHash  string               `json:"output_hash,omitempty" doc:"For the list of the targets in it; not given where it is not known whether they printed the same"`
	Count       int                  `json:"count"`
	Servers     []string             `json:"servers" doc:"Names of the first ten"`
	ExecutionID cronium.ID           `json:"execution_id" doc:"One of them, whose output stands for all"`
}

type targetGroupsOutput struct {
	Body struct {
		Groups []apiTargetGroup `json:"groups"`
	}
}

func (a *api) listTargetGroups(ctx context.Context, in *jobInput) (*targetGroupsOutput, error) {
	id, err := a.existingJob(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	groups, err := a.Store.TargetGroups(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	out := &targetGroupsOutput{}
	out.Body.Groups = make([]apiTargetGroup, 0, len(groups))
	for _, g := range groups {
		out.Body.Groups = append(out.Body.Groups, apiTargetGroup{
			Status: g.Status, ExitCode: g.ExitCode, OutputHash: hex.EncodeToString(g.Hash), Count: g.Count, Servers: g.Names, ExecutionID: g.Execution})
	}
	return out, nil
}
