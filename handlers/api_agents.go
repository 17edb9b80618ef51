package handlers

import (
	"context"
	"encoding/hex"
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
)

func (a *api) agentOperations() {
	add(a, operation{method: http.MethodGet, path: "/agent-codes", permission: cronium.PermissionAdmin, id: "list-agent-codes", tag: "Servers",
		summary: "List the codes with which agents can still join"}, a.listAgentCodes)
	add(a, operation{method: http.MethodPost, path: "/agent-codes", permission: cronium.PermissionAdmin, id: "create-agent-code", tag: "Servers", status: http.StatusCreated,
		summary: "Make a code with which agents join", description: "The code is in this answer alone; only its hash is kept. On the machine: cronium-agent join URL --code CODE."}, a.createAgentCode)
	add(a, operation{method: http.MethodDelete, path: "/agent-codes/{id}", permission: cronium.PermissionAdmin, id: "delete-agent-code", tag: "Servers", status: http.StatusNoContent,
		summary: "Make a code useless", description: "Agents that have joined with it stay."}, a.deleteAgentCode)
	add(a, operation{method: http.MethodGet, path: "/servers/{id}/agent-keys", permission: cronium.PermissionAdmin, id: "list-agent-keys", tag: "Servers",
		summary: "List the keys by which a server's agent is known"}, a.listAgentKeys)
	add(a, operation{method: http.MethodPost, path: "/servers/{id}/update-agent", permission: cronium.PermissionAdmin, id: "update-agent", tag: "Servers",
		summary: "Try a failed update of an agent again", description: "The update of all agents has stopped at it and goes on with it. 409 where none has failed; agent_update_error of a server says why."}, a.updateAgent)
	add(a, operation{method: http.MethodPost, path: "/servers/{id}/revoke-agent", permission: cronium.PermissionAdmin, id: "revoke-agent", tag: "Servers",
		summary: "Revoke the keys of a server's agent", description: "It is cut off within seconds and may not come back, unless it joins anew with a code for this server. Scripts that run there go on, and their end is not known."}, a.revokeAgent)
}

