package cronium

import (
	"encoding/json"
	"slices"
	"time"
	"unicode/utf8"
)

// ScheduleKind says how a schedule's expression is to be read.
type ScheduleKind string

// The kinds.
const (
	ScheduleCron     ScheduleKind = "CRON"     // "*/15 8-18 * * 1-5", "@daily"
	ScheduleInterval ScheduleKind = "INTERVAL" // "90s", "1h30m"
	ScheduleOnce     ScheduleKind = "ONCE"     // "2027-03-01 08:30"
)

// ScheduleKinds lists them as a form shows them.
var ScheduleKinds = []ScheduleKind{ScheduleCron, ScheduleInterval, ScheduleOnce}

// MissedPolicy says what becomes of instants at which no server ran.
type MissedPolicy string

// The policies. With each of them the instants are recorded.
const (
	MissedSkip MissedPolicy = "SKIP" // nothing
	MissedOnce MissedPolicy = "ONCE" // one run, for the last of them
	MissedAll  MissedPolicy = "ALL"  // a run each, for the last MissedLimit of them
)

// MissedPolicies lists them.
var MissedPolicies = []MissedPolicy{MissedSkip, MissedOnce, MissedAll}

// OverlapPolicy says what becomes of an instant while the schedule's last job
// has not ended.
type OverlapPolicy string

// The policies.
const (
	OverlapAllow  OverlapPolicy = "ALLOW"  // both run
	OverlapSkip   OverlapPolicy = "SKIP"   // the new one does not
	OverlapQueue  OverlapPolicy = "QUEUE"  // the new one waits; one does at most
	OverlapCancel OverlapPolicy = "CANCEL" // the old one is cancelled, the new one starts when it has ended
)

// OverlapPolicies lists them.
var OverlapPolicies = []OverlapPolicy{OverlapAllow, OverlapSkip, OverlapQueue, OverlapCancel}

// Schedule says when an event runs by itself. An event may have several.
type Schedule struct {
	ID            ID
	WorkspaceID   ID
	EventID       ID
	Name          string // at most 120 characters; "" = its words
	Kind          ScheduleKind
	Expression    string
	Zone          string     // an IANA name; "" = UTC
	StartsAt      *time.Time // no instant before it
	EndsAt        *time.Time // no instant after it
	MaxRuns       int        // jobs in all, 0 = no limit
	Missed        MissedPolicy
	MissedLimit   int // with MissedAll: 1 to 1,000
	Overlap       OverlapPolicy
	JitterSeconds int             // each instant is fired up to that later: 0 to 3,600
	Input         json.RawMessage // of its jobs; nil = what the event says
	Paused        bool            // its instants are recorded and fire nothing
	Anchor        time.Time       // intervals are counted from here
	Runs          int             // jobs that it has fired
	LastJob       *ID
	NextAt        *time.Time // the next instant; nil: there is none any more
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// DefaultSchedule is what a new schedule is unless somebody says otherwise.
func DefaultSchedule() Schedule {
	return Schedule{Kind: ScheduleCron, Zone: "UTC", Missed: MissedSkip, MissedLimit: 10, Overlap: OverlapAllow}
}

// Validate checks what concerns the schedule alone. Whether its expression ever
// fires is package schedule's to say. Field names are those of the API.
func (s *Schedule) Validate() Problems {
	var p Problems
	p.Add(utf8.RuneCountInString(s.Name) <= 120 && printable(s.Name), "name", "must have at most 120 printable characters")
	p.Add(slices.Contains(ScheduleKinds, s.Kind), "kind", "must be CRON, INTERVAL or ONCE")
	p.Add(s.MaxRuns >= 0 && s.MaxRuns <= 1_000_000_000, "max_runs", "must be between 0 (no limit) and 1,000,000,000")
	p.Add(slices.Contains(MissedPolicies, s.Missed), "missed", "must be SKIP, ONCE or ALL")
	p.Add(s.Missed != MissedAll || s.MissedLimit >= 1 && s.MissedLimit <= 1000, "missed_limit", "must be between 1 and 1,000")
	p.Add(slices.Contains(OverlapPolicies, s.Overlap), "overlap", "must be ALLOW, SKIP, QUEUE or CANCEL")
	p.Add(s.JitterSeconds >= 0 && s.JitterSeconds <= 3600, "jitter_seconds", "must be between 0 and 3,600")
	p.Add(len(s.Input) <= MaxInputBytes && (len(s.Input) == 0 || json.Valid(s.Input) && utf8.Valid(s.Input)), "input",
		"must be JSON of at most 1 MiB, like {\"customer\": 7}, or empty for the event's own")
	return p
}

// Outcome is what became of an instant of a schedule.
type Outcome string

// The outcomes.
const (
	OutcomeFired   Outcome = "FIRED"
	OutcomeLate    Outcome = "LATE"    // fired, later than it was due
	OutcomeSkipped Outcome = "SKIPPED" // something forbade it
	OutcomeMissed  Outcome = "MISSED"  // no server ran
)

// Outcomes lists them.
var Outcomes = []Outcome{OutcomeFired, OutcomeLate, OutcomeSkipped, OutcomeMissed}

// Instant is one instant of a schedule, and what became of it. Several that were
// missed together are one, with the last of them in Last.
type Instant struct {
	ScheduleID  ID
	WorkspaceID ID
	At          time.Time
	Last        *time.Time // nil: it stands for itself alone
	Count       int        // 1, or how many were missed together
	Outcome     Outcome
	Job         *ID    // that it fired; of a skip, the job that was in the way
	Reason      string // for a person; "" of those that fired in time
	Decided     time.Time
}
