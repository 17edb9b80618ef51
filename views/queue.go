package views

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// Queue is the page at /queue: what waits in the workspace, for what, and what
// bounds it.
type Queue struct {
	layout.Frame
	Mode      cronium.QueueMode
	ChangedBy string // whoever changed mode or limits last; "" = nobody did
	ChangedAt time.Time
	Reasons   []QueueReason
	For       string // the reason that the list shows alone; one of QueueReasonWords, "" = all
	Rows      []QueueRow
	After     string // cursor of this page; "" on the first
	Next      string // cursor of the next page; "" on the last
	Now       time.Time
	Bulk      Bulk
	Form      LimitsForm
	Problems  cronium.Problems
}

// QueueReasonWords are the reasons as addresses have them.
var QueueReasonWords = []string{"turn", "concurrency", "group", "rate", "overlap", "quota", "paused"}

// QueueReason is how many jobs wait for one thing.
type QueueReason struct {
	Waiting     cronium.Waiting
	EventID     *cronium.ID
	EventName   string
	Group       string
	Jobs        int
	Running     int
	Limit       int
	NextAttempt *time.Time
}

// QueueRow is a job that waits.
type QueueRow struct {
	JobRow
	First bool // a person put it before others
}

// LimitsForm are the limits of a workspace as typed.
type LimitsForm struct{ Running, Queued, RateCount, RatePeriod string }

// LimitsFormOf fills the form with what holds.
func LimitsFormOf(l cronium.WorkspaceLimits) LimitsForm {
	period := time.Duration(l.Rate.Seconds) * time.Second
	if l.Rate.Count == 0 {
		period = time.Minute
	}
	return LimitsForm{Running: strconv.Itoa(l.Running), Queued: strconv.Itoa(l.Queued), RateCount: strconv.Itoa(l.Rate.Count), RatePeriod: components.Span(period)}
}

func (p Queue) url(reason, after string) templ.SafeURL {
	v := url.Values{}
	if reason != "" {
		v.Set("for", reason)
	}
	if after != "" {
		v.Set("after", after)
	}
	if len(v) == 0 {
		return "/queue"
	}
	return templ.URL("/queue?" + v.Encode())
}

// state is the queue's mode as a badge.
func (p Queue) state() components.State {
	switch p.Mode {
	case cronium.QueuePaused:
		return components.State{Class: "is-warning", Icon: "pause", Label: "Paused"}
	case cronium.QueueDraining:
		return components.State{Class: "is-warning", Icon: "stop", Label: "Draining"}
	}
	return components.State{Class: "is-success", Icon: "check", Label: "Open"}
}

// meaning says what the mode does.
func (p Queue) meaning() string {
	switch p.Mode {
	case cronium.QueuePaused:
		return "Jobs are accepted and none is started. What runs goes on."
	case cronium.QueueDraining:
		return "What waits is run and nothing new is accepted: Run, the API, webhooks and schedules are refused."
	}
	return "Jobs are accepted and run as their limits allow."
}

// waits is the number of jobs that wait.
func (p Queue) waits() (n int) {
	for _, r := range p.Reasons {
		n += r.Jobs
	}
	return n
}

func (r QueueReason) word() string {
	if r.Waiting == "" {
		return "turn"
	}
	return string(r.Waiting)
}

// words say what the jobs of the reason wait for.
func (r QueueReason) words() string {
	held := fmt.Sprintf("%s of %s run", components.Number(r.Running), components.Number(r.Limit))
	switch r.Waiting {
	case cronium.WaitingConcurrency:
		return "for a run of " + r.EventName + " to end: " + held
	case cronium.WaitingGroup:
		return "for a job of the group " + r.Group + " to end: " + held
	case cronium.WaitingOverlap:
		return "for the run before them, of the same schedule"
	case cronium.WaitingQuota:
		return "for any job of the workspace to end: " + held
	case cronium.WaitingRate:
		return "for the rate of " + r.EventName + " or of the workspace"
	case cronium.WaitingPaused:
		return "for the queue to be opened"
	}
	if r.NextAttempt != nil {
		return "for their next attempt"
	}
	return "for their turn"
}

// WaitingWords says in words what one job waits for.
func WaitingWords(j *cronium.Job) string {
	switch j.Waiting {
	case cronium.WaitingConcurrency:
		return "a running job of the same event to end"
	case cronium.WaitingGroup:
		return "a job of the group " + j.GroupKey + " to end"
	case cronium.WaitingOverlap:
		return "the run before it, of the same schedule"
	case cronium.WaitingQuota:
		return "another job of the workspace to end"
	case cronium.WaitingRate:
		return "the rate of starts"
	case cronium.WaitingPaused:
		return "the queue to be opened"
	}
	if j.NextAttempt != nil {
		return "its next attempt"
	}
	return "its turn"
}
