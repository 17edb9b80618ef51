package cronium

import (
	"encoding/json"
	"time"
)

// Priority orders jobs that wait.
type Priority string

// The priorities, most urgent last.
const (
	PriorityLow      Priority = "LOW"
	PriorityNormal   Priority = "NORMAL"
	PriorityHigh     Priority = "HIGH"
	PriorityCritical Priority = "CRITICAL"
)

// Valid tells whether p is one of the four.
func (p Priority) Valid() bool {
	return p == PriorityLow || p == PriorityNormal || p == PriorityHigh || p == PriorityCritical
}

// JobStatus is where a job stands.
type JobStatus string

// The life of a job: QUEUED → CLAIMED → RUNNING → COMPLETED, FAILED or
// CANCELLED. A job that waits for its next attempt is QUEUED again.
const (
	JobQueued    JobStatus = "QUEUED"
	JobClaimed   JobStatus = "CLAIMED"
	JobRunning   JobStatus = "RUNNING"
	JobCompleted JobStatus = "COMPLETED"
	JobFailed    JobStatus = "FAILED"
	JobCancelled JobStatus = "CANCELLED"
)

// JobStatuses lists them in the order of life.
var JobStatuses = []JobStatus{JobQueued, JobClaimed, JobRunning, JobCompleted, JobFailed, JobCancelled}

// Final tells whether nothing can follow.
func (s JobStatus) Final() bool {
	return s == JobCompleted || s == JobFailed || s == JobCancelled
}

// Result is how a final job ended.
type Result string

// The results. PARTIAL: its targets differ.
const (
	ResultSuccess   Result = "SUCCESS"
	ResultFailure   Result = "FAILURE"
	ResultTimeout   Result = "TIMEOUT"
	ResultCancelled Result = "CANCELLED"
	ResultPartial   Result = "PARTIAL"
)

// JobStatus is the final status that belongs to the result.
func (r Result) JobStatus() JobStatus {
	switch r {
	case ResultSuccess:
		return JobCompleted
	case ResultCancelled:
		return JobCancelled
	}
	return JobFailed
}

// Trigger says what fired a job.
type Trigger string

// The triggers that exist. TriggerRerun is a run of an earlier job again.
const (
	TriggerManual Trigger = "MANUAL" // a person pressed Run
	TriggerAPI    Trigger = "API"    // a token called
	TriggerRerun  Trigger = "RERUN"
	TriggerTest   Trigger = "TEST" // Test run in the editor: an unsaved draft's version

	TriggerSchedule Trigger = "SCHEDULE" // Job.Source is the schedule, Job.FireAt the instant
	TriggerWebhook  Trigger = "WEBHOOK"  // Job.Source is the webhook
	TriggerEvent    Trigger = "EVENT"    // it follows another job, Job.Source
)

// Waiting is what keeps a QUEUED job from running, beyond its turn.
type Waiting string

// What a job may wait for.
const (
	WaitingConcurrency Waiting = "concurrency" // the event's limit of jobs at once
	WaitingGroup       Waiting = "group"       // that of its group
	WaitingRate        Waiting = "rate"        // so many starts in a time, of the event or the workspace
	WaitingOverlap     Waiting = "overlap"     // the run before it, of the same schedule
	WaitingQuota       Waiting = "quota"       // the workspace's limit of jobs at once
	WaitingPaused      Waiting = "paused"      // the workspace's queue is paused
)

