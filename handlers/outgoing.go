package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/outbound"
	"cronium.dev/views"
)

// maxAllowed bounds the allow list of a workspace.
const maxAllowed = 200

func (h *Handlers) outboundRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/settings/outgoing", Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: h.outboundPage},
		{Method: http.MethodPost, Pattern: "/settings/outgoing", Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: h.saveOutbound},
	}
}

func (a *api) outboundOperations() {
	add(a, operation{method: http.MethodGet, path: "/outgoing", permission: cronium.PermissionAdmin, id: "get-outgoing", tag: "Settings",
		summary: "What outgoing requests may reach beside the internet"}, a.getOutgoing)
	add(a, operation{method: http.MethodPut, path: "/outgoing", permission: cronium.PermissionAdmin, id: "set-outgoing", tag: "Settings",
		summary: "Replace the allow list for outgoing requests", description: "It counts at once for new connections, and for containers that are started from then on."}, a.setOutgoing)
}

func (h *Handlers) outboundPage(w http.ResponseWriter, r *http.Request) error {
	list, err := h.Store.OutboundAllow(r.Context(), principal(r).WorkspaceID)
	if err != nil {
		return err
	}
	return h.renderOutbound(w, r, http.StatusOK, views.SettingsOutbound{Allow: strings.Join(list.Entries, "\n"), ChangedBy: list.ChangedBy, ChangedAt: list.ChangedAt})
}

func (h *Handlers) renderOutbound(w http.ResponseWriter, r *http.Request, status int, page views.SettingsOutbound) error {
	var err error
	if page.Frame, err = h.settingsFrame(r, "Outgoing requests"); err != nil {
		return err
	}
	if r.URL.Query().Get("done") == "outgoing" {
		page.Said = "The list is saved."
	}
	return h.render(w, r, status, page.Page())
}

func (h *Handlers) saveOutbound(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	typed := lines(r.PostForm.Get("allow"))
	err := h.allowOutbound(r.Context(), entries(typed))
	if err == nil {
		return redirect(w, r, "/settings/outgoing?done=outgoing")
	}
	problems, _, status, ok := formProblems(w, err)
	if !ok {
		return err
	}
	return h.renderOutbound(w, r, status, views.SettingsOutbound{Allow: typed, Problems: problems})
}

// allowOutbound replaces the workspace's allow list.
func (h *Handlers) allowOutbound(ctx context.Context, list []string) error {
	p := who(ctx)
	var problems cronium.Problems
	problems.Add(len(list) <= maxAllowed, "allow", "must be at most %d", maxAllowed)
	if _, err := outbound.Parse(list); err != nil {
		problems.Add(false, "allow", "has an entry that cannot be read: %v", err)
	}
	if err := problems.Err("The list"); err != nil {
		return err
	}
	if err := h.Store.SetOutboundAllow(ctx, p.WorkspaceID, list, p.DisplayName()); err != nil {
		return err
	}
	h.Log.InfoContext(ctx, "allow list for outgoing requests changed", "workspace", p.WorkspaceID, "by", p.UserID, "allow", list)
	return nil
}

type outgoingOutput struct {
	Body struct {
		Allow     []string   `json:"allow" doc:"Addresses (10.0.0.5), ranges (10.0.0.0/8), names (wiki.example) and all names below one (*.corp.example)"`
		ChangedBy string     `json:"changed_by,omitempty"`
		ChangedAt *time.Time `json:"changed_at,omitempty"`
	}
}

func (a *api) getOutgoing(ctx context.Context, _ *struct{}) (*outgoingOutput, error) {
	list, err := a.Store.OutboundAllow(ctx, who(ctx).WorkspaceID)
	if err != nil {
		return nil, err
	}
	out := &outgoingOutput{}
	out.Body.Allow, out.Body.ChangedBy = append([]string{}, list.Entries...), list.ChangedBy
	if list.ChangedBy != "" {
		out.Body.ChangedAt = &list.ChangedAt
	}
	return out, nil
}

type setOutgoingInput struct {
	Body struct {
		Allow []string `json:"allow" doc:"All of it"`
	}
}

func (a *api) setOutgoing(ctx context.Context, in *setOutgoingInput) (*outgoingOutput, error) {
	if err := a.allowOutbound(ctx, in.Body.Allow); err != nil {
		return nil, err
	}
	return a.getOutgoing(ctx, nil)
}
