package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
)

func (a *api) sessionOperations() {
	const browsers = "For signed-in browsers; never with a token."
	add(a, operation{method: http.MethodGet, path: "/sessions", permission: cronium.PermissionToken, id: "list-sessions", tag: "Account",
		summary: "List where one is signed in", description: browsers}, a.listSessions)
	add(a, operation{method: http.MethodDelete, path: "/sessions", permission: cronium.PermissionToken, id: "end-other-sessions", tag: "Account", status: http.StatusNoContent,
		summary: "End all of one's own sessions but this one", description: browsers}, a.endOthers)
	add(a, operation{method: http.MethodDelete, path: "/sessions/{id}", permission: cronium.PermissionToken, id: "end-session", tag: "Account", status: http.StatusNoContent,
		summary: "End one of one's own sessions at once", description: browsers}, a.endOne)
	add(a, operation{method: http.MethodPatch, path: "/account", permission: cronium.PermissionToken, id: "update-account", tag: "Account", status: http.StatusNoContent,
		summary: "Change one's own name", description: browsers}, a.updateAccount)
	add(a, operation{method: http.MethodPut, path: "/account/password", permission: cronium.PermissionToken, id: "change-password", tag: "Account", status: http.StatusNoContent,
		summary: "Change one's own password", description: "Ends all other sessions; this one gets another cookie. " + browsers}, a.changePassword)
}

type apiSession struct {
	ID      cronium.ID `json:"id"`
	BeganAt time.Time  `json:"began_at"`
	UsedAt  time.Time  `json:"used_at" doc:"To ten minutes"`
	EndsAt  time.Time  `json:"ends_at" doc:"In any case; it also ends a week after its last use"`
	Address string     `json:"address" doc:"From which the person signed in"`
	Browser string     `json:"browser" doc:"In words"`
	Current bool       `json:"current" doc:"The one that asks"`
}

type listSessionsOutput struct {
	Body struct {
		Sessions []apiSession `json:"sessions"`
	}
}

func (a *api) listSessions(ctx context.Context, _ *struct{}) (*listSessionsOutput, error) {
	sessions, err := a.Store.Sessions(ctx, who(ctx).UserID)
	if err != nil {
		return nil, err
	}
	out := &listSessionsOutput{}
	out.Body.Sessions = make([]apiSession, 0, len(sessions))
	for _, s := range sessions {
		out.Body.Sessions = append(out.Body.Sessions, apiSession{
			ID: s.ID, BeganAt: s.BeganAt, UsedAt: s.UsedAt, EndsAt: s.EndsAt, Address: s.Address, Browser: s.Browser, Current: s.ID == who(ctx).SessionID})
	}
	return out, nil
}

func (a *api) endOthers(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return nil, a.Store.EndOtherSessions(ctx, who(ctx).UserID, who(ctx).SessionID)
}

type sessionInput struct {
	ID string `path:"id"`
}

func (a *api) endOne(ctx context.Context, in *sessionInput) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.Store.EndSession(ctx, who(ctx).UserID, id)
}

type updateAccountInput struct {
	Body struct {
		Name string `json:"name,omitempty" doc:"Required"`
	}
}

func (a *api) updateAccount(ctx context.Context, in *updateAccountInput) (*struct{}, error) {
	if err := cronium.ValidatePersonName(in.Body.Name).Err("The account"); err != nil {
		return nil, err
	}
	return nil, a.Store.RenameUser(ctx, who(ctx).UserID, in.Body.Name)
}

type changePasswordInput struct {
	request *http.Request
	writer  http.ResponseWriter
	Body    struct {
		Current string `json:"current_password,omitempty" doc:"Required"`
		New     string `json:"new_password,omitempty" doc:"Required"`
	}
}

// Resolve notes the request and where to put the new cookie.
func (in *changePasswordInput) Resolve(ctx huma.Context) []error {
	in.request, in.writer = humachi.Unwrap(ctx)
	return nil
}

func (a *api) changePassword(_ context.Context, in *changePasswordInput) (*struct{}, error) {
	return nil, a.Auth.ChangePassword(in.writer, in.request, in.Body.Current, in.Body.New, requestOf(in.request).visit())
}
