package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) settingsRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/settings", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.settingsHome},
		{Method: http.MethodGet, Pattern: "/settings/profile", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.profilePage},
		{Method: http.MethodPost, Pattern: "/settings/profile", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.saveProfile},
		{Method: http.MethodPost, Pattern: "/settings/password", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.changePassword},
		{Method: http.MethodPost, Pattern: "/settings/sessions/end", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.endSessions},
		{Method: http.MethodPost, Pattern: "/settings/sessions/others", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.endOtherSessions},
		{Method: http.MethodPost, Pattern: "/settings/sessions/{id}/end", Permission: cronium.PermissionAccount, Kind: KindPage, Handle: h.endSession},
		{Method: http.MethodGet, Pattern: "/settings/tokens", Permission: cronium.PermissionToken, Kind: KindPage, Handle: h.tokensPage},
		{Method: http.MethodPost, Pattern: "/settings/tokens", Permission: cronium.PermissionToken, Kind: KindPage, Handle: h.makeTokenByForm},
		{Method: http.MethodPost, Pattern: "/settings/tokens/{id}/revoke", Permission: cronium.PermissionToken, Kind: KindPage, Handle: h.revokeTokenByForm},
		{Method: http.MethodGet, Pattern: "/settings/engine", Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: h.enginePage},
		{Method: http.MethodGet, Pattern: "/settings/about", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.aboutPage},
	}
}

func (h *Handlers) settingsHome(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/settings/profile")
}

// settingsFrame is the frame of a settings page. What just happened comes in
// the address after a redirect, by name and not by its text.
func (h *Handlers) settingsFrame(r *http.Request, title string) (layout.Frame, error) {
	f, err := h.counted(r, title, layout.NavSettings, layout.Crumb{Label: "Settings", URL: "/settings"})
	switch r.URL.Query().Get("done") {
	case "name":
		f.Said = "Your name is saved."
	case "password":
		f.Said = "Your password is changed; every other session of yours has ended."
	case "session":
		f.Said = "The session has ended."
	case "sessions":
		f.Said = "Every other session of yours has ended."
	case "revoked":
		f.Said = "The token is revoked."
	}
	return f, err
}

func (h *Handlers) profilePage(w http.ResponseWriter, r *http.Request) error {
	return h.renderProfile(w, r, http.StatusOK, views.SettingsProfile{Name: principal(r).UserName})
}

func (h *Handlers) renderProfile(w http.ResponseWriter, r *http.Request, status int, page views.SettingsProfile) error {
	var err error
	if page.Frame, err = h.settingsFrame(r, "Profile"); err != nil {
		return err
	}
	page.Email, page.Role = principal(r).Email, principal(r).Role
	if page.Sessions, err = h.Store.Sessions(r.Context(), principal(r).UserID); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

func (h *Handlers) saveProfile(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if problems := cronium.ValidatePersonName(name); len(problems) > 0 {
		return h.renderProfile(w, r, http.StatusUnprocessableEntity, views.SettingsProfile{Name: name, Problems: problems})
	}
	if err := h.Store.RenameUser(r.Context(), principal(r).UserID, name); err != nil {
		return err
	}
	return redirect(w, r, "/settings/profile?done=name")
}

func (h *Handlers) changePassword(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	err := h.Auth.ChangePassword(w, r, r.PostForm.Get("current_password"), r.PostForm.Get("new_password"), requestOf(r).visit())
	if err == nil {
		return redirect(w, r, "/settings/profile?done=password")
	}
	problems, message, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	if len(problems) == 0 {
		problems = cronium.Problems{{Field: "current_password", Message: message}}
	}
	return h.renderProfile(w, r, status, views.SettingsProfile{Name: principal(r).UserName, Problems: problems, PasswordForm: true})
}

func (h *Handlers) endSessions(w http.ResponseWriter, r *http.Request) error {
	if err := h.Auth.EndEverywhere(w, r, requestOf(r).secure); err != nil {
		return err
	}
	return redirect(w, r, "/signin")
}

func (h *Handlers) endOtherSessions(w http.ResponseWriter, r *http.Request) error {
	if err := h.Store.EndOtherSessions(r.Context(), principal(r).UserID, principal(r).SessionID); err != nil {
		return err
	}
	return redirect(w, r, "/settings/profile?done=sessions")
}

func (h *Handlers) endSession(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.Store.EndSession(r.Context(), principal(r).UserID, id); err != nil {
		return err
	}
	return redirect(w, r, "/settings/profile?done=session")
}

func (h *Handlers) tokensPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderTokens(w, r, http.StatusOK, views.SettingsTokens{Days: "90"})
}