// Job is one firing of an event.
type Job struct {
	ID          ID
	WorkspaceID ID
	EventID     ID
	Version     int // of the event
	Priority    Priority
	Status      JobStatus
	Result      Result // "" until final
	Trigger     Trigger
	TriggeredBy string     // a person's or a token's name as it was then
	RerunOf     *ID        // the job that this one repeats
	Source      *ID        // the schedule, webhook or job that fired it
	FireAt      *time.Time // the instant of a schedule that it is for
	Depth       int        // jobs before it in a chain of follow-ups
	GroupKey    string     // jobs of a workspace with the same key share GroupLimit; "" = none
	GroupLimit  int        // of the jobs with GroupKey run at once
	Alone       bool       // no other job with the same Source runs at the same time
	Follows     bool       // the version that it runs has actions, and it is no test run
	Input       json.RawMessage
	Output      json.RawMessage // what the script gave to output(); nil if nothing
	Condition   *bool           // what the script gave to setCondition()
	Attempts    int             // executions made so far
	NextAttempt *time.Time      // while QUEUED for a retry
	Waiting     Waiting         // why a QUEUED job waits beyond its turn; "" when it does not
	Error       string          // for a person: why it failed, beyond the exit code
	Servers     []ID            // chosen by the run itself; nil: what the version says
	Targets     int             // servers that it runs on; 0: none, or not resolved yet
	Succeeded   int             // of the targets so far
	Failed      int             // of the targets so far, in whatever way
	CancelledAt *time.Time      // when cancel was asked for; a state, not a message
	CancelledBy string
	ClaimedAt   *time.Time
	StartedAt   *time.Time
	FinishedAt  *time.Time
}

// QueuedAt is when the job was accepted.
func (j *Job) QueuedAt() time.Time { return IDTime(j.ID) }

// ExecutionStatus is where an execution stands.
type ExecutionStatus string

// The life of an execution: PENDING → RUNNING → one of the others. LOST: what
// ran it is gone and nobody can tell its end.
const (
	ExecutionPending   ExecutionStatus = "PENDING"
	ExecutionRunning   ExecutionStatus = "RUNNING"
	ExecutionSuccess   ExecutionStatus = "SUCCESS"
	ExecutionFailure   ExecutionStatus = "FAILURE"
	ExecutionTimeout   ExecutionStatus = "TIMEOUT"
	ExecutionCancelled ExecutionStatus = "CANCELLED"
	ExecutionLost      ExecutionStatus = "LOST"
)

// Final tells whether nothing can follow.
func (s ExecutionStatus) Final() bool {
	return s != ExecutionPending && s != ExecutionRunning
}

// Result is the result of a job whose only execution ended with s.
func (s ExecutionStatus) Result() Result {
	switch s {
	case ExecutionSuccess:
		return ResultSuccess
	case ExecutionTimeout:
		return ResultTimeout
	case ExecutionCancelled:
		return ResultCancelled
	}
	return ResultFailure
}

// TargetKind says where an execution runs.
type TargetKind string

// The targets that exist.
const (
	TargetContainer TargetKind = "container"
	TargetProcess   TargetKind = "process" // this machine without isolation; development only
	TargetServers   TargetKind = "servers" // of an event: those that its Fleet names; an execution has one of the two below
	TargetSSH       TargetKind = "ssh"     // a server reached over SSH
	TargetAgent     TargetKind = "agent"   // a server whose agent dials in
)

// Execution is one attempt of a job on one target.
type Execution struct {
	ID            ID
	WorkspaceID   ID
	JobID         ID
	Attempt       int // from 1
	Target        TargetKind
	ServerID      *ID    // with TargetSSH and TargetAgent
	TargetRef     string // what exactly was claimed there: container id and agent instance
	Status        ExecutionStatus
	Owner         *ID // the server process that drives it; nil: to be adopted
	ExitCode      *int
	Signal        int
	OutOfMemory   bool
	Error         string // for a person, beyond the exit code
	Progress      string // what is being waited for, for a person: before the start, or while the target is away
	StartedAt     *time.Time
	FinishedAt    *time.Time
	Warm          bool // taken from the pool
	Setup         time.Duration
	Run           time.Duration
	Cleanup       time.Duration
	CPU           time.Duration
	PeakMemory    int64 // bytes
	OutputBytes   int64 // stored, both streams
	OutputLines   int64 // line feeds stored
	OutputDropped int64 // bytes over the limit
	OutputBlocks  int   // rows that hold it
}

// CreatedAt is when the attempt was claimed.
func (e *Execution) CreatedAt() time.Time { return IDTime(e.ID) }

// Stream tells stdout from stderr.
type Stream int16

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Chunk is a piece of an execution's output as it was read: bytes of one stream.
type Chunk struct {
	Offset    int64         // of Data[0] in the whole output, both streams together
	FirstLine int64         // number (from 0) of the line that Data[0] belongs to
	At        time.Duration // since the execution's start
	Stream    Stream
	Data      []byte
}
