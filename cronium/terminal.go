package cronium

import "time"

// Terminal is one shell that a person opened on a server, or in a container of
// an event's image, with its recording.
type Terminal struct {
	ID          ID // also the session at the agent
	WorkspaceID ID
	ServerID    *ID    // nil: a container
	EventID     *ID    // whose image the container has
	Target      string // the name of either, as it was
	TargetRef   string // the container
	UserID      ID
	UserName    string
	Address     string // of the browser
	StartedAt   time.Time
	SeenAt      time.Time // when somebody was last connected to it
	EndedAt     *time.Time
	Ending      string // how it ended, for a person
	Bytes       int64  // of the shell's output that are recorded
	Width       int    // columns at the start
	Height      int    // rows
}

// TerminalLinger is how long a shell waits for a person whose connection was
// cut.
const TerminalLinger = 5 * time.Minute
