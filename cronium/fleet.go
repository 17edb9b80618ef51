package cronium

import (
	"encoding/json"
	"regexp"
	"slices"
	"time"
)

// Fleet says on which servers an event runs, and in what order. It is used when
// the content's target is TargetServers.
type Fleet struct {
	Servers        []ID     `json:"servers,omitempty"`         // chosen one by one; or
	Selector       string   `json:"selector,omitempty"`        // an expression over tags, resolved when a job starts
	Strategy       Strategy `json:"strategy"`                  // in what order
	Parallel       int      `json:"parallel,omitempty"`        // PARALLEL: at once; ROLLING: hosts in a batch; 1 to 10,000
	PauseSeconds   int      `json:"pause_seconds,omitempty"`   // ROLLING: between batches, 0 to 86,400
	MaxFailures    int      `json:"max_failures,omitempty"`    // ROLLING, PARALLEL: more than so many failed targets stop the rest
	FailureUnit    string   `json:"failure_unit,omitempty"`    // "count" or "percent" of all targets; "" = no threshold
	Offline        Offline  `json:"offline"`                   // what becomes of a target that cannot be reached
	OfflineSeconds int      `json:"offline_seconds,omitempty"` // WAIT: how long, 1 to 604,800
	RunAs          string   `json:"run_as,omitempty"`          // user on the target; "" = the login
}

// The units of MaxFailures.
const (
	FailureCount   = "count"
	FailurePercent = "percent" // of all targets
)

// MaxTargets is how many servers one job may run on.
const MaxTargets = 10_000

