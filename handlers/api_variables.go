package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

func (a *api) variableOperations() {
	const secrets = " A secret is encrypted, and no answer has its value."
	add(a, operation{method: http.MethodGet, path: "/variables", permission: cronium.PermissionRead, id: "list-variables", tag: "Variables",
		summary: "List variables by key", description: "Values longer than 200 characters are left out: get-variable has them." + secrets}, a.listVariables)
	add(a, operation{method: http.MethodPost, path: "/variables", permission: cronium.PermissionWrite, id: "create-variable", tag: "Variables", status: http.StatusCreated,
		summary: "Make a variable or a secret", description: "Without type it is that of the value. A secret is for no event but those that are named, unless all_events says otherwise." + secrets}, a.createVariable)
	add(a, operation{method: http.MethodPost, path: "/variables/bulk", permission: cronium.PermissionWrite, id: "bulk-variables", tag: "Variables",
		summary: "Make, change and delete many variables", description: "Each is named by its key and environment, and made where it is not there. What became of each is in the answer, in the order of the request; one that is refused hinders no other." + secrets}, a.bulkVariables)
	add(a, operation{method: http.MethodGet, path: "/variables/{id}", permission: cronium.PermissionRead, id: "get-variable", tag: "Variables",
		summary: "One variable", description: secrets[1:]}, a.getVariable)
	add(a, operation{method: http.MethodPatch, path: "/variables/{id}", permission: cronium.PermissionWrite, id: "update-variable", tag: "Variables",
		summary: "Change a variable", description: "What is not sent stays as it is. With If-Match, which names the ETag that was read, the answer is 409 where it was changed since." + secrets}, a.updateVariable)
	add(a, operation{method: http.MethodDelete, path: "/variables/{id}", permission: cronium.PermissionWrite, id: "delete-variable", tag: "Variables", status: http.StatusNoContent,
		summary: "Delete a variable and its history"}, a.deleteVariableOperation)
	add(a, operation{method: http.MethodGet, path: "/variables/{id}/history", permission: cronium.PermissionRead, id: "variable-history", tag: "Variables",
		summary: "The last 50 changes of a variable", description: "Values of secrets, and those over 16 KiB, are not kept."}, a.variableHistory)
	add(a, operation{method: http.MethodGet, path: "/variables/{id}/uses", permission: cronium.PermissionRead, id: "variable-uses", tag: "Variables",
		summary: "Events whose scripts name a variable", description: "Found by reading the current versions of all events that are not archived; at most 500."}, a.variableUses)
	add(a, operation{method: http.MethodGet, path: "/events/{id}/variables", permission: cronium.PermissionRead, id: "event-variables", tag: "Variables",
		summary: "Variables that an event may use"}, a.eventVariables)
}

// apiWorkspaceVariable is a variable as the API shows it.
type apiWorkspaceVariable struct {
	ID          cronium.ID           `json:"id"`
	Key         string               `json:"key"`
	Environment string               `json:"environment" doc:"Empty: of all environments, unless there is one of the environment"`
	Type        cronium.VariableType `json:"type" enum:"STRING,NUMBER,BOOLEAN,JSON"`
	Secret      bool                 `json:"secret"`
	Description string               `json:"description"`
	Value       json.RawMessage      `json:"value,omitempty" doc:"Absent: it is secret, or too long for a list"`
	Size        int                  `json:"size" doc:"Of the value as JSON, in bytes"`
	AllEvents   bool                 `json:"all_events" doc:"Each event may use it"`
	Events      []cronium.ID         `json:"events,omitempty" doc:"Those that may; absent in lists"`
	Version     int                  `json:"version"`
	CreatedAt   time.Time            `json:"created_at"`
	UpdatedAt   time.Time            `json:"updated_at"`
	UpdatedBy   string               `json:"updated_by"`
	JobID       *cronium.ID          `json:"job_id,omitempty" doc:"Of the script that changed it last"`
}

