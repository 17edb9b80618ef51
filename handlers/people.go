package handlers

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// The members of the workspace, for its administrators. People are changed by
// somebody who is signed in and never with a token: a stolen token cannot make
// itself a person.

func (h *Handlers) peopleRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/people", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.peoplePage},
		{Method: http.MethodPost, Pattern: "/people", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.addPersonByForm},
		{Method: http.MethodGet, Pattern: "/people/new", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.newPersonPage},
		{Method: http.MethodGet, Pattern: "/people/{id}", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.personPage},
		{Method: http.MethodPost, Pattern: "/people/{id}/role", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.setRoleByForm},
		{Method: http.MethodPost, Pattern: "/people/{id}/link", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.makeLinkByForm},
		{Method: http.MethodPost, Pattern: "/people/{id}/sessions/end", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.endSessionsOfPerson},
		{Method: http.MethodPost, Pattern: "/people/{id}/remove", Permission: cronium.PermissionPeople, Kind: KindPage, Handle: h.removePersonByForm},
		{Method: http.MethodGet, Pattern: "/password", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.newPasswordPage},
		{Method: http.MethodPost, Pattern: "/password", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.setPasswordByLink, MaxBody: 16 << 10},
	}
}

// peopleFrame is the frame of a page about people.
func (h *Handlers) peopleFrame(r *http.Request, title string, path ...layout.Crumb) (layout.Frame, error) {
	f, err := h.counted(r, title, layout.NavPeople, path...)
	switch r.URL.Query().Get("done") {
	case "role":
		f.Said = "The role is saved."
	case "ended":
		f.Said = "The sessions have ended."
	case "removed":
		f.Said = "The person is removed. What they made stays."
	}
	return f, err
}

func (h *Handlers) peoplePage(w http.ResponseWriter, r *http.Request) error {
	page := views.People{Query: r.URL.Query().Get("q"), After: r.URL.Query().Get("after")}
	filter, unknown := peopleFilter(page.Query)
	filter.Limit, page.Unknown, page.Now = pageRows, unknown, time.Now()
	var cursor store.PersonCursor
	// An address that was cut short begins at the first page.
	if given, err := decodeCursor(page.After, &cursor); given && err == nil {
		filter.After = &cursor
	} else {
		page.After = ""
	}
	people, next, err := h.Store.People(r.Context(), principal(r).WorkspaceID, filter)
	if err != nil {
		return err
	}
	if page.Frame, err = h.peopleFrame(r, "People"); err != nil {
		return err
	}
	for i := range people {
		page.Rows = append(page.Rows, personOf(&people[i]))
	}
	if next != nil {
		page.Next = encodeCursor(next)
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

func personOf(p *store.Person) views.Person {
	return views.Person{
		ID: p.ID, Name: p.Name, Email: p.Email, Role: p.Role, Since: p.CreatedAt, SeenAt: p.SeenAt, InstanceAdmin: p.InstanceAdmin,
		HasPassword: p.HasPassword, LinkExpiresAt: p.LinkExpiresAt, Sessions: p.Sessions, Tokens: p.Tokens,
	}
}

func (h *Handlers) newPersonPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderNewPerson(w, r, http.StatusOK, views.PersonNew{})
}

func (h *Handlers) renderNewPerson(w http.ResponseWriter, r *http.Request, status int, page views.PersonNew) error {
	var err error
	if page.Frame, err = h.peopleFrame(r, "Add a person", layout.Crumb{Label: "People", URL: "/people"}); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// addPersonByForm answers with the page that shows the link, not with a
// redirect: it is shown once, and is never in an address that is sent.
func (h *Handlers) addPersonByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page := views.PersonNew{
		Name: strings.TrimSpace(r.PostForm.Get("name")), Email: auth.NormalEmail(r.PostForm.Get("email")), Role: cronium.Role(r.PostForm.Get("role")),
	}
	person, link, err := h.addPerson(r, page.Name, page.Email, page.Role)
	if problems, _, status, ok := formProblems(w, err); ok {
		page.Problems = problems
		return h.renderNewPerson(w, r, status, page)
	}
	if err != nil {
		return err
	}
	return h.renderPerson(w, r, http.StatusOK, person.ID, views.PersonPage{Link: link, Joined: link == nil})
}

// addPerson makes somebody a member of the workspace of who asks. link sets the
// password of a new account; nil for somebody who has a way in already.
func (h *Handlers) addPerson(r *http.Request, name, email string, role cronium.Role) (*store.Person, *views.PasswordLink, error) {
	problems := append(cronium.ValidatePerson(name, email), cronium.ValidateRole(role)...)
	if err := problems.Err("The person"); err != nil {
		return nil, nil, err
	}
	p := principal(r)
	code, link := auth.NewPasswordLink(p.UserName, time.Now())
	added, err := h.Store.AddPerson(r.Context(), p.WorkspaceID, p.UserID, &cronium.User{ID: cronium.NewID(), Email: email, Name: name}, role, link)
	if err != nil {
		return nil, nil, err
	}
	h.peopleChanged(r, "added", added.ID)
	person, err := h.Store.Person(r.Context(), p.WorkspaceID, added.ID)
	if err != nil || !added.Linked {
		return person, nil, err
	}
	return person, h.linkOf(r, code, link), nil
}

// linkOf is a link as it is handed over. The code is behind #, which browsers
// do not send, so it is in no log.
func (h *Handlers) linkOf(r *http.Request, code string, link *cronium.PasswordLink) *views.PasswordLink {
	return &views.PasswordLink{URL: requestOf(r).origin + "/password#code=" + url.QueryEscape(code), ExpiresAt: link.ExpiresAt}
}

// peopleChanged notes who changed whom.
func (h *Handlers) peopleChanged(r *http.Request, what string, person cronium.ID) {
	h.Log.InfoContext(r.Context(), "person "+what, "request", requestOf(r).id, "workspace", principal(r).WorkspaceID, "by", principal(r).UserID, "person", person)
}

func (h *Handlers) newPasswordPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderNewPassword(w, r, http.StatusOK, views.NewPassword{})
}

func (h *Handlers) renderNewPassword(w http.ResponseWriter, r *http.Request, status int, page views.NewPassword) error {
	page.Frame = h.frame(r, "Set your password", "")
	page.Modules = []string{"js/setup.js"}
	return h.render(w, r, status, page.Page())
}

func (h *Handlers) setPasswordByLink(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	info, page := requestOf(r), views.NewPassword{Code: r.PostForm.Get("link_code")}
	user, err := h.Auth.UsePasswordLink(r.Context(), page.Code, r.PostForm.Get("password"), info.address)
	if err == nil {
		if err = h.Auth.Begin(w, r, user, info.visit()); err == nil {
			h.Log.InfoContext(r.Context(), "password set by link", "request", info.id, "user", user.ID, "address", info.address)
			return redirect(w, r, "/")
		}
	}
	problems, message, status, ok := fieldProblems(w, err)
	if !ok {
		return err
	}
	page.Problems, page.Message = problems, message
	return h.renderNewPassword(w, r, status, page)
}
