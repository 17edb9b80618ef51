package handlers

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

type APIVersion struct {
	Number     int       `json:"number"`
	Note       string    `json:"note"`
	AuthorID   string    `json:"author_id"`
	AuthorName string    `json:"author_name"`
	CreatedAt  time.Time `json:"created_at"`
}

func versionOf(v *cronium.EventVersion) APIVersion {
	return APIVersion{v.Number, v.Note, v.AuthorID.String(), v.AuthorName, v.CreatedAt}
}

type apiVersionDetail struct {
	APIVersion
	Content cronium.Content `json:"content"`
}

func (a *api) versionOperations() {
	add(a, operation{method: http.MethodGet, path: "/events/{id}/versions", permission: cronium.PermissionRead, id: "list-versions", tag: "Versions",
		summary: "List the versions of an event, the newest first"}, a.listVersions)
	add(a, operation{method: http.MethodPost, path: "/events/{id}/versions", permission: cronium.PermissionWrite, id: "save-version", tag: "Versions", status: http.StatusCreated,
		summary: "Save a new version of an event", description: "With a content, or with restore: the number of an earlier version whose content becomes the current one again."}, a.saveVersion)
	add(a, operation{method: http.MethodGet, path: "/events/{id}/versions/{n}", permission: cronium.PermissionRead, id: "get-version", tag: "Versions",
		summary: "Get a version with its content", description: "A number below zero is the content of a test run, as its job names it."}, a.getVersion)
}

type listVersionsInput struct {
	ID string `path:"id"`
	ListInput
}

type listVersionsOutput struct {
	ListHead
	Body struct {
		Versions []APIVersion `json:"versions"`
		Next     string       `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent on the last"`
	}
}

func (a *api) listVersions(ctx context.Context, in *listVersionsInput) (*listVersionsOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	page := store.VersionPage{Limit: in.Limit}
	if _, err := decodeCursor(in.Cursor, &page.Before); err != nil {
		return nil, err
	}
	versions, err := a.Store.EventVersions(ctx, who(ctx).WorkspaceID, id, page)
	if err != nil {
		return nil, err
	}
	out := &listVersionsOutput{}
	out.Body.Versions = make([]APIVersion, 0, len(versions))
	for i := range versions {
		out.Body.Versions = append(out.Body.Versions, versionOf(&versions[i]))
	}
	if n := len(versions); n > 0 && n == in.Limit && versions[n-1].Number > 1 {
		out.Body.Next = encodeCursor(versions[n-1].Number)
	}
	out.Link = in.nextLink(out.Body.Next)
	return out, nil
}

type saveVersionInput struct {
	ID      string `path:"id"`
	IfMatch string `header:"If-Match" doc:"The ETag that was read"`
	Body    struct {
		Content     contentInput `json:"content,omitempty" doc:"What it does not name is as in a new event"`
		Restore     int          `json:"restore,omitempty" doc:"Instead of a content: the version to restore"`
		Note        string       `json:"note,omitempty" doc:"What was changed, at most 500 characters"`
		BaseVersion int          `json:"base_version,omitempty" doc:"The version that was read"`
	}
}

type versionOutput struct {
	ETag string `header:"ETag"`
	Body apiVersionDetail
}

func (a *api) saveVersion(ctx context.Context, in *saveVersionInput) (*versionOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	p := who(ctx)
	e, err := a.Store.Event(ctx, p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	version, err := base(in.Body.BaseVersion, in.IfMatch)
	if err != nil {
		return nil, err
	}
	content, err := a.versionContent(ctx, e, in)
	if err != nil {
		return nil, err
	}
	if err := a.checkContent(p, content); err != nil {
		return nil, underContent(err)
	}
	var v *cronium.EventVersion
	if in.Body.Restore != 0 {
		v, err = a.Store.RestoreVersion(ctx, p.WorkspaceID, id, in.Body.Restore, version, author(p))
	} else {
		v, err = a.Store.SaveVersion(ctx, p.WorkspaceID, id, version, *content, in.Body.Note, author(p))
	}
	if err != nil {
		return nil, underContent(err)
	}
	a.eventsChanged(p)
	return &versionOutput{etag(v.Number), apiVersionDetail{versionOf(v), v.Content}}, nil
}

// versionContent is what shall be saved: what was sent, or what was before.
func (a *api) versionContent(ctx context.Context, e *cronium.Event, in *saveVersionInput) (*cronium.Content, error) {
	if in.Body.Restore == 0 {
		content, err := in.Body.Content.required(e.Type)
		return &content, err
	}
	var problems cronium.Problems
	problems.Add(raw([]byte(in.Body.Content)) == nil, "restore", "must not be there with a content")
	problems.Add(in.Body.Restore > 0 && in.Body.Restore <= e.Version, "restore", "must be a version between 1 and %d", e.Version)
	if err := problems.Err("The version"); err != nil {
		return nil, err
	}
	old, err := a.Store.EventVersion(ctx, e.WorkspaceID, e.ID, in.Body.Restore)
	if err != nil {
		return nil, err
	}
	return &old.Content, nil
}

type getVersionInput struct {
	ID string `path:"id"`
	N  string `path:"n" doc:"The version's number"`
}

func (a *api) getVersion(ctx context.Context, in *getVersionInput) (*versionOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(in.N)
	if err != nil {
		return nil, cronium.ErrNotFound
	}
	v, err := a.Store.EventVersion(ctx, who(ctx).WorkspaceID, id, number)
	if err != nil {
		return nil, err
	}
	return &versionOutput{etag(v.Number), apiVersionDetail{versionOf(v), v.Content}}, nil
}
