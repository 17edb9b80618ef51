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
	PasswordHash  string // Argon2id in PHC form
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
	p.Add(slices.Contains(Scopes, scope), "scope", "must be read, run or write")
	p.Add(expires == nil || expires.After(now) && expires.Before(now.AddDate(10, 0, 0)), "expires_at",
		"must be in the future and within ten years, or left out for a token that does not expire")
	return p
}
