package handlers

import (
	"net/http"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/views"
)

func (h *Handlers) signInRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/signin", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.signInPage},
		{Method: http.MethodPost, Pattern: "/signin", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.signIn, MaxBody: 16 << 10},
		{Method: http.MethodPost, Pattern: "/signout", Permission: cronium.PermissionPublic, Kind: KindPage, Handle: h.signOut},
	}
}

func (h *Handlers) signInPage(w http.ResponseWriter, r *http.Request) error {
	next := nextPage(r.URL.Query().Get("next"))
	if principal(r) != nil {
		return redirect(w, r, next)
	}
	first, err := h.firstRun(r.Context())
	if err != nil {
		return err
	}
	if first {
		return redirect(w, r, "/setup")
	}
	return h.renderSignIn(w, r, http.StatusOK, views.SignIn{Next: next})
}

func (h *Handlers) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page := views.SignIn{Email: auth.NormalEmail(r.PostForm.Get("email")), Next: nextPage(r.PostForm.Get("next"))}
	info := requestOf(r)
	user, err := h.Auth.SignIn(r.Context(), page.Email, r.PostForm.Get("password"), info.address)
	if err == nil {
		if err = h.Auth.Begin(w, r, user, info.visit()); err == nil {
			h.Log.InfoContext(r.Context(), "signed in", "request", info.id, "user", user.ID, "address", info.address)
			return redirect(w, r, page.Next)
		}
	}
	problems, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	h.Log.WarnContext(r.Context(), "sign-in refused", "request", info.id, "address", info.address, "code", cronium.CodeOf(err))
	page.Problems, page.Message = problems, message
	return h.renderSignIn(w, r, status, page)
}

func (h *Handlers) renderSignIn(w http.ResponseWriter, r *http.Request, status int, page views.SignIn) error {
	page.Frame = h.frame(r, "Sign in", "")
	return h.render(w, r, status, page.Page())
}

// signOut is public: whoever is signed out already is answered the same.
func (h *Handlers) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := h.Auth.End(w, r, requestOf(r).secure); err != nil {
		return err
	}
	return redirect(w, r, "/signin")
}

// nextPage is where to go after signing in: a page of ours, or Home.
func nextPage(next string) string {
	if !localAddress(next) {
		return "/"
	}
	return next
}