func apiVariableOf(v *cronium.WorkspaceVariable) apiWorkspaceVariable {
	return apiWorkspaceVariable{ID: v.ID, Key: v.Key, Environment: v.Environment, Type: v.Type, Secret: v.Secret, Description: v.Description, Value: v.Value, Size: v.Size,
		AllEvents: v.AllEvents, Version: v.Version, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt, UpdatedBy: v.UpdatedBy, JobID: v.JobID}
}

type listVariablesInput struct {
	ListInput
	Query       string `query:"q" doc:"Part of the key or the description"`
	Environment string `query:"environment" doc:"Those of one environment; - for those of all"`
	Secret      string `query:"secret" enum:"true,false"`
	Type        string `query:"type" enum:"STRING,NUMBER,BOOLEAN,JSON"`
	Sort        string `query:"sort" enum:"key,changed" default:"key"`
}

type listVariablesOutput struct {
	ListHead
	Body struct {
		Variables []apiWorkspaceVariable `json:"variables"`
		Next      string                 `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listVariables(ctx context.Context, in *listVariablesInput) (*listVariablesOutput, error) {
	filter := store.VariableFilter{Query: in.Query, Type: cronium.VariableType(in.Type), Sort: store.VariableSort(in.Sort)}
	if in.Environment != "" {
		environment := strings.TrimPrefix(in.Environment, "-")
		filter.Environment = &environment
	}
	if in.Secret != "" {
		secret := in.Secret == "true"
		filter.Secret = &secret
	}
	return a.variablePage(ctx, &in.ListInput, filter)
}

func (a *api) variablePage(ctx context.Context, in *ListInput, filter store.VariableFilter) (*listVariablesOutput, error) {
	filter.Limit = in.Limit
	var after store.VariableCursor
	if given, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	} else if given {
		filter.After = &after
	}
	rows, err := a.Store.Variables(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listVariablesOutput{}
	out.Body.Variables = make([]apiWorkspaceVariable, 0, len(rows))
	for i := range rows {
		out.Body.Variables = append(out.Body.Variables, apiVariableOf(&rows[i].WorkspaceVariable))
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].Cursor())
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

type eventVariablesInput struct {
	ListInput
	ID string `path:"id"`
}

func (a *api) eventVariables(ctx context.Context, in *eventVariablesInput) (*listVariablesOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.Event(ctx, who(ctx).WorkspaceID, id); err != nil {
		return nil, err
	}
	return a.variablePage(ctx, &in.ListInput, store.VariableFilter{Event: id})
}

// VariableFields are what a variable can be made of.
type VariableFields struct {
	Type        *cronium.VariableType `json:"type,omitempty" enum:"STRING,NUMBER,BOOLEAN,JSON"`
	Secret      *bool                 `json:"secret,omitempty"`
	Description *string               `json:"description,omitempty"`
	Value       json.RawMessage       `json:"value,omitempty" doc:"JSON of the type: \"text\", 42, true, {\"any\": \"JSON\"}"`
	AllEvents   *bool                 `json:"all_events,omitempty" doc:"Each event may use it"`
	Events      *[]cronium.ID         `json:"events,omitempty" doc:"Those that may, where not all may"`
}

func (f VariableFields) change() variableChange {
	c := variableChange{Type: f.Type, Secret: f.Secret, Description: f.Description, AllEvents: f.AllEvents, Value: f.Value}
	if f.Events != nil {
		c.Events = append([]cronium.ID{}, *f.Events...)
	}
	return c
}

// NamedVariable is a variable with its name.
type NamedVariable struct {
	Key         string `json:"key" example:"API_KEY"`
	Environment string `json:"environment,omitempty"`
	VariableFields
}

func (n NamedVariable) change() variableChange {
	c := n.VariableFields.change()
	c.Key, c.Environment = &n.Key, &n.Environment
	return c
}

type variableOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag" doc:"The version, for If-Match"`
	Body     apiWorkspaceVariable
}

// VariableID names a variable.
type VariableID struct {
	ID string `path:"id"`
}

func (a *api) createVariable(ctx context.Context, in *struct{ Body NamedVariable }) (*variableOutput, error) {
	v, err := a.makeVariable(ctx, who(ctx), in.Body.change())
	if err != nil {
		return nil, err
	}
	return a.oneVariable(ctx, v.ID, apiPrefix+"/variables/"+v.ID.String())
}

func (a *api) getVariable(ctx context.Context, in *VariableID) (*variableOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return a.oneVariable(ctx, id, "")
}

func (a *api) oneVariable(ctx context.Context, id cronium.ID, location string) (*variableOutput, error) {
	v, err := a.Store.Variable(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	granted, err := a.Store.VariableGrants(ctx, v.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	out := &variableOutput{location, etag(v.Version), apiVariableOf(v)}
	for _, e := range granted {
		out.Body.Events = append(out.Body.Events, e.ID)
	}
	return out, nil
}

type updateVariableInput struct {
	VariableID
	IfMatch string `header:"If-Match" doc:"The ETag that was read"`
	Body    struct {
		Key         *string `json:"key,omitempty"`
		Environment *string `json:"environment,omitempty"`
		VariableFields
	}
}

func (a *api) updateVariable(ctx context.Context, in *updateVariableInput) (*variableOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	v, err := a.Store.Variable(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	if in.IfMatch != "" {
		version, err := matched(in.IfMatch)
		if err != nil {
			return nil, err
		}
		v.Version = version
	}
	change := in.Body.VariableFields.change()
	change.Key, change.Environment = in.Body.Key, in.Body.Environment
	if err := a.changeVariable(ctx, who(ctx), v, change); err != nil {
		return nil, err
	}
	return a.oneVariable(ctx, id, "")
}

func (a *api) deleteVariableOperation(ctx context.Context, in *VariableID) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.Store.DeleteVariable(ctx, who(ctx).WorkspaceID, id)
}

type variableHistoryOutput struct {
	Body struct {
		Changes []apiVariableChange `json:"changes" doc:"The newest first"`
	}
}

type apiVariableChange struct {
	Version int                  `json:"version"`
	What    string               `json:"what"`
	Type    cronium.VariableType `json:"type"`
	Value   json.RawMessage      `json:"value,omitempty"`
	Size    int                  `json:"size"`
	At      time.Time            `json:"at"`
	By      string               `json:"by"`
	JobID   *cronium.ID          `json:"job_id,omitempty"`
}

func (a *api) variableHistory(ctx context.Context, in *VariableID) (*variableHistoryOutput, error) {
	v, err := a.variableOf(ctx, in)
	if err != nil {
		return nil, err
	}
	changes, err := a.Store.VariableHistory(ctx, v.WorkspaceID, v.ID)
	if err != nil {
		return nil, err
	}
	out := &variableHistoryOutput{}
	out.Body.Changes = make([]apiVariableChange, 0, len(changes))
	for _, c := range changes {
		out.Body.Changes = append(out.Body.Changes, apiVariableChange(c))
	}
	return out, nil
}

func (a *api) variableOf(ctx context.Context, in *VariableID) (*cronium.WorkspaceVariable, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return a.Store.Variable(ctx, who(ctx).WorkspaceID, id)
}

type variableUsesOutput struct {
	Body struct {
		Uses []apiVariableUse `json:"uses"`
	}
}

type apiVariableUse struct {
	EventID cronium.ID `json:"event_id"`
	Event   string     `json:"event" doc:"Its name"`
	Files   []string   `json:"files" doc:"With the line where it stands first" example:"script.py:12"`
}

func (a *api) variableUses(ctx context.Context, in *VariableID) (*variableUsesOutput, error) {
	v, err := a.variableOf(ctx, in)
	if err != nil {
		return nil, err
	}
	uses, err := a.Store.VariableUses(ctx, v.WorkspaceID, v.Key)
	if err != nil {
		return nil, err
	}
	out := &variableUsesOutput{}
	out.Body.Uses = make([]apiVariableUse, 0, len(uses))
	for _, u := range uses {
		out.Body.Uses = append(out.Body.Uses, apiVariableUse{u.EventID, u.Name, u.Files})
	}
	return out, nil
}
