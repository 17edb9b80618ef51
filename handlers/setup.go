package handlers

import (
	"net/http"
	"strings"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/views"
)

// The first run: while there is no person, whoever knows the code that the
// server printed makes the first administrator. The code comes in the address's
// fragment, which browsers do not send, and a script puts it into the form.

func (h *Handlers) setupRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/setup", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.setupPage},
		{Method: http.MethodPost, Pattern: "/setup", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.setUp, MaxBody: 16 << 10},
	}
}

func (h *Handlers) setupPage(w http.ResponseWriter, r *http.Request) error {
	if first, err := h.firstRun(r.Context()); err != nil || !first {
		return orNotFound(err)
	}
	return h.renderSetup(w, r, http.StatusOK, views.Setup{})
}

func (h *Handlers) setUp(w http.ResponseWriter, r *http.Request) error {
	if first, err := h.firstRun(r.Context()); err != nil || !first {
		return orNotFound(err)
	}
	if err := readForm(r); err != nil {
		return err
	}
	page := views.Setup{
		Code:  r.PostForm.Get("code"),
		Name:  strings.TrimSpace(r.PostForm.Get("name")),
		Email: auth.NormalEmail(r.PostForm.Get("email")),
	}
	user, err := h.Auth.MakeFirstAdmin(r.Context(), page.Code, page.Name, page.Email, r.PostForm.Get("password"), requestOf(r).address)
	if err == nil {
		if err = h.Auth.Begin(w, r, user, requestOf(r).visit()); err == nil {
			return redirect(w, r, "/")
		}
	}
	problems, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	page.Problems, page.Message = problems, message
	return h.renderSetup(w, r, status, page)
}

func (h *Handlers) renderSetup(w http.ResponseWriter, r *http.Request, status int, page views.Setup) error {
	page.Frame = h.frame(r, "First run", "")
	page.Modules = []string{"js/setup.js"}
	return h.render(w, r, status, page.Page())
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return cronium.ErrNotFound
}