var loginName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?$`)

// Validate checks what a version or a run says. Fields are those of the API, in
// "on".
func (f *Fleet) Validate() Problems {
	var p Problems
	f.validateChoice(&p)
	p.Add(slices.Contains(Strategies, f.Strategy), "on.strategy", "must be ALL, PARALLEL, ROLLING, ANY or FIRST")
	p.Add(f.Parallel >= 0 && f.Parallel <= MaxTargets, "on.parallel", "must be between 1 and 10,000")
	if f.Strategy == StrategyParallel || f.Strategy == StrategyRolling {
		p.Add(f.Parallel >= 1, "on.parallel", "must say on how many servers it runs at once, from 1")
	}
	p.Add(f.PauseSeconds >= 0 && f.PauseSeconds <= 86400, "on.pause_seconds", "must be between 0 and 86,400 (a day)")
	p.Add(slices.Contains([]string{"", FailureCount, FailurePercent}, f.FailureUnit), "on.failure_unit", "must be count or percent, or empty for no threshold")
	most := MaxTargets
	if f.FailureUnit == FailurePercent {
		most = 100
	}
	p.Add(f.MaxFailures >= 0 && f.MaxFailures <= most, "on.max_failures", "must be between 0 and %d", most)
	p.Add(slices.Contains(OfflinePolicies, f.Offline), "on.offline", "must be WAIT, SKIP or FAIL")
	p.Add(f.OfflineSeconds >= 0 && f.OfflineSeconds <= 604800, "on.offline_seconds", "must be between 1 and 604,800 (a week)")
	if f.Offline == OfflineWait {
		p.Add(f.OfflineSeconds >= 1, "on.offline_seconds", "must say how long a server is waited for, from 1 second")
	}
	p.Add(f.RunAs == "" || loginName.MatchString(f.RunAs), "on.run_as", "must be a user's name like deploy, or empty for the server's own")
	return p
}

func (f *Fleet) validateChoice(p *Problems) {
	p.Add(len(f.Servers) > 0 || f.Selector != "", "on.servers", "must name servers, unless on.selector chooses them")
	p.Add(len(f.Servers) == 0 || f.Selector == "", "on.selector", "must be empty when servers are named one by one")
	if f.Selector != "" {
		if _, err := ParseSelector(f.Selector); err != nil {
			p.Add(false, "on.selector", "cannot be read at %s", err)
		}
	}
	p.Add(len(f.Servers) <= MaxTargets, "on.servers", "must be at most 10,000")
	seen := make(map[ID]bool, len(f.Servers))
	for _, id := range f.Servers {
		p.Add(!seen[id], "on.servers", "names a server twice")
		seen[id] = true
	}
}

// Complete fills in what may be left out: all servers at once, and one that
// cannot be reached has failed.
func (f *Fleet) Complete() {
	if f.Strategy == "" {
		f.Strategy = StrategyAll
	}
	if f.Offline == "" {
		f.Offline = OfflineFail
	}
}

// Strategy is the order in which the targets of a job run.
type Strategy string

// The strategies.
const (
	StrategyAll      Strategy = "ALL"      // all at once
	StrategyParallel Strategy = "PARALLEL" // N at a time
	StrategyRolling  Strategy = "ROLLING"  // batches of N: the next begins when the last has ended, after a pause
	StrategyAny      Strategy = "ANY"      // one of them: the first that can be reached
	StrategyFirst    Strategy = "FIRST"    // one after the other until one succeeds
)

// Strategies lists them as a form shows them.
var Strategies = []Strategy{StrategyAll, StrategyParallel, StrategyRolling, StrategyAny, StrategyFirst}

// Offline says what becomes of a target that cannot be reached.
type Offline string

// The policies.
const (
	OfflineWait Offline = "WAIT" // for OfflineSeconds, then it has failed
	OfflineSkip Offline = "SKIP" // it does not count
	OfflineFail Offline = "FAIL"
)

// OfflinePolicies lists them as a form shows them.
var OfflinePolicies = []Offline{OfflineWait, OfflineSkip, OfflineFail}

// TargetStatuses lists them in the order of life.
var TargetStatuses = []TargetStatus{TargetWaiting, TargetQueued, TargetRunning, TargetSuccess, TargetFailure, TargetTimeout, TargetCancelled, TargetLost, TargetSkipped}

// TargetStatus is where one target of a job stands.
type TargetStatus string

// The life of a target: WAITING (for its turn) → QUEUED → RUNNING → one of the
// others, or QUEUED again for a retry. SKIPPED: it was not run, and its reason
// says why.
const (
	TargetWaiting   TargetStatus = "WAITING"
	TargetQueued    TargetStatus = "QUEUED"
	TargetRunning   TargetStatus = "RUNNING"
	TargetSuccess   TargetStatus = "SUCCESS"
	TargetFailure   TargetStatus = "FAILURE"
	TargetTimeout   TargetStatus = "TIMEOUT"
	TargetCancelled TargetStatus = "CANCELLED"
	TargetLost      TargetStatus = "LOST"
	TargetSkipped   TargetStatus = "SKIPPED"
)

// Final tells whether nothing can follow.
func (s TargetStatus) Final() bool {
	return s != TargetWaiting && s != TargetQueued && s != TargetRunning
}

// TargetServer is what a script is told of the server that it runs on.
type TargetServer struct {
	ID          ID                `json:"id"`
	Name        string            `json:"name"`
	Environment string            `json:"environment"`
	Tags        map[string]string `json:"tags"`
}

// JobTarget is one server that a job runs on.
type JobTarget struct {
	JobID       ID
	WorkspaceID ID
	ServerID    ID
	Position    int // from 0, in the order of release
	Kind        ServerKind
	Name        string // the server's when the job was resolved
	Status      TargetStatus
	Reason      string // why it waits, was skipped or failed, for a person
	Attempts    int
	NextAttempt *time.Time
	AwaySince   *time.Time // QUEUED: since when it could not be reached
	ExecutionID *ID        // the latest
	ExitCode    *int
	Output      json.RawMessage // what the script gave to output(); nil if nothing
	Condition   *bool           // what the script gave to setCondition()
	OutputHash  []byte          // of the latest execution's whole output, equal for equal outputs; nil: not known
	StartedAt   *time.Time
	FinishedAt  *time.Time
	Host        *TargetHost // nil: it has not begun
}

// TargetHost is what a server was when the latest attempt began there, as far as
// it was known.
type TargetHost struct {
	Platform     string `json:"platform,omitempty"`
	Arch         string `json:"arch,omitempty"`
	AgentVersion string `json:"agent_version,omitempty"`
	Environment  string `json:"environment,omitempty"`
	DiskTotal    int64  `json:"disk_total,omitempty"` // bytes
	DiskUsed     int64  `json:"disk_used,omitempty"`
}