func (h *Handlers) renderTokens(w http.ResponseWriter, r *http.Request, status int, page views.SettingsTokens) error {
	tokens, err := h.Store.Tokens(r.Context(), principal(r).WorkspaceID, principal(r).UserID)
	if err != nil {
		return err
	}
	if page.Frame, err = h.settingsFrame(r, "API tokens"); err != nil {
		return err
	}
	page.Tokens, page.Now = tokens, time.Now()
	return h.render(w, r, status, page.Page())
}

// makeTokenByForm answers with the page that shows the token, not with a
// redirect: it is shown once and never in an address.
func (h *Handlers) makeTokenByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page := views.SettingsTokens{
		Name: strings.TrimSpace(r.PostForm.Get("name")), Scope: cronium.Scope(r.PostForm.Get("scope")), Days: r.PostForm.Get("days"),
	}
	var expires *time.Time
	if page.Days != "" {
		days, err := strconv.Atoi(page.Days)
		if err != nil || days < 1 || days > 3650 {
			page.Problems = cronium.Problems{{Field: "days", Message: "must be a number of days from 1 to 3,650, or empty for never"}}
			return h.renderTokens(w, r, http.StatusUnprocessableEntity, page)
		}
		at := time.Now().AddDate(0, 0, days)
		expires = &at
	}
	secret, _, err := h.makeToken(r, page.Name, page.Scope, expires)
	if err != nil {
		problems, _, status, ok := formProblems(w, err)
		if !ok {
			return err
		}
		page.Problems = problems
		return h.renderTokens(w, r, status, page)
	}
	return h.renderTokens(w, r, http.StatusOK, views.SettingsTokens{Secret: secret, Days: page.Days})
}

// makeToken makes an API token of the person who asks. secret is the token
// itself, which is not stored.
func (h *Handlers) makeToken(r *http.Request, name string, scope cronium.Scope, expires *time.Time) (secret string, token *cronium.Token, err error) {
	p := principal(r)
	problems := cronium.ValidateToken(name, scope, expires, time.Now())
	if len(problems) == 0 && scope == cronium.ScopeMetrics {
		problems.Add(p.MayIssue(scope), "scope", "metrics is for administrators of the whole instance, because the figures are of all workspaces")
	}
	if len(problems) == 0 {
		problems.Add(p.MayIssue(scope), "scope", "asks for more than your role here (%s) allows", p.Role)
	}
	if err := problems.Err("The token"); err != nil {
		return "", nil, err
	}
	secret, hash, prefix := auth.NewToken()
	token = &cronium.Token{
		ID: cronium.NewID(), WorkspaceID: p.WorkspaceID, UserID: p.UserID,
		Name: name, Prefix: prefix, Scope: scope, ExpiresAt: expires,
	}
	if err := h.Store.CreateToken(r.Context(), token, hash); err != nil {
		return "", nil, err
	}
	return secret, token, nil
}

func (h *Handlers) revokeTokenByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.Store.RevokeToken(r.Context(), principal(r).WorkspaceID, principal(r).UserID, id); err != nil {
		return err
	}
	return redirect(w, r, "/settings/tokens?done=revoked")
}
