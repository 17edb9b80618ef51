package cronium

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fleetModel is a job whose targets live as the database keeps them.
type fleetModel struct {
	fleet     Fleet
	targets   []TargetStatus
	attempts  []int
	away      []bool
	cancelled bool
	stopped   bool // something was dropped
	result    Result
}

func (m *fleetModel) tally() Tally {
	var t Tally
	for i, s := range m.targets {
		switch s {
		case TargetWaiting:
			t.Waiting++
		case TargetQueued:
			t.Queued++
			if m.attempts[i] == 0 {
				t.Unstarted++
				if m.away[i] {
					t.Away++
				}
			}
		case TargetRunning:
			t.Running++
		case TargetSuccess:
			t.Success++
		case TargetFailure:
			t.Failure++
		case TargetTimeout:
			t.Timeout++
		case TargetCancelled:
			t.Cancelled++
		case TargetLost:
			t.Lost++
		case TargetSkipped:
			t.Skipped++
		}
	}
	return t
}

func (m *fleetModel) count(status TargetStatus) int {
	n := 0
	for _, s := range m.targets {
		if s == status {
			n++
		}
	}
	return n
}

// advance carries out what follows.
func (m *fleetModel) advance(t *rapid.T) {
	before := m.tally()
	step := Advance(m.fleet, before, m.cancelled)
	if step.Release > before.Waiting || step.Release < 0 {
		t.Fatalf("%+v releases %d of %d", m.fleet, step.Release, before.Waiting)
	}
	if step.Drop != "" && (step.Release > 0 || step.Reason == "") {
		t.Fatalf("a stop that releases, or has no reason: %+v", step)
	}
	if m.stopped && step.Release > 0 {
		t.Fatalf("released after a stop: %+v", step)
	}
	for i, s := range m.targets {
		unstarted := s == TargetWaiting || s == TargetQueued && m.attempts[i] == 0
		if step.Drop == TargetSkipped && unstarted || step.Drop == TargetCancelled && (unstarted || s == TargetQueued) {
			m.targets[i] = step.Drop
		}
		if s == TargetWaiting && step.Release > 0 {
			m.targets[i] = TargetQueued
			step.Release--
		}
	}
	m.stopped = m.stopped || step.Drop != ""
	m.result = step.Result
	if again := Advance(m.fleet, m.tally(), m.cancelled); again.Release > 0 || again.Drop != "" || again.Result != m.result {
		t.Fatalf("asked twice about %+v: %+v", m.tally(), again)
	}
	if (m.result != "") != (m.tally().Open() == 0) {
		t.Fatalf("result %q with %+v", m.result, m.tally())
	}
	if m.result == "" && m.tally().Queued+m.tally().Running == 0 {
		t.Fatalf("stuck: %+v with %+v", m.fleet, m.tally())
	}
}

func drawFleet(t *rapid.T) Fleet {
	return Fleet{
		Strategy:     rapid.SampledFrom(Strategies).Draw(t, "strategy"),
		Parallel:     rapid.IntRange(1, 6).Draw(t, "parallel"),
		PauseSeconds: rapid.IntRange(0, 3).Draw(t, "pause"),
		MaxFailures:  rapid.IntRange(0, 4).Draw(t, "failures"),
		FailureUnit:  rapid.SampledFrom([]string{"", FailureCount, FailurePercent}).Draw(t, "unit"),
	}
}

// Whatever becomes of its targets, a job ends, never runs on more servers at
// once than it may, and begins nothing after a stop.
func TestEveryFleetEndsWithinItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "targets")
		m := &fleetModel{fleet: drawFleet(t), attempts: make([]int, n), away: make([]bool, n)}
		m.targets = slices.Repeat([]TargetStatus{TargetWaiting}, n)
		m.advance(t)
		for step := 0; m.result == ""; step++ {
			if step > 20*n {
				t.Fatalf("does not end: %+v %v", m.fleet, m.targets)
			}
			m.happen(t)
			m.advance(t)
			m.bounds(t)
		}
	})
}

