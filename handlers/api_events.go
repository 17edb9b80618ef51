package handlers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// APIEvent is an event as the API shows it.
type APIEvent struct {
	ID          cronium.ID          `json:"id"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Type        cronium.EventType   `json:"type" enum:"PYTHON,NODEJS,BASH,HTTP_REQUEST"`
	Status      cronium.EventStatus `json:"status" enum:"DRAFT,ACTIVE,PAUSED,ARCHIVED"`
	Version     int                 `json:"version" doc:"The current version"`
	CreatedAt   time.Time           `json:"created_at"`
	UpdatedAt   time.Time           `json:"updated_at"`
}

func eventOf(e *cronium.Event) APIEvent {
	return APIEvent{e.ID, e.Name, e.Description, e.Type, e.Status, e.Version, e.CreatedAt, e.UpdatedAt}
}

// apiEventDetail is an event with what its current version runs.
type apiEventDetail struct {
	APIEvent
	Content cronium.Content `json:"content"`
}

type apiEventRow struct {
	APIEvent
	Target cronium.TargetKind `json:"target"`
	Recent []store.RecentJob  `json:"recent" doc:"The last ten jobs, the newest first; test runs do not count"`
}

type eventOutput struct {
	ETag string `header:"ETag" doc:"The current version, for If-Match"`
	Body apiEventDetail
}

func (a *api) eventOperations() {
	add(a, operation{method: http.MethodGet, path: "/events", permission: cronium.PermissionRead, id: "list-events", tag: "Events",
		summary: "List events", description: "Sorted by name, or the newest first. Archived events are listed only when status names them."}, a.listEvents)
	add(a, operation{method: http.MethodPost, path: "/events", permission: cronium.PermissionWrite, id: "create-event", tag: "Events", status: http.StatusCreated,
		summary: "Create an event", description: "Of the content only what differs from a new event's default need be sent."}, a.createEvent)
	add(a, operation{method: http.MethodGet, path: "/events/{id}", permission: cronium.PermissionRead, id: "get-event", tag: "Events",
		summary: "Get an event with its current content"}, a.getEvent)
	add(a, operation{method: http.MethodPut, path: "/events/{id}", permission: cronium.PermissionWrite, id: "replace-event", tag: "Events",
		summary: "Replace an event", description: "Each of name, description and content that is sent replaces the event's; what is not sent stays as it is. A content is saved as a new version. base_version or the header If-Match names the version that was read; where another was saved since, the answer is 409 and nothing is changed."}, a.replaceEvent)
	add(a, operation{method: http.MethodPatch, path: "/events/{id}", permission: cronium.PermissionWrite, id: "change-event", tag: "Events",
		summary: "Change an event's name, description or status", description: "Fields that are not sent stay as they are. What the event runs is changed by a new version."}, a.changeEvent)
	add(a, operation{method: http.MethodDelete, path: "/events/{id}", permission: cronium.PermissionWrite, id: "delete-event", tag: "Events", status: http.StatusNoContent,
		summary: "Delete an event for good", description: "Only an event that is archived or has never run, and none with jobs that have not ended. Its versions, jobs and their output go with it."}, a.deleteEvent)
	add(a, operation{method: http.MethodPost, path: "/events/{id}/duplicate", permission: cronium.PermissionWrite, id: "duplicate-event", tag: "Events", status: http.StatusCreated,
		summary: "Make a new event, a draft, with the same content"}, a.duplicateEvent)
}

type listEventsInput struct {
	ListInput
	Status string `query:"status" doc:"One or more of DRAFT, ACTIVE, PAUSED, ARCHIVED with commas between" example:"ACTIVE,PAUSED"`
	Type   string `query:"type" enum:"PYTHON,NODEJS,BASH,HTTP_REQUEST"`
	Name   string `query:"name" doc:"Part of the name, in any case"`
	Sort   string `query:"sort" enum:"name,newest" default:"name"`
}

type listEventsOutput struct {
	ListHead
	Body struct {
		Events []apiEventRow `json:"events"`
		Next   string        `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listEvents(ctx context.Context, in *listEventsInput) (*listEventsOutput, error) {
	filter := store.EventFilter{Type: cronium.EventType(in.Type), Query: in.Name, Sort: store.EventSort(in.Sort), Limit: in.Limit}
	var err error
	if filter.Status, err = words(in.Status, "status", cronium.EventStatuses); err != nil {
		return nil, err
	}
	var after store.EventCursor
	if given, err := decodeCursor(in.Cursor, &after); err != nil {
		return nil, err
	} else if given {
		filter.After = &after
	}
	rows, err := a.Store.Events(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listEventsOutput{}
	out.Body.Events = make([]apiEventRow, 0, len(rows))
	for _, r := range rows {
		out.Body.Events = append(out.Body.Events, apiEventRow{eventOf(&r.Event), r.Target, r.Recent})
	}
	if len(rows) > 0 && len(rows) == in.Limit {
		out.Body.Next = encodeCursor(rows[len(rows)-1].Cursor())
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

type createEventInput struct {
	Body struct {
		Name        string       `json:"name,omitempty" doc:"Required: 1 to 120 characters, the event's own among those not archived"`
		Description string       `json:"description,omitempty" doc:"At most 2,000 characters"`
		Type        string       `json:"type,omitempty" enum:"PYTHON,NODEJS,BASH,HTTP_REQUEST" doc:"Required"`
		Status      string       `json:"status,omitempty" enum:"DRAFT,ACTIVE" default:"DRAFT" doc:"A draft runs by test runs alone"`
		Content     contentInput `json:"content,omitempty"`
		Note        string       `json:"note,omitempty" doc:"What this version is, at most 500 characters"`
	}
}

type createEventOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     apiEventDetail
}

func (a *api) createEvent(ctx context.Context, in *createEventInput) (*createEventOutput, error) {
	e := &cronium.Event{Name: in.Body.Name, Description: in.Body.Description, Type: cronium.EventType(in.Body.Type), Status: cronium.EventStatus(in.Body.Status)}
	content, err := in.Body.Content.over(e.Type)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	if err := a.checkContent(p, &content); err != nil {
		return nil, underContent(err)
	}
	if err := a.Store.CreateEvent(ctx, p.WorkspaceID, e, content, in.Body.Note, author(p)); err != nil {
		return nil, underContent(err)
	}
	a.eventsChanged(p)
	return &createEventOutput{apiPrefix + "/events/" + e.ID.String(), etag(e.Version), apiEventDetail{eventOf(e), content}}, nil
}

// author is who saves a version.
func author(p *cronium.Principal) store.Author { return store.Author{ID: p.UserID, Name: p.UserName} }

func etag(version int) string { return fmt.Sprintf(`"%d"`, version) }

// taggedVersion reads the version from an ETag that came back as If-Match.
func taggedVersion(tag string) (version int, ok bool) {
	version, err := strconv.Atoi(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`))
	return version, err == nil
}

// matched is taggedVersion for what has no other way to name its version.
func matched(ifMatch string) (int, error) {
	version, ok := taggedVersion(ifMatch)
	var problems cronium.Problems
	problems.Add(ok, "If-Match", "must be the ETag that was read, like \"7\"")
	return version, problems.Err("The change")
}

// eventsChanged tells the pages that show events.
func (h *Handlers) eventsChanged(p *cronium.Principal) {
	if h.Hub != nil {
		h.Hub.Publish(live.EventsTopic(p.WorkspaceID))
	}
}

type eventInput struct {
	ID string `path:"id"`
}

func (a *api) getEvent(ctx context.Context, in *eventInput) (*eventOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	workspace := who(ctx).WorkspaceID
	e, err := a.Store.Event(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	v, err := a.Store.EventVersion(ctx, workspace, id, e.Version)
	if err != nil {
		return nil, err
	}
	return &eventOutput{etag(e.Version), apiEventDetail{eventOf(e), v.Content}}, nil
}

// base is the version that a change is made on top of.
func base(inBody int, ifMatch string) (int, error) {
	if ifMatch != "" {
		version, ok := taggedVersion(ifMatch)
		if ok && (inBody == 0 || inBody == version) {
			return version, nil
		}
		inBody = 0
	}
	var problems cronium.Problems
	problems.Add(inBody > 0, "base_version", "must be the version that you have read, like 7; the header If-Match: \"7\" may say it instead")
	return inBody, problems.Err("The change")
}

type replaceEventInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" doc:"The ETag that was read"`
	Body    struct {
		Name        *string      `json:"name,omitempty"`
		Description *string      `json:"description,omitempty"`
		Content     contentInput `json:"content,omitempty" doc:"Replaces the whole of what the event runs: it names all files, and what else it does not name is as in a new event"`
		Note        string       `json:"note,omitempty" doc:"What was changed, at most 500 characters; only with a content"`
		BaseVersion int          `json:"base_version,omitempty" doc:"The version that was read"`
	}
}

func (a *api) replaceEvent(ctx context.Context, in *replaceEventInput) (*eventOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	before, err := a.Store.Event(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	version, err := base(in.Body.BaseVersion, in.IfMatch)
	if err != nil {
		return nil, err
	}
	change := store.Replacement{Name: in.Body.Name, Description: in.Body.Description, Note: in.Body.Note, Author: author(p)}
	if in.Body.Content.sent() {
		content, err := in.Body.Content.required(before.Type)
		if err != nil {
			return nil, err
		}
		if err := a.checkContent(p, &content); err != nil {
			return nil, underContent(err)
		}
		change.Content = &content
	}
	if err := worthwhile(change); err != nil {
		return nil, err
	}
	if _, err := a.Store.ReplaceEvent(ctx, p.WorkspaceID, id, version, change); err != nil {
		return nil, underContent(err)
	}
	a.eventsChanged(p)
	return a.getEvent(ctx, &eventInput{ID: in.ID})
}

// worthwhile refuses a replacement that would do less than its sender expects.
func worthwhile(r store.Replacement) error {
	var problems cronium.Problems
	problems.Add(r.Name != nil || r.Description != nil || r.Content != nil, "content", "must be there, or name, or description: nothing else is replaced")
	problems.Add(r.Content != nil || r.Note == "", "note", "must come with a content: it is the note of the version that a content makes")
	return problems.Err("The event")
}

type changeEventInput struct {
	ID   string `path:"id"`
	Body struct {
		Name        *string `json:"name,omitempty"`
		Description *string `json:"description,omitempty"`
		Status      *string `json:"status,omitempty" enum:"DRAFT,ACTIVE,PAUSED,ARCHIVED"`
	}
}

type changedEventOutput struct {
	Body APIEvent
}

func (a *api) changeEvent(ctx context.Context, in *changeEventInput) (*changedEventOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	var change store.EventChange
	change.Name, change.Description = in.Body.Name, in.Body.Description
	if in.Body.Status != nil {
		change.Status = cronium.EventStatus(*in.Body.Status)
	}
	e, err := a.Store.ChangeEvent(ctx, p.WorkspaceID, id, change)
	if err != nil {
		return nil, err
	}
	a.eventsChanged(p)
	return &changedEventOutput{eventOf(e)}, nil
}

func (a *api) deleteEvent(ctx context.Context, in *eventInput) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if err := a.Store.DeleteEvent(ctx, who(ctx).WorkspaceID, id); err != nil {
		return nil, err
	}
	a.eventsChanged(who(ctx))
	return nil, nil
}

type duplicateEventInput struct {
	ID   string `path:"id"`
	Body *struct {
		Name string `json:"name,omitempty" doc:"Of the new event; NAME copy where it is not given"`
	}
}

func (a *api) duplicateEvent(ctx context.Context, in *duplicateEventInput) (*createEventOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p, name := who(ctx), ""
	if in.Body != nil {
		name = in.Body.Name
	}
	original, err := a.Store.Event(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	version, err := a.Store.EventVersion(ctx, p.WorkspaceID, id, original.Version)
	if err != nil {
		return nil, err
	}
	if err := a.checkContent(p, &version.Content); err != nil {
		return nil, err
	}
	e, err := a.Store.DuplicateEvent(ctx, p.WorkspaceID, id, name, author(p))
	if err != nil {
		return nil, err
	}
	a.eventsChanged(p)
	out, err := a.getEvent(ctx, &eventInput{ID: e.ID.String()})
	if err != nil {
		return nil, err
	}
	return &createEventOutput{apiPrefix + "/events/" + e.ID.String(), out.ETag, out.Body}, nil
}
