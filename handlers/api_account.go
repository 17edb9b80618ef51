package handlers

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
)

func (a *api) accountOperations() {
	add(a, operation{method: http.MethodGet, path: "/whoami", permission: cronium.PermissionAccount, id: "whoami", tag: "Account",
		summary: "Tell who asks, in which workspace, and what they may do"}, a.whoami)
	add(a, operation{method: http.MethodGet, path: "/tokens", permission: cronium.PermissionToken, id: "list-tokens", tag: "Account",
		summary: "List one's own API tokens", description: "For signed-in browsers; never with a token."}, a.listTokens)
	add(a, operation{method: http.MethodPost, path: "/tokens", permission: cronium.PermissionToken, id: "create-token", tag: "Account", status: http.StatusCreated,
		summary: "Make an API token", description: "The token is in this answer alone; it is not stored. For signed-in browsers; never with a token."}, a.createToken)
	add(a, operation{method: http.MethodDelete, path: "/tokens/{id}", permission: cronium.PermissionToken, id: "revoke-token", tag: "Account", status: http.StatusNoContent,
		summary: "Revoke an API token at once", description: "For signed-in browsers; never with a token."}, a.revokeToken)
}

type whoamiOutput struct {
	Body struct {
		UserID      cronium.ID           `json:"user_id"`
		Name        string               `json:"name"`
		Email       string               `json:"email"`
		WorkspaceID cronium.ID           `json:"workspace_id"`
		Role        cronium.Role         `json:"role" enum:"ADMIN,USER,VIEWER"`
		Instance    bool                 `json:"instance_admin" doc:"Administrator of the whole instance"`
		Token       *whoamiToken         `json:"token,omitempty" doc:"The token that was used, if one was"`
		Permissions []cronium.Permission `json:"permissions" doc:"What may be done in this way"`
	}
}

type whoamiToken struct {
	ID    cronium.ID    `json:"id"`
	Name  string        `json:"name"`
	Scope cronium.Scope `json:"scope" enum:"read,run,write,admin,metrics"`
}

func (a *api) whoami(ctx context.Context, _ *struct{}) (*whoamiOutput, error) {
	p := who(ctx)
	out := &whoamiOutput{}
	out.Body.UserID, out.Body.Name, out.Body.Email = p.UserID, p.UserName, p.Email
	out.Body.WorkspaceID, out.Body.Role, out.Body.Instance = p.WorkspaceID, p.Role, p.InstanceAdmin
	if p.TokenID != nil {
		out.Body.Token = &whoamiToken{*p.TokenID, p.TokenName, p.Scope}
	}
	for _, permission := range allPermissions {
		if p.Can(permission) {
			out.Body.Permissions = append(out.Body.Permissions, permission)
		}
	}
	return out, nil
}

type apiToken struct {
	ID         cronium.ID    `json:"id"`
	Name       string        `json:"name"`
	Prefix     string        `json:"prefix" doc:"The token's first characters, for recognising it"`
	Scope      cronium.Scope `json:"scope" enum:"read,run,write,admin,metrics"`
	CreatedAt  time.Time     `json:"created_at"`
	ExpiresAt  *time.Time    `json:"expires_at,omitempty"`
	LastUsedAt *time.Time    `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time    `json:"revoked_at,omitempty"`
	Token      string        `json:"token,omitempty" doc:"The token itself, when it is made and never again"`
}

func tokenOf(t *cronium.Token) apiToken {
	return apiToken{ID: t.ID, Name: t.Name, Prefix: t.Prefix, Scope: t.Scope, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastUsedAt: t.LastUsedAt, RevokedAt: t.RevokedAt}
}

type listTokensOutput struct {
	Body struct {
		Tokens []apiToken `json:"tokens"`
	}
}

func (a *api) listTokens(ctx context.Context, _ *struct{}) (*listTokensOutput, error) {
	tokens, err := a.Store.Tokens(ctx, who(ctx).WorkspaceID, who(ctx).UserID)
	if err != nil {
		return nil, err
	}
	out := &listTokensOutput{}
	out.Body.Tokens = make([]apiToken, 0, len(tokens))
	for i := range tokens {
		out.Body.Tokens = append(out.Body.Tokens, tokenOf(&tokens[i]))
	}
	return out, nil
}

type createTokenInput struct {
	request *http.Request
	Body    struct {
		Name      string     `json:"name,omitempty" doc:"Required"`
		Scope     string     `json:"scope,omitempty" enum:"read,run,write,admin,metrics" doc:"Required"`
		ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Never where it is not given"`
	}
}

// Resolve notes the request, of which makeToken reads who asks.
func (in *createTokenInput) Resolve(ctx huma.Context) []error {
	in.request, _ = humachi.Unwrap(ctx)
	return nil
}

type tokenOutput struct {
	Body apiToken
}

func (a *api) createToken(_ context.Context, in *createTokenInput) (*tokenOutput, error) {
	secret, token, err := a.makeToken(in.request, in.Body.Name, cronium.Scope(in.Body.Scope), in.Body.ExpiresAt)
	if err != nil {
		return nil, err
	}
	out := &tokenOutput{tokenOf(token)}
	out.Body.Token = secret
	return out, nil
}

type tokenInput struct {
	ID string `path:"id"`
}

func (a *api) revokeToken(ctx context.Context, in *tokenInput) (*struct{}, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.Store.RevokeToken(ctx, who(ctx).WorkspaceID, who(ctx).UserID, id)
}
