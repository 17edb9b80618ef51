package handlers

import (
	"context"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) agentPageRoutes() []Route {
	page := func(method, pattern string, handle Handler) Route {
		return Route{Method: method, Pattern: pattern, Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: handle}
	}
	return []Route{
		page(http.MethodGet, "/servers/agents", h.agentsPage),
		page(http.MethodPost, "/servers/agents", h.makeAgentCodeByForm),
		page(http.MethodPost, "/servers/agents/{id}/delete", h.deleteAgentCodeByForm),
		page(http.MethodGet, "/servers/{id}/agent", h.serverAgentPage),
		page(http.MethodPost, "/servers/{id}/agent/code", h.reinstallAgent),
		page(http.MethodPost, "/servers/{id}/agent/revoke", h.revokeAgentByForm),
		page(http.MethodPost, "/servers/{id}/agent/update", h.updateAgentByForm),
	}
}

func (h *Handlers) agentsPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderAgents(w, r, http.StatusOK, views.Agents{Uses: "1", Hours: "1"})
}

func (h *Handlers) renderAgents(w http.ResponseWriter, r *http.Request, status int, page views.Agents) error {
	var err error
	if page.Frame, err = h.serversFrame(r, "Install an agent", serversCrumb()); err != nil {
		return err
	}
	if page.Codes, err = h.Store.AgentCodes(r.Context(), principal(r).WorkspaceID); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// makeAgentCodeByForm answers with the page that shows the code, not with a
// redirect: it is shown once and never in an address.
func (h *Handlers) makeAgentCodeByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	typed := func(name string) string { return strings.TrimSpace(r.PostForm.Get(name)) }
	page := views.Agents{Name: typed("name"), Environment: typed("environment"), Tags: typed("tags"), Uses: typed("uses"), Hours: typed("hours")}
	code := &cronium.AgentCode{Name: page.Name, Environment: page.Environment}
	var err error
	if code.Tags, err = cronium.ParseTags(page.Tags); err != nil {
		page.Problems.Add(false, "tags", "%v", err)
	}
	hours, err := strconv.Atoi(page.Hours)
	page.Problems.Add(err == nil && hours >= 1, "expires_at", "must be a number of hours")
	code.ExpiresAt = time.Now().Add(time.Duration(min(max(hours, 1), 3000)) * time.Hour)
	if code.Uses, err = strconv.Atoi(page.Uses); err != nil {
		page.Problems.Add(false, "uses", "must be a number between 1 and 10,000")
	}
	if len(page.Problems) > 0 {
		return h.renderAgents(w, r, http.StatusUnprocessableEntity, page)
	}
	secret, err := h.makeAgentCode(r.Context(), code)
	if problems, _, status, ok := formProblems(w, err); ok && len(problems) > 0 {
		page.Problems = problems
		return h.renderAgents(w, r, status, page)
	}
	if err != nil {
		return err
	}
	page.Name, page.Uses = "", "1"
	page.Made = h.joinCommands(r, secret)
	return h.renderAgents(w, r, http.StatusOK, page)
}

// plainHost is what may stand in a command line and in YAML as it is.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?$`)

// joinCommands are what brings a machine here with a code. The address is the
// one that this page was asked for by, unless there is a configured one.
func (h *Handlers) joinCommands(r *http.Request, code string) *views.JoinCommands {
	commands := &views.JoinCommands{URL: h.Origin, Code: code}
	if commands.URL == "" {
		scheme := "http"
		if requestOf(r).secure {
			scheme = "https"
		}
		host := r.Host
		if !plainHost.MatchString(host) {
			host = "cronium.example"
		}
		commands.URL = scheme + "://" + host
	}
	for _, arch := range agentArchs {
		// An architecture that this server has no agent for is left out.
		if binary, err := h.Agents.Binary(arch); err == nil {
			label := map[string]string{"amd64": "On x86-64 (Intel, AMD)", "arm64": "On ARM64"}[arch]
			commands.Binaries = append(commands.Binaries, views.JoinBinary{Arch: arch, Label: label, Path: agentBinaryPath + arch, SHA256: binary.SHA256})
		}
	}
	return commands
}

func (h *Handlers) deleteAgentCodeByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.Store.DeleteAgentCode(r.Context(), principal(r).WorkspaceID, id); err != nil {
		return err
	}
	return redirect(w, r, "/servers/agents")
}

func (h *Handlers) serverAgentPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderServerAgent(w, r, nil)
}

func (h *Handlers) renderServerAgent(w http.ResponseWriter, r *http.Request, made *views.JoinCommands) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	server, err := h.Store.Server(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return err
	}
	page := views.ServerAgent{Server: *server, Made: made, Now: time.Now()}
	if page.Keys, err = h.Store.AgentKeys(r.Context(), principal(r).WorkspaceID, id); err != nil {
		return err
	}
	if page.Fault, err = h.Store.AgentUpdate(r.Context(), principal(r).WorkspaceID, id); err != nil {
		return err
	}
	page.Frame, err = h.serversFrame(r, "Agent", serversCrumb(), layout.Crumb{Label: server.Name, URL: "/servers/" + id.String()})
	if err != nil {
		return err
	}
	if r.URL.Query().Get("done") == "revoked" {
		page.Said = "The keys are revoked."
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// reinstallAgent makes a code with which an agent joins as a server that exists.
func (h *Handlers) reinstallAgent(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	code, err := h.makeAgentCode(r.Context(), &cronium.AgentCode{ServerID: &id, Uses: 1})
	if err != nil {
		return err
	}
	return h.renderServerAgent(w, r, h.joinCommands(r, code))
}

func (h *Handlers) updateAgentByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	return h.afterServer(w, r, "/servers/"+id.String(), h.retryAgentUpdate(r.Context(), id))
}

// retryAgentUpdate has the process that holds a server's agent bring it the new
// version once more.
func (h *Handlers) retryAgentUpdate(ctx context.Context, id cronium.ID) error {
	s, err := h.Store.Server(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return err
	}
	if err := h.Store.RetryAgentUpdate(ctx, s.WorkspaceID, id); err != nil {
		return err
	}
	h.serverChanged(ctx, "agent to be updated again", s)
	return nil
}

func (h *Handlers) revokeAgentByForm(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if _, err := h.revokeAgentOf(r.Context(), id); err != nil {
		return err
	}
	return redirect(w, r, "/servers/"+id.String()+"/agent?done=revoked")
}