// happen lets something happen to one open target.
func (m *fleetModel) happen(t *rapid.T) {
	if rapid.IntRange(0, 40).Draw(t, "cancel") == 0 {
		m.cancelled = true
		return
	}
	var open []int
	for i, s := range m.targets {
		if s == TargetQueued || s == TargetRunning {
			open = append(open, i)
		}
	}
	i := rapid.SampledFrom(open).Draw(t, "target")
	if m.targets[i] == TargetQueued {
		switch what := rapid.IntRange(0, 4).Draw(t, "queued"); {
		case what == 0 && !m.away[i]:
			m.away[i] = true
		case what == 1 && m.attempts[i] == 0:
			m.targets[i] = rapid.SampledFrom([]TargetStatus{TargetSkipped, TargetFailure}).Draw(t, "unreachable")
		default:
			m.targets[i], m.away[i] = TargetRunning, false
			m.attempts[i]++
		}
		return
	}
	m.targets[i] = rapid.SampledFrom([]TargetStatus{TargetSuccess, TargetFailure, TargetTimeout, TargetLost, TargetQueued}).Draw(t, "end")
	if m.targets[i] == TargetQueued && m.attempts[i] > 3 {
		m.targets[i] = TargetFailure
	}
	if m.cancelled {
		m.targets[i] = TargetCancelled
	}
}

func (m *fleetModel) bounds(t *rapid.T) {
	active := m.tally().Queued + m.tally().Running
	switch m.fleet.Strategy {
	case StrategyParallel, StrategyRolling:
		if active > m.fleet.Parallel {
			t.Fatalf("%d at once, want at most %d", active, m.fleet.Parallel)
		}
	case StrategyFirst:
		if active > 1 {
			t.Fatalf("%d at once with FIRST", active)
		}
	case StrategyAny:
		if begun := len(m.targets) - m.count(TargetSkipped) - m.count(TargetWaiting); m.tally().Running > 0 && begun-m.unreachable() > 1 {
			t.Fatalf("ANY took %v", m.targets)
		}
	}
}

func (m *fleetModel) unreachable() int {
	n := 0
	for i, s := range m.targets {
		if s.Final() && s != TargetSkipped && m.attempts[i] == 0 {
			n++
		}
	}
	return n
}

