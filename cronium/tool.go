package cronium

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"
)

// ToolCredential is what a tool of a workspace acts with: an account of Slack,
// a mail server with its login. Its secret settings are in a Credential.
type ToolCredential struct {
	ID          ID
	WorkspaceID ID
	Tool        string          // its name, like "slack"
	Name        string          // 1 to 80 characters, one in a workspace
	Settings    json.RawMessage // those that are no secrets
	Hint        string          // what may be said of the secret ones: which of them are set
	PerMinute   int             // calls that may be sent in a minute, 1 to 6,000
	Failures    int             // in a row
	OpenUntil   *time.Time      // after several failures: nothing is sent before then
	LastError   string
	CreatedAt   time.Time
	UpdatedAt   time.Time
	UsedAt      *time.Time
}

// BreakAfter is how many calls fail in a row before nothing is sent for a while.
const BreakAfter = 5

// BreakFor is how long that is: 30 s, doubled with each further failure, to 15
// minutes.
func BreakFor(failures int) time.Duration {
	return min(30*time.Second<<min(max(failures-BreakAfter, 0), 10), 15*time.Minute)
}

// Validate checks what is the same for the credentials of all tools.
func (c *ToolCredential) Validate() Problems {
	var p Problems
	n := utf8.RuneCountInString(c.Name)
	p.Add(strings.TrimSpace(c.Name) == c.Name && n >= 1 && n <= 80 && printable(c.Name), "name", "must have 1 to 80 printable characters, with no space at either end")
	p.Add(c.PerMinute >= 1 && c.PerMinute <= 6000, "per_minute", "must be between 1 and 6,000")
	return p
}

// CallOrigin says why a tool was called.
type CallOrigin string

// The origins.
const (
	CallAction CallOrigin = "ACTION" // follows a job
	CallAlert  CallOrigin = "ALERT"
	CallScript CallOrigin = "SCRIPT" // a script asked for it
	CallTest   CallOrigin = "TEST"   // the test button
)

// CallStatus is where a call of a tool stands.
type CallStatus string

// The statuses.
const (
	CallWaiting CallStatus = "WAITING" // to be sent, for the first time or again
	CallSent    CallStatus = "SENT"
	CallFailed  CallStatus = "FAILED"
)

// ToolCall is one call of a tool, kept as it was made: the record of what was
// sent in a workspace's name.
type ToolCall struct {
	ID           ID // also the idempotency key, the same for each attempt
	WorkspaceID  ID
	Origin       CallOrigin
	By           string // an event's, an alert's or a person's name as it was
	EventID      *ID
	JobID        *ID
	AlertID      *ID
	Tool         string
	Action       string
	CredentialID ID
	Config       json.RawMessage // with values filled in
	Notes        string          // what was not as written: names without a value
	Status       CallStatus
	Attempts     int
	DueAt        time.Time // while WAITING: when it is sent, or sent again
	Answer       json.RawMessage
	Error        string // for a person: why the last attempt failed
	Took         time.Duration
	SentAt       *time.Time // when the last attempt ended
}

// MaxCallAttempts is how often a call is tried: over about five hours.
const MaxCallAttempts = 12

// CallPause is how long to wait after the nth failed attempt, from 1.
func CallPause(attempt int) time.Duration {
	return min(5*time.Second<<min(max(attempt-1, 0), 12), time.Hour)
}
