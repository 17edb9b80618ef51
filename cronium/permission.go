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
	PermissionPublic   Permission = "public"   // nobody need be signed in
	PermissionAccount  Permission = "account"  // any signed-in person, about themselves
	PermissionRead     Permission = "read"     // see events, jobs, output
	PermissionRun      Permission = "run"      // start and cancel jobs
	PermissionWrite    Permission = "write"    // change events
	PermissionAdmin    Permission = "admin"    // the workspace's settings, engine, full network, who its people are
	PermissionToken    Permission = "token"    // one's own ways in, API tokens and sessions; never with a token
	PermissionPeople   Permission = "people"   // add, change and remove people; never with a token
	PermissionTerminal Permission = "terminal" // open terminals on servers, see recordings, move files
	PermissionMetrics  Permission = "metrics"  // figures of the whole instance; for instance administrators
)

// Scope is what an API token may be used for.
type Scope string

// The scopes. Of the first four each includes the one before: run may read,
// write may run, admin may write. ScopeMetrics stands alone.
const (
	ScopeRead    Scope = "read"
	ScopeRun     Scope = "run"
	ScopeWrite   Scope = "write"
	ScopeAdmin   Scope = "admin"   // what only an administrator may; not what is never done with a token
	ScopeMetrics Scope = "metrics" // /metrics and nothing else, for Prometheus
)

// Scopes lists them from the least to the most, and ScopeMetrics.
var Scopes = []Scope{ScopeRead, ScopeRun, ScopeWrite, ScopeAdmin, ScopeMetrics}

var rolePermissions = map[Role][]Permission{
	RoleViewer: {PermissionPublic, PermissionAccount, PermissionRead, PermissionToken},
	RoleUser:   {PermissionPublic, PermissionAccount, PermissionRead, PermissionToken, PermissionRun, PermissionWrite},
	RoleAdmin:  {PermissionPublic, PermissionAccount, PermissionRead, PermissionToken, PermissionRun, PermissionWrite, PermissionAdmin, PermissionTerminal, PermissionPeople},
}

var scopePermissions = map[Scope][]Permission{
	ScopeRead:    {PermissionPublic, PermissionAccount, PermissionRead},
	ScopeRun:     {PermissionPublic, PermissionAccount, PermissionRead, PermissionRun},
	ScopeWrite:   {PermissionPublic, PermissionAccount, PermissionRead, PermissionRun, PermissionWrite},
	ScopeAdmin:   {PermissionPublic, PermissionAccount, PermissionRead, PermissionRun, PermissionWrite, PermissionAdmin, PermissionTerminal},
	ScopeMetrics: {PermissionPublic, PermissionAccount, PermissionMetrics},
}

// ScopeFor is the least scope with which the permission is given; "" for what
// is never done with a token.
func ScopeFor(permission Permission) Scope {
	for _, scope := range Scopes {
		if slices.Contains(scopePermissions[scope], permission) {
			return scope
		}
	}
	return ""
}

// Principal is who asks, in which workspace, and by what means.
type Principal struct {
	UserID        ID
	UserName      string
	Email         string
	WorkspaceID   ID
	Role          Role
	InstanceAdmin bool   // of the whole instance, whatever the role here
	SessionID     ID     // of the browser; zero when a token was used
	TokenID       *ID    // set when a token was used
	TokenName     string // its name
	Scope         Scope  // of the token
}

// Can is the one check of what a principal may do: the person may do it here
// and, where a token is used, the token's scope allows it too. A nil principal
// may only do what is public.
func (p *Principal) Can(permission Permission) bool {
	if p == nil {
		return permission == PermissionPublic
	}
	return p.mayAsPerson(permission) && (p.TokenID == nil || slices.Contains(scopePermissions[p.Scope], permission))
}

// mayAsPerson tells what the principal may do without a token.
func (p *Principal) mayAsPerson(permission Permission) bool {
	return slices.Contains(rolePermissions[p.Role], permission) || p.InstanceAdmin && permission == PermissionMetrics
}

// MayIssue tells whether the person may make tokens of the scope: whether they
// may do all that it is for.
func (p *Principal) MayIssue(scope Scope) bool {
	for _, permission := range scopePermissions[scope] {
		if !p.mayAsPerson(permission) {
			return false
		}
	}
	return slices.Contains(Scopes, scope)
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
