package views

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/diff"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// Fleet is the page at /jobs/{id} of a job on servers, live.
type Fleet struct {
	layout.Frame
	Job       JobRow
	Content   cronium.Content     // of the version that ran
	Targets   []cronium.JobTarget // in the order of their release; none before they were found
	Shown     *cronium.JobTarget  // the host whose output is on the page; nil: none yet
	Attempts  []cronium.Execution // of Shown, by attempt
	Execution *cronium.Execution  // the one of Attempts that is on the page; nil: none yet
	Groups    []FleetGroup        // hosts that ended in the same way with the same output
	Failures  []FleetGroup        // the first of those that did not succeed
	LastGood  *LastGood           // set when it did not succeed everywhere and an earlier job did
	Changed   []string            // what is another on the hosts that failed
	Compared  *FleetComparison    // two groups side by side; nil: none
	Tab       string              // "output", "all", "same", "hosts", "input", "version"
	Now       time.Time
	Artifacts []cronium.Artifact
}

// FleetGroup is hosts that ended in the same way and said the same.
type FleetGroup struct {
	Key     string // names it in an address
	Status  cronium.TargetStatus
	Exit    *int
	Reason  string
	Names   []string
	Lines   []string // of the output that they share: the first, or the last of failures
	Unknown bool     // whether they said the same is not known
}

// FleetComparison is the output of one group beside that of another.
type FleetComparison struct {
	A, B  string // keys
	rows  []diffRow
	Short bool // not all lines were compared
}

func (p Fleet) tabs() []runTab {
	return []runTab{{"output", "One host"}, {"all", "All, by time"}, {"same", "Same output"}, {"hosts", "Hosts"}, {"input", "Input"}, {"version", components.Capital(components.VersionWords(p.Job.Version))}}
}

func (p Fleet) tab() string {
	if slices.ContainsFunc(p.tabs(), func(t runTab) bool { return t.name == p.Tab }) {
		return p.Tab
	}
	return "output"
}

func (p Fleet) run() Run {
	return Run{Frame: p.Frame, Job: p.Job, Content: p.Content, LastGood: p.LastGood, Now: p.Now}
}

func (p Fleet) url() string { return "/jobs/" + p.Job.ID.String() }

func (p Fleet) partURL(part string) string { return p.url() + "?part=" + part }

func (p Fleet) hostURL(name string) string { return p.url() + "?host=" + url.QueryEscape(name) }

func (p Fleet) attemptURL(attempt int) string {
	return p.hostURL(p.Shown.Name) + "&attempt=" + strconv.Itoa(attempt)
}

// Tally is how many targets stand where.
func (p Fleet) Tally() (t cronium.Tally) {
	for i := range p.Targets {
		switch p.Targets[i].Status {
		case cronium.TargetWaiting:
			t.Waiting++
		case cronium.TargetQueued:
			t.Queued++
		case cronium.TargetRunning:
			t.Running++
		case cronium.TargetSuccess:
			t.Success++
		case cronium.TargetFailure:
			t.Failure++
		case cronium.TargetTimeout:
			t.Timeout++
		case cronium.TargetCancelled:
			t.Cancelled++
		case cronium.TargetLost:
			t.Lost++
		case cronium.TargetSkipped:
			t.Skipped++
		}
	}
	return t
}

// The words of the parts of a job on servers.
const (
	partSucceeded = "succeeded"
	partFailed    = "failed"
	partRunning   = "running"
	partCancelled = "cancelled"
	partSkipped   = "skipped"
	partWaiting   = "waiting"
)

func partOf(s cronium.TargetStatus) string {
	switch s {
	case cronium.TargetSuccess:
		return partSucceeded
	case cronium.TargetFailure, cronium.TargetTimeout, cronium.TargetLost:
		return partFailed
	case cronium.TargetRunning:
		return partRunning
	case cronium.TargetCancelled:
		return partCancelled
	case cronium.TargetSkipped:
		return partSkipped
	}
	return partWaiting
}

func (p Fleet) parts() []components.Part {
	t := p.Tally()
	return []components.Part{
		{Class: "is-success", Count: t.Success, Word: partSucceeded}, {Class: "is-failure", Count: t.Failure + t.Timeout + t.Lost, Word: partFailed},
		{Class: "is-running", Count: t.Running, Word: partRunning}, {Class: "is-waiting", Count: t.Cancelled, Word: partCancelled},
		{Class: "is-waiting", Count: t.Skipped, Word: partSkipped}, {Class: "is-waiting", Count: t.Waiting + t.Queued, Word: partWaiting},
	}
}

func (p Fleet) unsuccessful() int { t := p.Tally(); return t.Total() - t.Success }

// notes are what is said behind the counts.
func (p Fleet) notes() []string {
	t, on := p.Tally(), p.Content.On
	if len(p.Targets) == 0 || on == nil {
		return []string{"The servers are being found."}
	}
	list := []string{fmt.Sprintf("%s of %s done", components.Number(t.Total()-t.Open()), components.Number(t.Total()))}
	size := max(on.Parallel, 1)
	switch on.Strategy {
	case cronium.StrategyRolling:
		batches := (t.Total() + size - 1) / size
		begun := (t.Total() - t.Waiting + size - 1) / size
		list = append(list, fmt.Sprintf("batch %s of %s", components.Number(begun), components.Number(batches)), components.Number(size)+" at a time")
		if on.PauseSeconds > 0 {
			list = append(list, components.Span(time.Duration(on.PauseSeconds)*time.Second)+" between")
		}
	case cronium.StrategyParallel:
		list = append(list, components.Number(size)+" at a time")
	case cronium.StrategyAny:
		list = append(list, "one of them is enough")
	case cronium.StrategyFirst:
		list = append(list, "until it succeeds on one")
	}
	if on.FailureUnit == cronium.FailureCount {
		list = append(list, "stops after more than "+components.Count(on.MaxFailures, "failure", "failures"))
	} else if on.FailureUnit == cronium.FailurePercent {
		list = append(list, fmt.Sprintf("stops when more than %d %% have failed", on.MaxFailures))
	}
	return list
}

