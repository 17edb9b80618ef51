package views

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// Run is the page at /jobs/{id}: one job, live.
type Run struct {
	layout.Frame
	Job        JobRow
	Content    cronium.Content     // of the version that ran
	Executions []cronium.Execution // by attempt
	Shown      *cronium.Execution  // the attempt on the page; nil before the first
	Chosen     bool                // the attempt was asked for: the page stays there
	Usual      time.Duration       // 0 = not known
	Artifacts  []cronium.Artifact  // of all attempts
	Followed   []FollowedRow       // what followed it
	LastGood   *LastGood           // set when the job failed and an earlier one succeeded
	LastLines  []string            // the end of the output, plain, for a failure
	Tab        string              // "output", "input", "result", "timeline", "version"
	Now        time.Time
}

// LastGood is the last job of the event that succeeded.
type LastGood struct {
	JobID     cronium.ID
	Version   int
	At        time.Time
	SameInput bool
}

type runTab struct{ name, label string }

func (p Run) tabs() []runTab {
	return []runTab{{"output", "Output"}, {"input", "Input"}, {"result", "Result"}, {"timeline", "Timeline"}, {"version", components.Capital(components.VersionWords(p.Job.Version))}}
}

func (p Run) tab() string {
	if slices.ContainsFunc(p.tabs(), func(t runTab) bool { return t.name == p.Tab }) {
		return p.Tab
	}
	return "output"
}

func (p Run) url() string { return "/jobs/" + p.Job.ID.String() }

func (p Run) eventURL() string { return "/events/" + p.Job.EventID.String() }

// attemptURL is the page with another attempt on it.
func (p Run) attemptURL(attempt int) string {
	if attempt == len(p.Executions) {
		return p.url()
	}
	return p.url() + "?attempt=" + strconv.Itoa(attempt)
}

func (p Run) failed() bool {
	return p.Job.Status.Final() && p.Job.Result != cronium.ResultSuccess && p.Job.Result != cronium.ResultCancelled
}

// why is what went wrong, in one or two sentences.
func (p Run) why() (list []string) {
	if p.Shown != nil {
		if text := components.HowItEnded(p.Shown, p.Content.Limits); text != "" && p.Shown.Status != cronium.ExecutionSuccess {
			list = append(list, text)
		}
		if p.Shown.Error != "" {
			list = append(list, p.Shown.Error)
		}
	}
	if p.Job.Error != "" && !slices.Contains(list, p.Job.Error) {
		list = append(list, p.Job.Error)
	}
	return list
}

// phase is one part of the bar and its words.
type phase struct {
	class string // queued, setup, run, cleanup
	label string
	took  time.Duration
	since time.Time // set while it goes on
	note  string
}

// noted is the phase's note behind its duration.
func (ph phase) noted() string {
	switch {
	case ph.note == "":
		return ""
	case ph.class == "setup":
		return " · " + ph.note
	}
	return " " + ph.note
}

// phases of the attempt shown, in order.
func (p Run) phases() []phase {
	queued := phase{class: "queued", label: "Queued"}
	if p.Shown == nil {
		if p.Job.FinishedAt != nil {
			queued.took = p.Job.FinishedAt.Sub(p.Job.QueuedAt())
		} else {
			queued.since = p.Job.QueuedAt()
		}
		return []phase{queued}
	}
	e := p.Shown
	from := p.Job.QueuedAt()
	if e.Attempt > 1 && e.Attempt <= len(p.Executions) && p.Executions[e.Attempt-2].FinishedAt != nil {
		from = *p.Executions[e.Attempt-2].FinishedAt
		queued.label = "Waited"
	}
	queued.took = e.CreatedAt().Sub(from)
	setup := phase{class: "setup", label: "Setup", took: e.Setup, note: string(e.Target)}
	if e.Warm {
		setup.note = "warm " + setup.note
	}
	if e.StartedAt == nil {
		if !e.Status.Final() {
			setup.since = e.CreatedAt()
			if e.Progress != "" {
				setup.note = e.Progress
			}
		}
		return []phase{queued, setup}
	}
	run := phase{class: "run " + components.ExecutionState(e.Status).Class, label: "Run", took: e.Run, note: "of " + components.Span(p.Content.Limits.Timeout())}
	if e.Status.Final() {
		run.note = ""
	} else {
		run.since = *e.StartedAt
		if e.Progress != "" {
			run.note = "· " + e.Progress
		}
	}
	list := []phase{queued, setup, run}
	if e.Cleanup > 0 {
		list = append(list, phase{class: "cleanup", label: "Cleanup", took: e.Cleanup})
	}
	return list
}

// segment is a phase drawn: units of a bar of 1,000.
type segment struct {
	class    string
	x, width string
	grows    bool
}

const (
	barWidth    = 1000.0
	leastOfBar  = 24.0 // the least that a phase takes, so that it can be seen
	growsAtMost = 0.97 // of what is left: a running phase never looks finished
)

// segments are the phases as parts of the bar. While the script runs, the bar
// is as long as it usually runs, or as its limit allows.
func (p Run) segments() (list []segment) {
	phases := p.phases()
	running := p.Shown != nil && p.Shown.StartedAt != nil && !p.Shown.Status.Final()
	var total time.Duration
	for _, ph := range phases {
		total += ph.took
	}
	left := barWidth
	if !running {
		left -= leastOfBar * float64(len(phases))
	}
	x := 0.0
	for _, ph := range phases {
		width := leastOfBar
		switch {
		case running && !ph.since.IsZero():
			width = (barWidth - x) * p.share(ph)
		case !running && total > 0:
			width += left * float64(ph.took) / float64(total)
		}
		if !running && !p.Job.Status.Final() {
			width = leastOfBar * 2
		}
		list = append(list, segment{ph.class, units(x), units(width), running && !ph.since.IsZero()})
		x += width
	}
	return list
}

// share is how much of what a running phase is expected to take has passed.
func (p Run) share(ph phase) float64 {
	// A run may begin while the page is made: after its now.
	passed, expected := max(float64(p.Now.Sub(ph.since)), 0), float64(p.expected())
	return min(passed/max(expected, passed*1.1), growsAtMost)
}

// expected is how long the run takes: as usual, else at most.
func (p Run) expected() time.Duration {
	if p.Usual > 0 {
		return p.Usual
	}
	return p.Content.Limits.Timeout()
}

// moment is one line of the timeline.
type moment struct {
	at   time.Time
	text string
}

func (p Run) timeline() []moment {
	j := &p.Job
	list := []moment{{j.QueuedAt(), "Accepted: started by " + components.StartedBy(&j.Job)}}
	for i := range p.Executions {
		e := &p.Executions[i]
		name := "Attempt " + strconv.Itoa(e.Attempt)
		list = append(list, moment{e.CreatedAt(), name + ": claimed, to run in " + components.Where(e.Target)})
		if e.StartedAt != nil {
			list = append(list, moment{*e.StartedAt, fmt.Sprintf("%s: the script started, after %s of setup", name, components.Duration(e.Setup))})
		}
		if e.FinishedAt != nil {
			text := components.HowItEnded(e, p.Content.Limits)
			if e.Status == cronium.ExecutionSuccess {
				text = "Success."
			}
			list = append(list, moment{*e.FinishedAt, name + ": " + text})
		}
	}
	if j.CancelledAt != nil {
		list = append(list, moment{*j.CancelledAt, "Cancel asked for by " + j.CancelledBy})
	}
	if j.NextAttempt != nil {
		list = append(list, moment{*j.NextAttempt, "The next attempt is due"})
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.at.Compare(b.at) })
	return list
}
