package cronium

import "slices"

// Role is what a person is in one workspace.
type Role string

// The roles. Each may do what the next one may.
const (
	RoleAdmin  Role = "ADMIN"
	RoleUser   Role = "USER"
	RoleViewer Role = "VIEWER"
)

// Permission is one thing that a route may require.
type Permission string

// The permissions. Every route names exactly one.
const (
	PermissionPublic  Permission = "public"  // nobody need be signed in
	PermissionAccount Permission = "account" // any signed-in person, about themselves
	PermissionRead    Permission = "read"    // see events, jobs, output
	PermissionRun     Permission = "run"     // start and cancel jobs
	PermissionWrite   Permission = "write"   // change events
	PermissionAdmin   Permission = "admin"   // the workspace's settings, engine, full network
	PermissionToken   Permission = "token"   // make and revoke one's own API tokens; never with a token
)

// Scope is what an API token may be used for.
type Scope string

// The scopes. Each includes the one before: run may read, write may run.
const (
	ScopeRead  Scope = "read"
	ScopeRun   Scope = "run"
	ScopeWrite Scope = "write"
)

// Scopes lists them from the least to the most.
var Scopes = []Scope{ScopeRead, ScopeRun, ScopeWrite}

var rolePermissions = map[Role][]Permission{
	RoleViewer: {PermissionPublic, PermissionAccount, PermissionRead, PermissionToken},
	RoleUser:   {PermissionPublic, PermissionAccount, PermissionRead, PermissionToken, PermissionRun, PermissionWrite},
	RoleAdmin:  {PermissionPublic, PermissionAccount, PermissionRead, PermissionToken, PermissionRun, PermissionWrite, PermissionAdmin},
}

var scopePermissions = map[Scope][]Permission{
	ScopeRead:  {PermissionPublic, PermissionAccount, PermissionRead},
	ScopeRun:   {PermissionPublic, PermissionAccount, PermissionRead, PermissionRun},
	ScopeWrite: {PermissionPublic, PermissionAccount, PermissionRead, PermissionRun, PermissionWrite},
}

// Allows tells whether the role may do all that the scope is for.
func (r Role) Allows(scope Scope) bool {
	for _, permission := range scopePermissions[scope] {
		if !slices.Contains(rolePermissions[r], permission) {
			return false
		}
	}
	return true
}

// Principal is who asks, in which workspace, and by what means.
type Principal struct {
	UserID      ID
	UserName    string
	Email       string
	WorkspaceID ID
	Role        Role
	TokenID     *ID    // set when a token was used
	TokenName   string // its name
	Scope       Scope  // of the token
}

// Can is the one check of what a principal may do: the role allows it and,
// where a token is used, the token's scope does too. A nil principal may only
// do what is public.
func (p *Principal) Can(permission Permission) bool {
	if p == nil {
		return permission == PermissionPublic
	}
	if !slices.Contains(rolePermissions[p.Role], permission) {
		return false
	}
	return p.TokenID == nil || slices.Contains(scopePermissions[p.Scope], permission)
}

// Trigger is what a job started by the principal is marked with.
func (p *Principal) Trigger() Trigger {
	if p.TokenID != nil {
		return TriggerAPI
	}
	return TriggerManual
}

// DisplayName names the principal in the record of what it did.
func (p *Principal) DisplayName() string {
	if p.TokenID != nil {
		return "token " + p.TokenName
	}
	return p.UserName
}