// hosts are the cells of the grid.
func (p Fleet) hosts() []components.Host {
	list := make([]components.Host, len(p.Targets))
	for i := range p.Targets {
		list[i] = p.host(&p.Targets[i])
	}
	return list
}

func (p Fleet) host(t *cronium.JobTarget) components.Host {
	return components.Host{ID: t.ServerID.String(), Name: t.Name, State: targetState(t), Part: partOf(t.Status), Shown: p.Shown != nil && p.Shown.ServerID == t.ServerID}
}

// Cell is a target as the page's grid takes its change.
func (p Fleet) Cell(t *cronium.JobTarget) components.HostChange {
	run := ""
	if t.ExecutionID != nil {
		run = t.ExecutionID.String()
	}
	return p.host(t).Change(run)
}

func targetState(t *cronium.JobTarget) components.State {
	state := components.TargetState(t.Status)
	switch {
	case t.Status != cronium.TargetQueued:
	case t.AwaySince != nil:
		return components.State{Class: "is-warning", Icon: "lost", Label: "Cannot be reached"}
	case t.NextAttempt != nil:
		return components.State{Class: "is-warning", Icon: "again", Label: "Retrying"}
	}
	return state
}

// took is how long a target has run, "" before.
func (p Fleet) took(t *cronium.JobTarget) string {
	if t.StartedAt == nil || t.FinishedAt == nil {
		return ""
	}
	return components.Duration(t.FinishedAt.Sub(*t.StartedAt))
}

// exitWords say how a target ended, where its status does not.
func exitWords(status cronium.TargetStatus, exit *int) string {
	if exit == nil || *exit == 0 || status == cronium.TargetSuccess {
		return ""
	}
	return "exit " + strconv.Itoa(*exit)
}

// whose are the hosts of a group in words.
func (g FleetGroup) whose() string {
	const most = 10
	if len(g.Names) > most {
		return strings.Join(g.Names[:most], ", ") + " and " + components.Number(len(g.Names)-most) + " more"
	}
	return strings.Join(g.Names, ", ")
}

// said sums the groups up: "22 hosts said this, 2 said that".
func (p Fleet) said() string {
	var words []string
	if n := len(p.Groups); n > 2 && len(p.Groups[0].Names) == 1 {
		return fmt.Sprintf("Each of %s hosts said something else", components.Number(n))
	}
	for i, g := range p.Groups {
		if i == 4 {
			words = append(words, "and "+components.Count(len(p.Groups)-i, "other group", "other groups"))
			break
		}
		if i == 0 {
			words = append(words, components.Count(len(g.Names), "host", "hosts")+" said this")
		} else {
			words = append(words, components.Number(len(g.Names))+" said that")
		}
	}
	return strings.Join(words, ", ")
}

// MostCompared is how many lines of two outputs are compared.
const MostCompared = 500

// Compare is the outputs of two groups side by side; a and b are their first
// lines, and short tells that there are more.
func Compare(keyA, keyB string, a, b []string, short bool) *FleetComparison {
	text := func(lines []string) string { return strings.Join(lines, "\n") + "\n" }
	c := &FleetComparison{A: keyA, B: keyB, Short: short}
	if text(a) != text(b) {
		c.rows = sideBySide(diff.Near(diff.Lines(text(a), text(b)), 3))
	}
	return c
}

// FleetDifferences says, in sentences, what all servers on which a job failed have
// and none of those on which it succeeded, as they were when the script began
// there.
func FleetDifferences(targets []cronium.JobTarget) []string {
	properties := []struct {
		words string
		of    func(*cronium.TargetHost) string
	}{
		{"run %s", func(h *cronium.TargetHost) string { return h.Platform }},
		{"are %s machines", func(h *cronium.TargetHost) string { return h.Arch }},
		{"have agent %s", func(h *cronium.TargetHost) string { return h.AgentVersion }},
		{"are in the environment %s", func(h *cronium.TargetHost) string { return h.Environment }},
		{"have a disk that is %s", func(h *cronium.TargetHost) string {
			if h.DiskTotal > 0 && h.DiskUsed*10 >= h.DiskTotal*9 {
				return "at least 90 % full"
			}
			return ""
		}},
	}
	var list []string
	for _, p := range properties {
		common, good := "", map[string]bool{}
		same, failed := true, 0
		for i := range targets {
			t := &targets[i]
			if t.Host == nil || !t.Status.Final() {
				continue
			}
			value := p.of(t.Host)
			if t.Status == cronium.TargetSuccess {
				good[value] = true
				continue
			}
			if failed++; failed > 1 && value != common {
				same = false
			}
			common = value
		}
		if failed > 0 && len(good) > 0 && same && common != "" && !good[common] {
			list = append(list, "All that failed "+fmt.Sprintf(p.words, common)+"; none that succeeded do.")
		}
	}
	return list
}
