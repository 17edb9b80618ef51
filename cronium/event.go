package cronium

import (
	"encoding/json"
	"time"
)

// EventType is what an event's content is.
type EventType string

// The types that can be made today.
const (
	EventPython EventType = "PYTHON"
	EventNode   EventType = "NODEJS"
	EventBash   EventType = "BASH"
	EventHTTP   EventType = "HTTP_REQUEST" // one file, request.json, which package outbound/request reads
)

// EventTypes lists them as a form shows them.
var EventTypes = []EventType{EventPython, EventNode, EventBash, EventHTTP}

// ScriptTypes are those whose files a person writes.
var ScriptTypes = []EventType{EventPython, EventNode, EventBash}

// Label is the type's name for people.
func (t EventType) Label() string {
	switch t {
	case EventPython:
		return "Python"
	case EventNode:
		return "Node.js"
	case EventBash:
		return "Bash"
	case EventHTTP:
		return "HTTP request"
	}
	return string(t)
}

// Entry is the name of the file that a new event of the type runs.
func (t EventType) Entry() string {
	switch t {
	case EventNode:
		return "script.js"
	case EventBash:
		return "script.sh"
	case EventHTTP:
		return "request.json"
	}
	return "script.py"
}

// Command is how the type's entry file is run; {entry} stands for its path.
func (t EventType) Command() []string {
	switch t {
	case EventNode:
		return []string{"node", "{entry}"}
	case EventBash:
		return []string{"bash", "{entry}"}
	case EventHTTP:
		return []string{"cronium", "request", "{entry}"}
	}
	return []string{"python3", "{entry}"}
}

// EventStatus tells whether an event may fire.
type EventStatus string

// The statuses. A DRAFT runs only by Test run; PAUSED and ARCHIVED do not run.
const (
	EventDraft    EventStatus = "DRAFT"
	EventActive   EventStatus = "ACTIVE"
	EventPaused   EventStatus = "PAUSED"
	EventArchived EventStatus = "ARCHIVED"
)

// EventStatuses lists them.
var EventStatuses = []EventStatus{EventDraft, EventActive, EventPaused, EventArchived}

// Event is the unit of automation. What it does is in its versions.
type Event struct {
	ID          ID
	WorkspaceID ID
	Name        string // 1 to 120 characters, one in a workspace among those not archived
	Description string // at most 2,000 characters
	Type        EventType
	Status      EventStatus
	Version     int // the current one, from 1
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// EventVersion is an immutable copy of what an event was when it was saved.
type EventVersion struct {
	EventID    ID
	Number     int // from 1
	Content    Content
	Note       string // at most 500 characters: what was changed, by its author
	AuthorID   ID
	AuthorName string
	CreatedAt  time.Time
}

// Content is everything that a run depends on.
type Content struct {
	Files       []File          `json:"files"`
	Entry       string          `json:"entry"` // name of the file that is run
	Environment []Variable      `json:"environment,omitempty"`
	Stage       string          `json:"stage,omitempty"`        // the environment whose variables it reads, like prod; "" = those of all alone
	Input       json.RawMessage `json:"input,omitempty"`        // used when a run brings none
	InputSchema json.RawMessage `json:"input_schema,omitempty"` // JSON Schema 2020-12
	Target      TargetKind      `json:"target"`
	On          *Fleet          `json:"on,omitempty"`    // with TargetServers
	Image       string          `json:"image,omitempty"` // "" = the instance's runtime image
	Network     Network         `json:"network"`
	Limits      Limits          `json:"limits"`
	Priority    Priority        `json:"priority"`
	Concurrency int             `json:"concurrency,omitempty"` // running at once, 0 = no limit
	Group       *Group          `json:"group,omitempty"`       // nil = none
	Rate        Rate            `json:"rate,omitzero"`
	Retry       Retry           `json:"retry"`
	Then        []Action        `json:"then,omitempty"` // what follows its jobs
}

// Group is what jobs of several events, or some of one, have in common that must
// not run more than so many at once.
type Group struct {
	Key   string `json:"key"`   // 1 to 200 characters; {{input.customer}} stands for a value of the input
	Limit int    `json:"limit"` // 1 to 1,000 at once
}

// Rate bounds how often something starts: Count at once, then one in each share
// of Seconds. The zero Rate is no bound.
type Rate struct {
	Count   int `json:"count"`   // 0 to 100,000
	Seconds int `json:"seconds"` // 1 to 86,400 with a Count
}

// Limited tells whether something may keep jobs with this content from running at
// once, so that others may wait for their end.
func (c *Content) Limited() bool { return c.Concurrency > 0 || c.Group != nil || c.Rate.Count > 0 }

// File is one file of an event.
type File struct {
	Name    string `json:"name"` // relative, slash-separated
	Content string `json:"content"`
}

// Variable is one environment variable of an event.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Network is what a container may reach.
type Network string

// The networks. NetworkInternet reaches public addresses alone: not the host,
// not private, link-local or metadata ranges. NetworkFull is what the engine's
// bridge allows, and only administrators may choose it.
const (
	NetworkNone     Network = "none"
	NetworkInternet Network = "internet"
	NetworkFull     Network = "full"
)

// Networks lists them from the least to the most.
var Networks = []Network{NetworkNone, NetworkInternet, NetworkFull}

// Limits bound one execution. The agent enforces them.
type Limits struct {
	TimeoutSeconds int     `json:"timeout_seconds"` // of the run phase, 1 to 604,800
	MemoryMiB      int     `json:"memory_mib"`      // 16 to 65,536; files in the work directory count
	CPUs           float64 `json:"cpus"`            // 0.1 to 64
	Processes      int     `json:"processes"`       // 4 to 4,096
	DiskMiB        int     `json:"disk_mib"`        // of the work directory, 1 to MemoryMiB
	OutputMiB      int     `json:"output_mib"`      // stored output, 1 to 4,096
	// ArtifactMiB bounds the files that it keeps, together: 1 to 4,096; 0 = DefaultArtifactMiB.
	ArtifactMiB int `json:"artifact_mib,omitempty"`
}

// DefaultLimits is what a new event has.
func DefaultLimits() Limits {
	return Limits{TimeoutSeconds: 300, MemoryMiB: 256, CPUs: 1, Processes: 128, DiskMiB: 64, OutputMiB: 64, ArtifactMiB: DefaultArtifactMiB}
}

// Timeout is the limit of the run phase.
func (l Limits) Timeout() time.Duration { return time.Duration(l.TimeoutSeconds) * time.Second }

// NewContent is the content of a new event of the type: runnable as it is.
func NewContent(t EventType) Content {
	return Content{
		Files:    []File{{Name: t.Entry(), Content: starters[t]}},
		Entry:    t.Entry(),
		Target:   TargetContainer,
		Network:  NetworkInternet,
		Limits:   DefaultLimits(),
		Priority: PriorityNormal,
		Retry:    Retry{Attempts: 1, InitialSeconds: 10, Factor: 2, MaxSeconds: 600},
	}
}

var starters = map[EventType]string{
	EventPython: "import cronium\n\nprint(\"Hello from\", cronium.event()[\"name\"])\n",
	EventNode:   "const cronium = require(\"cronium\");\n\nconsole.log(\"Hello from\", cronium.event().name);\n",
	EventHTTP:   "{\n  \"method\": \"GET\",\n  \"url\": \"https://example.com/\"\n}\n",
	EventBash:   "source cronium.sh\n\necho \"Hello from $(cronium_event .name)\"\n",
}
