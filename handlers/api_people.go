package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
)

func (a *api) peopleOperations() {
	const browsers = " For signed-in browsers; never with a token."
	add(a, operation{method: http.MethodGet, path: "/people", permission: cronium.PermissionAdmin, id: "list-people", tag: "People",
		summary: "List the people of the workspace by name"}, a.listPeople)
	add(a, operation{method: http.MethodPost, path: "/people", permission: cronium.PermissionPeople, id: "add-person", tag: "People", status: http.StatusCreated,
		summary: "Add a person", description: "password_link of the answer is to be handed over: nothing is sent by mail. It is in this answer alone, " +
			"and is left out for somebody who has an account already." + browsers}, a.addPersonOperation)
	add(a, operation{method: http.MethodGet, path: "/people/{id}", permission: cronium.PermissionAdmin, id: "get-person", tag: "People",
		summary: "One person of the workspace"}, a.getPerson)
	add(a, operation{method: http.MethodPatch, path: "/people/{id}", permission: cronium.PermissionPeople, id: "update-person", tag: "People",
		summary: "Change a person's role", description: "The last administrator who has a password stays one (409)." + browsers}, a.updatePerson)
	add(a, operation{method: http.MethodDelete, path: "/people/{id}", permission: cronium.PermissionPeople, id: "remove-person", tag: "People", status: http.StatusNoContent,
		summary:     "Remove a person from the workspace",
		description: "Ends their sessions and revokes their API tokens there. What they made stays, with their name." + browsers}, a.removePerson)
	add(a, operation{method: http.MethodPost, path: "/people/{id}/password-link", permission: cronium.PermissionPeople, id: "make-password-link", tag: "People", status: http.StatusCreated,
		summary: "Make a link with which the person sets a password", description: "It works once; an earlier one ends." + browsers}, a.makePasswordLink)
	add(a, operation{method: http.MethodDelete, path: "/people/{id}/sessions", permission: cronium.PermissionPeople, id: "end-sessions-of-person", tag: "People", status: http.StatusNoContent,
		summary: "End a person's sessions in the workspace", description: browsers[1:]}, a.endPersonsSessions)
}

type apiPerson struct {
	ID            cronium.ID       `json:"id"`
	Name          string           `json:"name"`
	Email         string           `json:"email"`
	Role          cronium.Role     `json:"role" enum:"ADMIN,USER,VIEWER"`
	InstanceAdmin bool             `json:"instance_admin" doc:"Administrator of the whole instance"`
	MemberSince   time.Time        `json:"member_since"`
	SeenAt        *time.Time       `json:"seen_at,omitempty" doc:"In a browser, to ten minutes"`
	HasPassword   bool             `json:"has_password"`
	LinkExpiresAt *time.Time       `json:"link_expires_at,omitempty" doc:"Of the link to set a password that was made last"`
	Sessions      int              `json:"sessions" doc:"Open ones, in this workspace"`
	Tokens        int              `json:"tokens" doc:"Valid API tokens, in this workspace"`
	PasswordLink  *apiPasswordLink `json:"password_link,omitempty" doc:"When it is made and never again"`
}

type apiPasswordLink struct {
	URL       string    `json:"url" doc:"Where the person sets the password"`
	ExpiresAt time.Time `json:"expires_at"`
}

func apiPersonOf(p *store.Person, link *views.PasswordLink) apiPerson {
	person := apiPerson{
		ID: p.ID, Name: p.Name, Email: p.Email, Role: p.Role, InstanceAdmin: p.InstanceAdmin, MemberSince: p.CreatedAt, SeenAt: p.SeenAt,
		HasPassword: p.HasPassword, LinkExpiresAt: p.LinkExpiresAt, Sessions: p.Sessions, Tokens: p.Tokens,
	}
	if link != nil {
		person.PasswordLink = &apiPasswordLink{link.URL, link.ExpiresAt}
	}
	return person
}

type listPeopleInput struct {
	ListInput
	Query string `query:"q" doc:"Part of the name or the e-mail address"`
	Role  string `query:"role" enum:"ADMIN,USER,VIEWER"`
}

type listPeopleOutput struct {
	ListHead
	Body struct {
		People []apiPerson `json:"people"`
		Next   string      `json:"next,omitempty" doc:"The cursor of the next page"`
	}
}