type apiAgentCode struct {
	ID          cronium.ID        `json:"id"`
	Name        string            `json:"name,omitempty" doc:"Of the server to be; without it the machine's host name"`
	Environment string            `json:"environment,omitempty"`
	Tags        map[string]string `json:"tags"`
	ServerID    *cronium.ID       `json:"server_id,omitempty" doc:"The server that the agent is for, when it exists already"`
	Uses        int               `json:"uses" doc:"How many agents may still join with it"`
	CreatedBy   string            `json:"created_by"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   time.Time         `json:"expires_at"`
	Code        string            `json:"code,omitempty" doc:"The code itself, when it is made and never again"`
}

func agentCodeOf(c *cronium.AgentCode) apiAgentCode {
	return apiAgentCode{ID: c.ID, Name: c.Name, Environment: c.Environment, Tags: c.Tags, ServerID: c.ServerID,
		Uses: c.Uses, CreatedBy: c.CreatedBy, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt}
}

type agentCodesOutput struct {
	Body struct {
		Codes []apiAgentCode `json:"codes"`
	}
}

func (a *api) listAgentCodes(ctx context.Context, _ *struct{}) (*agentCodesOutput, error) {
	codes, err := a.Store.AgentCodes(ctx, who(ctx).WorkspaceID)
	if err != nil {
		return nil, err
	}
	out := &agentCodesOutput{}
	out.Body.Codes = make([]apiAgentCode, 0, len(codes))
	for i := range codes {
		out.Body.Codes = append(out.Body.Codes, agentCodeOf(&codes[i]))
	}
	return out, nil
}

type createAgentCodeInput struct {
	Body struct {
		Name        string            `json:"name,omitempty" doc:"Of the server to be; without it the machine's host name. Where it is taken, -2, -3, … is put after it"`
		Environment string            `json:"environment,omitempty" doc:"Like prod"`
		Tags        map[string]string `json:"tags,omitempty"`
		ServerID    *string           `json:"server_id,omitempty" doc:"A server that exists already and whose agent is installed anew; its earlier keys are revoked when the new agent joins"`
		Uses        int               `json:"uses,omitempty" default:"1" doc:"How many agents may join with it, 1 to 10,000"`
		ExpiresAt   *time.Time        `json:"expires_at,omitempty" doc:"Within 90 days; without it in an hour"`
	}
}

type agentCodeOutput struct {
	Body apiAgentCode
}

func (a *api) createAgentCode(ctx context.Context, in *createAgentCodeInput) (*agentCodeOutput, error) {
	c := &cronium.AgentCode{Name: in.Body.Name, Environment: in.Body.Environment, Tags: in.Body.Tags, Uses: in.Body.Uses}
	if in.Body.ServerID != nil {
		id, err := apiID(*in.Body.ServerID)
		if err != nil {
			return nil, err
		}
		c.ServerID = &id
	}
	if in.Body.ExpiresAt != nil {
		c.ExpiresAt = *in.Body.ExpiresAt
	}
	code, err := a.makeAgentCode(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &agentCodeOutput{agentCodeOf(c)}
	out.Body.Code = code
	return out, nil
}

// makeAgentCode makes a code for whoever asks. The code itself is returned and
// not kept.
func (h *Handlers) makeAgentCode(ctx context.Context, c *cronium.AgentCode) (string, error) {
	if h.Agents == nil {
		return "", cronium.Errorf(cronium.CodeUnavailable, "This server takes no agents.")
	}
	now := time.Now()
	if c.ExpiresAt.IsZero() {
		c.ExpiresAt = now.Add(time.Hour)
	}
	if err := c.Validate(now).Err("The code"); err != nil {
		return "", err
	}
	p := who(ctx)
	c.ID, c.WorkspaceID, c.CreatedBy = cronium.NewID(), p.WorkspaceID, p.UserName
	code, hash := h.Agents.NewCode()
	return code, h.Store.CreateAgentCode(ctx, c, hash)
}

type agentCodeInput struct {
	ID string `path:"id"`
}

func (a *api) deleteAgentCode(ctx context.Context, in *agentCodeInput) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.Store.DeleteAgentCode(ctx, who(ctx).WorkspaceID, id)
}

type apiAgentKey struct {
	PublicKey string     `json:"public_key" doc:"Ed25519, in hexadecimal digits"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at,omitempty" doc:"The beginning of the last connection"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When a newer key took its place"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	RevokedBy string     `json:"revoked_by,omitempty"`
}

type agentKeysOutput struct {
	Body struct {
		Keys []apiAgentKey `json:"keys"`
	}
}

func (a *api) listAgentKeys(ctx context.Context, in *agentCodeInput) (*agentKeysOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	keys, err := a.Store.AgentKeys(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	out := &agentKeysOutput{}
	out.Body.Keys = make([]apiAgentKey, 0, len(keys))
	for _, k := range keys {
		out.Body.Keys = append(out.Body.Keys, apiAgentKey{PublicKey: hex.EncodeToString(k.PublicKey), CreatedAt: k.CreatedAt,
			UsedAt: k.UsedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, RevokedBy: k.RevokedBy})
	}
	return out, nil
}

type revokeAgentOutput struct {
	Body struct {
		Revoked int `json:"revoked" doc:"How many keys were revoked now"`
	}
}

func (a *api) revokeAgent(ctx context.Context, in *agentCodeInput) (*revokeAgentOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	out := &revokeAgentOutput{}
	out.Body.Revoked, err = a.revokeAgentOf(ctx, id)
	return out, err
}

// revokeAgentOf revokes the keys of a server's agent and has all server processes
// look whom they hold.
func (h *Handlers) revokeAgentOf(ctx context.Context, server cronium.ID) (int, error) {
	p := who(ctx)
	revoked, err := h.Store.RevokeAgent(ctx, p.WorkspaceID, server, p.UserName)
	if err != nil {
		return 0, err
	}
	h.Hub.Publish(live.AgentsTopic, live.ServersTopic(p.WorkspaceID))
	h.Log.InfoContext(ctx, "the keys of an agent were revoked", "server", server, "by", p.UserID, "keys", revoked)
	return revoked, nil
}
