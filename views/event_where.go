package views

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
)

// FleetForm is the part of the editor's form that says on which servers an
// event runs, as it was typed.
type FleetForm struct {
	Choice      string   // "chosen" or "selector"
	Servers     []string // ids, in the order in which they run
	Selector    string
	Strategy    cronium.Strategy
	Parallel    string
	Pause       string // "10 s"
	MaxFailures string
	FailureUnit string // "", "count" or "percent"
	Offline     cronium.Offline
	OfflineFor  string // "10 min"
	RunAs       string
}

// fleetFormOf is the form of what is stored; nil: as it begins.
func fleetFormOf(f *cronium.Fleet) FleetForm {
	if f == nil {
		return FleetForm{Choice: "chosen", Strategy: cronium.StrategyAll, Parallel: "1", Pause: "0 s", MaxFailures: "0", Offline: cronium.OfflineFail, OfflineFor: "10 min"}
	}
	form := FleetForm{
		Choice: "selector", Selector: f.Selector, Strategy: f.Strategy, Parallel: strconv.Itoa(max(f.Parallel, 1)), Pause: span(float64(f.PauseSeconds)),
		MaxFailures: strconv.Itoa(f.MaxFailures), FailureUnit: f.FailureUnit, Offline: f.Offline, OfflineFor: span(float64(f.OfflineSeconds)), RunAs: f.RunAs,
	}
	if f.OfflineSeconds == 0 {
		form.OfflineFor = "10 min"
	}
	if f.Selector == "" {
		form.Choice = "chosen"
	}
	for _, id := range f.Servers {
		form.Servers = append(form.Servers, id.String())
	}
	return form
}

// ServerChoice is a server that may be chosen.
type ServerChoice struct {
	ID, Name string
	State    cronium.ServerState
	Words    string // its environment and tags, to be searched for
}

// chosenFirst are the servers as the form lists them: those that are chosen in
// their order, among them those that are gone, then the others.
func (p Event) chosenFirst() []ServerChoice {
	known := make(map[string]ServerChoice, len(p.Servers))
	for _, s := range p.Servers {
		known[s.ID] = s
	}
	var list []ServerChoice
	for _, id := range p.Form.On.Servers {
		s, there := known[id]
		if !there {
			s = ServerChoice{ID: id, Name: "archived or deleted: " + id, State: cronium.ServerUnknown}
		}
		list = append(list, s)
	}
	for _, s := range p.Servers {
		if !slices.Contains(p.Form.On.Servers, s.ID) {
			list = append(list, s)
		}
	}
	return list
}

// Matches are the servers that a selector chooses now.
type Matches struct {
	Selector string
	Servers  []ServerChoice
	Problem  string // why the selector cannot be read
}

// mostMatches is how many servers are named one by one.
const mostMatches = 100

func (m Matches) named() []ServerChoice { return m.Servers[:min(len(m.Servers), mostMatches)] }

func strategies() []components.Option {
	return []components.Option{
		{Value: string(cronium.StrategyAll), Label: "All at once", Help: "Every server begins as soon as it can"},
		{Value: string(cronium.StrategyParallel), Label: "So many at a time", Help: "One that has ended lets the next begin"},
		{Value: string(cronium.StrategyRolling), Label: "In batches", Help: "The next batch begins when the last has ended, after a pause"},
		{Value: string(cronium.StrategyAny), Label: "Any one", Help: "The first that can be reached; the others are skipped"},
		{Value: string(cronium.StrategyFirst), Label: "First that succeeds", Help: "One after the other until the script has succeeded on one"},
	}
}

func offlinePolicies() []components.Option {
	return []components.Option{
		{Value: string(cronium.OfflineFail), Label: "It has failed", Help: "The run says that it could not be reached"},
		{Value: string(cronium.OfflineWait), Label: "Wait for it", Help: "It is tried again for a time, then it has failed"},
		{Value: string(cronium.OfflineSkip), Label: "Skip it", Help: "It does not count"},
	}
}

// FleetWords say in plain words on which servers something runs and in what
// order. matching is how many a selector chooses now; below zero: not known.
func FleetWords(f *cronium.Fleet, matching int) []string {
	on := "On " + components.Count(len(f.Servers), "chosen server", "chosen servers")
	if f.Selector != "" {
		on = "On all servers that match " + f.Selector
		if matching >= 0 {
			on = "On " + components.Count(matching, "server that matches ", "servers that match ") + f.Selector
		}
	}
	limit := ""
	switch f.FailureUnit {
	case cronium.FailureCount:
		limit = ", stops after more than " + components.Count(f.MaxFailures, "failure", "failures")
	case cronium.FailurePercent:
		limit = fmt.Sprintf(", stops when more than %d %% have failed", f.MaxFailures)
	}
	if f.FailureUnit != "" && f.MaxFailures == 0 {
		limit = ", stops at the first failure"
	}
	switch f.Strategy {
	case cronium.StrategyAll:
		on += ", all at once."
	case cronium.StrategyParallel:
		on += fmt.Sprintf(", %s at a time%s.", components.Number(f.Parallel), limit)
	case cronium.StrategyRolling:
		on += ", in batches of " + components.Number(f.Parallel)
		if f.PauseSeconds > 0 {
			on += " with " + components.Span(time.Duration(f.PauseSeconds)*time.Second) + " between"
		}
		on += limit + "."
	case cronium.StrategyAny:
		on += ": on one of them, the first that can be reached."
	case cronium.StrategyFirst:
		on += ": one after the other until it has succeeded on one."
	}
	list := []string{on}
	switch f.Offline {
	case cronium.OfflineWait:
		list = append(list, "A server that cannot be reached is waited for, "+components.Span(time.Duration(f.OfflineSeconds)*time.Second)+".")
	case cronium.OfflineSkip:
		list = append(list, "A server that cannot be reached is skipped.")
	default:
		list = append(list, "A server that cannot be reached counts as failed.")
	}
	if f.RunAs != "" {
		list = append(list, "It runs as the user "+f.RunAs+".")
	}
	return list
}