func (a *api) listPeople(ctx context.Context, in *listPeopleInput) (*listPeopleOutput, error) {
	filter := store.PeopleFilter{Query: in.Query, Role: cronium.Role(in.Role), Limit: in.Limit}
	var cursor store.PersonCursor
	given, err := decodeCursor(in.Cursor, &cursor)
	if err != nil {
		return nil, err
	}
	if given {
		filter.After = &cursor
	}
	people, next, err := a.Store.People(ctx, who(ctx).WorkspaceID, filter)
	if err != nil {
		return nil, err
	}
	out := &listPeopleOutput{}
	out.Body.People = make([]apiPerson, 0, len(people))
	for i := range people {
		out.Body.People = append(out.Body.People, apiPersonOf(&people[i], nil))
	}
	if next != nil {
		out.Body.Next = encodeCursor(next)
		out.Link = in.nextLink(out.Body.Next)
	}
	return out, nil
}

// PersonInput names a person.
type PersonInput struct {
	ID string `path:"id"`
}

type personOutput struct {
	Body apiPerson
}

func (a *api) getPerson(ctx context.Context, in *PersonInput) (*personOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	person, err := a.Store.Person(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	return &personOutput{apiPersonOf(person, nil)}, nil
}

type addPersonInput struct {
	request *http.Request
	Body    struct {
		Name  string `json:"name,omitempty" doc:"Required"`
		Email string `json:"email,omitempty" doc:"Required. To sign in with"`
		Role  string `json:"role,omitempty" enum:"ADMIN,USER,VIEWER" doc:"Required"`
	}
}

// Resolve notes the request, of which addPerson reads who asks.
func (in *addPersonInput) Resolve(ctx huma.Context) []error {
	in.request, _ = humachi.Unwrap(ctx)
	return nil
}

func (a *api) addPersonOperation(_ context.Context, in *addPersonInput) (*personOutput, error) {
	person, link, err := a.addPerson(in.request, in.Body.Name, auth.NormalEmail(in.Body.Email), cronium.Role(in.Body.Role))
	if err != nil {
		return nil, err
	}
	return &personOutput{apiPersonOf(person, link)}, nil
}

// PersonChange names a person, and keeps the request that changes them.
type PersonChange struct {
	PersonInput
	request *http.Request
}

// Resolve notes the request.
func (in *PersonChange) Resolve(ctx huma.Context) []error {
	in.request, _ = humachi.Unwrap(ctx)
	return nil
}

// change makes one change of the person, and notes who made it.
func (a *api) change(in *PersonChange, what string, change func(p *cronium.Principal, id cronium.ID) error) error {
	id, err := apiID(in.ID)
	if err != nil {
		return err
	}
	if err := change(principal(in.request), id); err != nil {
		return err
	}
	a.peopleChanged(in.request, what, id)
	return nil
}

type updatePersonInput struct {
	PersonChange
	Body struct {
		Role string `json:"role,omitempty" enum:"ADMIN,USER,VIEWER" doc:"Required"`
	}
}

func (a *api) updatePerson(ctx context.Context, in *updatePersonInput) (*personOutput, error) {
	err := a.change(&in.PersonChange, "role", func(p *cronium.Principal, id cronium.ID) error {
		return a.setRole(in.request, p, id, cronium.Role(in.Body.Role))
	})
	if err != nil {
		return nil, err
	}
	return a.getPerson(ctx, &in.PersonInput)
}

func (a *api) removePerson(ctx context.Context, in *PersonChange) (*struct{}, error) {
	return nil, a.change(in, "removed", func(p *cronium.Principal, id cronium.ID) error {
		return a.Store.RemovePerson(ctx, p.WorkspaceID, p.UserID, id)
	})
}

func (a *api) endPersonsSessions(ctx context.Context, in *PersonChange) (*struct{}, error) {
	return nil, a.change(in, "ended", func(p *cronium.Principal, id cronium.ID) error {
		return a.Store.EndPersonsSessions(ctx, p.WorkspaceID, p.UserID, id)
	})
}

type passwordLinkOutput struct {
	Body apiPasswordLink
}

func (a *api) makePasswordLink(ctx context.Context, in *PersonChange) (*passwordLinkOutput, error) {
	code, link := auth.NewPasswordLink(principal(in.request).UserName, time.Now())
	err := a.change(in, "linked", func(p *cronium.Principal, id cronium.ID) error {
		return a.Store.PutPasswordLink(ctx, p.WorkspaceID, p.UserID, id, link)
	})
	if err != nil {
		return nil, err
	}
	shown := a.linkOf(in.request, code, link)
	return &passwordLinkOutput{apiPasswordLink{shown.URL, shown.ExpiresAt}}, nil
}
