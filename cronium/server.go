package cronium

import (
	"slices"
	"strconv"
	"time"
)

// ServerKind says how a server is reached.
type ServerKind string

// The kinds. An installed agent dials in; nothing connects to its machine.
const (
	ServerSSH   ServerKind = "ssh"
	ServerAgent ServerKind = "agent"
)

// Target is the kind of target that an execution on the server has.
func (k ServerKind) Target() TargetKind { return TargetKind(k) }

// ServerState is how a server is now.
type ServerState string

// The states. BLOCKED: the host shows another key than the pinned one, and
// nothing connects to it until an administrator has decided.
const (
	ServerUnknown ServerState = "UNKNOWN"
	ServerOnline  ServerState = "ONLINE"
	ServerOffline ServerState = "OFFLINE"
	ServerBlocked ServerState = "BLOCKED"
)

// Server is a machine reached over SSH or through an agent installed on it.
type Server struct {
	ID           ID
	WorkspaceID  ID
	Name         string // 1 to 63 characters: letters, digits, ".", "_", "-"; one in a workspace among those not archived
	Kind         ServerKind
	Description  string            // at most 2,000 characters
	Environment  string            // "prod", "staging", …; "" = none
	Tags         map[string]string // at most 50
	Address      string            // ssh: host name or IP address
	Port         int               // ssh
	Login        string            // ssh: the user to sign in as
	CredentialID *ID               // ssh
	Jumps        []ID              // ssh: servers to go through, the first one first
	HostKey      []byte            // ssh: the pinned key in SSH's wire format; nil: not confirmed yet
	HostKeyBy    string
	HostKeyAt    *time.Time
	OfferedKey   []byte // ssh: another key that the host showed since
	OfferedAt    *time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
	ArchivedAt   *time.Time
	Version      int    // counts what persons have saved; a change names the one that it was made from
	ChangedBy    string // who saved it
}

// ChangedSince is the CodeConflict for a change that was made from an older
// version than s, which is stored: who saved s, and each field in which it is
// other than the change would make it.
func (s *Server) ChangedSince(change *Server) error {
	by := s.ChangedBy
	if by == "" {
		by = "Somebody"
	}
	e := &Error{Code: CodeConflict, Message: by + " has changed this server since you looked at it, so nothing of yours is stored. Compare, then save again to put yours in its place."}
	differs := func(field, now, yours string) {
		if now != yours {
			if now == "" {
				now = "empty"
			}
			e.Fields = append(e.Fields, FieldError{Field: field, Message: "is " + clip(now) + " now"})
		}
	}
	differs("name", s.Name, change.Name)
	differs("environment", s.Environment, change.Environment)
	differs("address", s.Address, change.Address)
	differs("port", strconv.Itoa(s.Port), strconv.Itoa(change.Port))
	differs("user", s.Login, change.Login)
	differs("tags", FormatTags(s.Tags), FormatTags(change.Tags))
	if !slices.Equal(s.Jumps, change.Jumps) {
		e.Fields = append(e.Fields, FieldError{Field: "jumps", Message: "are others now"})
	}
	if s.Description != change.Description {
		e.Fields = append(e.Fields, FieldError{Field: "description", Message: "is another now"})
	}
	if len(e.Fields) == 0 {
		e.Message += " What is not shown, like what it is signed in to with, may be other."
	}
	return e
}

// ServerStatus is how a server was when it was last heard of.
type ServerStatus struct {
	ServerID     ID
	State        ServerState
	Since        time.Time // of the state
	Error        string    // why it is OFFLINE or BLOCKED, for a person
	Holder       *ID       // the server process that is connected to it or watches it
	SeenAt       *time.Time
	Latency      time.Duration // of one question and answer
	Load1        float64
	CPUs         int
	MemoryTotal  int64 // bytes
	MemoryUsed   int64
	DiskTotal    int64
	DiskUsed     int64
	Uptime       time.Duration
	AgentVersion string
	OS           string
	Arch         string
	Platform     string
	ClockSkew    time.Duration // of the machine's clock against the server's
	Address      string        // from where an installed agent dialled in
	UpdateError  string        // why an installed agent was not updated, for a person; "" = it need not be
}
