package cronium

import (
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AgentCode lets machines join: an agent that shows it gets a server of its own
// in the workspace. The code itself is not kept, only its hash.
type AgentCode struct {
	ID          ID
	WorkspaceID ID
	Name        string // of the server to be; "" = the machine's host name
	Environment string
	Tags        map[string]string
	ServerID    *ID // the server that the agent is for, when it exists already
	Uses        int // left, 0 to 10,000
	CreatedBy   string
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// Machine is what an agent tells of where it runs. Nothing of it is proved.
type Machine struct {
	Hostname string `json:"hostname"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Version  string `json:"version"` // of the agent
}

// Bounded is the machine with each text cut to what a table and a page take.
func (m Machine) Bounded() Machine {
	return Machine{Hostname: Printable(m.Hostname, 64), OS: Printable(m.OS, 64), Arch: Printable(m.Arch, 64), Version: Printable(m.Version, 64)}
}

// Printable is what of a text from elsewhere can be shown: its printable
// characters, at most so many.
func Printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return string([]rune(s)[:min(most, utf8.RuneCountInString(s))])
}

// AgentHolder is the server process that holds the connection of an agent.
type AgentHolder struct {
	Process  ID
	Hostname string
	Address  string // how other processes reach it, a URL; "" where they cannot
}

// EnrolledAgent is an agent as its key tells.
type EnrolledAgent struct {
	ServerID    ID
	WorkspaceID ID
	Name        string    // of the server
	KeySince    time.Time // when the key was made
	Refused     string    // why it may not connect (any more), for a person; "" = it may
}

// AgentKey is one key by which an agent is known.
type AgentKey struct {
	PublicKey []byte // Ed25519
	ServerID  ID
	CreatedAt time.Time
	UsedAt    *time.Time // the last connection
	ExpiresAt *time.Time // an old one, once its successor has been used
	RevokedAt *time.Time
	RevokedBy string
}

// Bounds of a code for agents.
const (
	MaxCodeUses = 10_000
	MaxCodeLife = 90 * 24 * time.Hour
	maxCodeTags = 50
)

// codeWord is what names, environments and tags of servers are made of. It keeps
// quotes and line ends out of the command lines and files that are shown for a
// code.
var codeWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Validate checks a code that shall be made. Field names in the problems are
// those of the API.
func (c *AgentCode) Validate(now time.Time) Problems {
	var p Problems
	p.Add(c.Name == "" || codeWord.MatchString(c.Name), "name", "must have 1 to 63 letters, digits, dots, hyphens and underscores, or be empty for the machine's host name")
	p.Add(c.Environment == "" || codeWord.MatchString(c.Environment), "environment", "must have 1 to 63 letters, digits, dots, hyphens and underscores, or be empty")
	p.Add(len(c.Tags) <= maxCodeTags, "tags", "must be at most %d", maxCodeTags)
	for key, value := range c.Tags {
		p.Add(codeWord.MatchString(key) && (value == "" || codeWord.MatchString(value)), "tags",
			"must be like role=web, with letters, digits, dots, hyphens and underscores on both sides; %q=%q is not", key, value)
	}
	p.Add(c.Uses >= 1 && c.Uses <= MaxCodeUses, "uses", "must be between 1 and 10,000")
	p.Add(c.Uses == 1 || c.ServerID == nil, "uses", "must be 1 for a server that exists already")
	p.Add(c.ExpiresAt.After(now) && !c.ExpiresAt.After(now.Add(MaxCodeLife+time.Minute)), "expires_at", "must be within the next 90 days")
	return p
}

// ServerNameOf makes the name of a server out of a host name: "web-1.example" as
// it is, anything else with what does not fit replaced; "server" if nothing is
// left.
func ServerNameOf(hostname string) string {
	name := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r == '.' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, hostname)
	name = strings.Trim(name, "-._")
	if name = strings.TrimRight(name[:min(len(name), 59)], "-._"); name == "" {
		return "server"
	}
	return name
}