func TestWhatFollowsForTheTargetsOfAJob(t *testing.T) {
	t.Parallel()
	rolling := Fleet{Strategy: StrategyRolling, Parallel: 3, PauseSeconds: 30, MaxFailures: 1, FailureUnit: FailureCount}
	percent := Fleet{Strategy: StrategyParallel, Parallel: 2, MaxFailures: 20, FailureUnit: FailurePercent}
	strategy := func(s Strategy) Fleet { return Fleet{Strategy: s, Parallel: 2} }
	for name, c := range map[string]struct {
		fleet     Fleet
		tally     Tally
		cancelled bool
		want      Step
	}{
		"all at once":                           {strategy(StrategyAll), Tally{Waiting: 7}, false, Step{Release: 7}},
		"parallel begins":                       {strategy(StrategyParallel), Tally{Waiting: 7}, false, Step{Release: 2}},
		"parallel fills up":                     {strategy(StrategyParallel), Tally{Waiting: 5, Running: 1, Success: 1}, false, Step{Release: 1}},
		"parallel is full":                      {strategy(StrategyParallel), Tally{Waiting: 5, Running: 1, Queued: 1}, false, Step{}},
		"the first batch":                       {rolling, Tally{Waiting: 7}, false, Step{Release: 3}},
		"a batch is not over":                   {rolling, Tally{Waiting: 4, Success: 2, Running: 1}, false, Step{}},
		"the next batch after a pause":          {rolling, Tally{Waiting: 4, Success: 3}, false, Step{Release: 3, After: 30 * time.Second}},
		"as many failures as may be":            {rolling, Tally{Waiting: 4, Success: 2, Failure: 1}, false, Step{Release: 3, After: 30 * time.Second}},
		"more failures than may be":             {rolling, Tally{Waiting: 4, Success: 1, Failure: 1, Lost: 1}, false, Step{Drop: TargetSkipped, Reason: "The job was stopped: it failed on 2 of 7 servers, and 1 may fail.", Result: ResultPartial}},
		"a fifth may fail":                      {percent, Tally{Waiting: 7, Success: 1, Failure: 2}, false, Step{Release: 2}},
		"more than a fifth":                     {percent, Tally{Waiting: 7, Running: 1, Failure: 3}, false, Step{Drop: TargetSkipped, Reason: "The job was stopped: it failed on 3 of 11 servers, and 20 % may fail."}},
		"any: one is tried":                     {strategy(StrategyAny), Tally{Waiting: 3}, false, Step{Release: 1}},
		"any: the next beside one away":         {strategy(StrategyAny), Tally{Waiting: 2, Queued: 1, Unstarted: 1, Away: 1}, false, Step{Release: 1}},
		"any: one is being reached":             {strategy(StrategyAny), Tally{Waiting: 2, Queued: 2, Unstarted: 2, Away: 1}, false, Step{}},
		"any: one was taken":                    {strategy(StrategyAny), Tally{Waiting: 2, Queued: 1, Unstarted: 1, Away: 1, Running: 1}, false, Step{Drop: TargetSkipped, Reason: "Another server was taken."}},
		"any: the one taken failed":             {strategy(StrategyAny), Tally{Skipped: 3, Failure: 1}, false, Step{Result: ResultFailure}},
		"first: the next after a failure":       {strategy(StrategyFirst), Tally{Waiting: 2, Failure: 1}, false, Step{Release: 1}},
		"first: one succeeded":                  {strategy(StrategyFirst), Tally{Waiting: 2, Failure: 1, Success: 1}, false, Step{Drop: TargetSkipped, Reason: "The script has succeeded on another server.", Result: ResultSuccess}},
		"cancelled":                             {strategy(StrategyParallel), Tally{Waiting: 2, Queued: 1, Running: 1, Success: 1}, true, Step{Drop: TargetCancelled, Reason: "Cancelled before it started."}},
		"cancelled, and nothing runs":           {strategy(StrategyParallel), Tally{Waiting: 2, Success: 1}, true, Step{Drop: TargetCancelled, Reason: "Cancelled before it started.", Result: ResultCancelled}},
		"cancelled, and one was not to be told": {strategy(StrategyAll), Tally{Success: 1, Lost: 1}, true, Step{Result: ResultCancelled}},
		"cancelled when all was done already":   {strategy(StrategyAll), Tally{Success: 2}, true, Step{Result: ResultSuccess}},
		"all succeeded":                         {strategy(StrategyAll), Tally{Success: 2, Skipped: 1}, false, Step{Result: ResultSuccess}},
		"they differ":                           {strategy(StrategyAll), Tally{Success: 2, Timeout: 1}, false, Step{Result: ResultPartial}},
		"all timed out":                         {strategy(StrategyAll), Tally{Timeout: 2, Skipped: 1}, false, Step{Result: ResultTimeout}},
		"none succeeded":                        {strategy(StrategyAll), Tally{Timeout: 2, Lost: 1}, false, Step{Result: ResultFailure}},
		"all skipped":                           {strategy(StrategyAll), Tally{Skipped: 3}, false, Step{Result: ResultFailure}},
	} {
		if got := Advance(c.fleet, c.tally, c.cancelled); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestAFleetThatCannotBeIsRefusedByField(t *testing.T) {
	t.Parallel()
	good := Fleet{Selector: "env=prod", Strategy: StrategyRolling, Parallel: 2, Offline: OfflineWait, OfflineSeconds: 60, RunAs: "deploy"}
	if p := good.Validate(); len(p) > 0 {
		t.Fatalf("refused: %v", p)
	}
	id := NewID()
	for field, change := range map[string]func(*Fleet){
		"on.servers":         func(f *Fleet) { f.Selector, f.Servers = "", []ID{id, id} },
		"on.selector":        func(f *Fleet) { f.Servers = []ID{id} },
		"on.strategy":        func(f *Fleet) { f.Strategy = "SOME" },
		"on.parallel":        func(f *Fleet) { f.Parallel = 0 },
		"on.pause_seconds":   func(f *Fleet) { f.PauseSeconds = -1 },
		"on.failure_unit":    func(f *Fleet) { f.FailureUnit = "dozen" },
		"on.max_failures":    func(f *Fleet) { f.FailureUnit, f.MaxFailures = FailurePercent, 101 },
		"on.offline":         func(f *Fleet) { f.Offline = "" },
		"on.offline_seconds": func(f *Fleet) { f.OfflineSeconds = 0 },
		"on.selector ":       func(f *Fleet) { f.Selector = "env=(" },
		"on.run_as":          func(f *Fleet) { f.RunAs = "root; reboot" },
	} {
		bad := good
		change(&bad)
		if p := bad.Validate(); len(p) != 1 || p[0].Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, p)
		}
	}
	none := good
	none.Selector = ""
	if p := none.Validate(); len(p) != 1 || p[0].Field != "on.servers" {
		t.Errorf("no servers at all: %v", p)
	}
}
