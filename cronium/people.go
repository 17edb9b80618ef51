package cronium

import (
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

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
	PasswordHash  string // Argon2id in PHC form; "" = none was set yet
	InstanceAdmin bool
	SessionEpoch  int // goes up to end all sessions
	CreatedAt     time.Time
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

// Session is a browser in which a person has signed in. The cookie's value is
// not kept, only its SHA-256.
type Session struct {
	ID          ID
	UserID      ID
	WorkspaceID ID
	BeganAt     time.Time
	UsedAt      time.Time // to ten minutes
	EndsAt      time.Time // in any case
	Address     string    // from which the person signed in
	Browser     string    // in words: "Firefox on Linux"
}

// PasswordLink lets a person set their password once, without the old one. The
// code is shown once to who makes it; its SHA-256 is kept.
type PasswordLink struct {
	Hash      []byte
	CreatedBy string // a person's name
	ExpiresAt time.Time
}

// Roles lists them from the least to the most.
var Roles = []Role{RoleViewer, RoleUser, RoleAdmin}

// ValidateRole checks a role that was asked for.
func ValidateRole(role Role) Problems {
	var p Problems
	p.Add(slices.Contains(Roles, role), "role", "must be ADMIN, USER or VIEWER")
	return p
}

// ValidatePerson checks a person's name and e-mail address.
func ValidatePerson(name, email string) Problems {
	p := ValidatePersonName(name)
	address, err := mail.ParseAddress(email)
	p.Add(err == nil && address.Address == email && len(email) <= 254 && strings.ToLower(email) == email && printable(email),
		"email", "must be an e-mail address like mira@example.com")
	return p
}

// ValidatePersonName checks a person's name alone.
func ValidatePersonName(name string) Problems {
	var p Problems
	n := utf8.RuneCountInString(name)
	p.Add(strings.TrimSpace(name) == name && n >= 1 && n <= 120 && printable(name), "name",
		"must have 1 to 120 printable characters, with no space at either end")
	return p
}

// ValidateToken checks what a new API token is asked to be, at the moment now.
func ValidateToken(name string, scope Scope, expires *time.Time, now time.Time) Problems {
	var p Problems
	n := utf8.RuneCountInString(name)
	p.Add(strings.TrimSpace(name) == name && n >= 1 && n <= 120 && printable(name), "name",
		"must have 1 to 120 printable characters, with no space at either end")
	p.Add(slices.Contains(Scopes, scope), "scope", "must be read, run, write, admin or metrics")
	p.Add(expires == nil || expires.After(now) && expires.Before(now.AddDate(10, 0, 0)), "expires_at",
		"must be in the future and within ten years, or left out for a token that does not expire")
	return p
}
