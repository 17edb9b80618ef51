package cronium

import "time"

// Workspace is the tenant: everything else belongs to exactly one.
type Workspace struct {
	ID   ID
	Slug string // lower-case letters, digits and dashes; "default" is made at the first start
	Name string
}

// User is a person. What they may do is in their memberships.
type User struct {
	ID            ID
	Email         string // lower case
	Name          string
	PasswordHash  string // Argon2id in PHC form
	InstanceAdmin bool
	SessionEpoch  int // goes up to end all sessions
	CreatedAt     time.Time
}

// Membership is a person's role in a workspace.
type Membership struct {
	WorkspaceID ID
	UserID      ID
	Role        Role
}

// Token is an API token. The token itself is shown once; its SHA-256 is kept.
type Token struct {
	ID          ID
	WorkspaceID ID
	UserID      ID
	Name        string
	Prefix      string // the first characters, for recognising it
	Scope       Scope
	CreatedAt   time.Time
	ExpiresAt   *time.Time // nil: never
	LastUsedAt  *time.Time // to the minute
	RevokedAt   *time.Time
}
