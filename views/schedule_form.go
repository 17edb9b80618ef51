package views

import (
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
	"cronium.dev/views/components"
)

// ScheduleForm is a schedule as its form holds it, also what cannot be read.
type ScheduleForm struct {
	Name, Kind, Expression, Zone string
	StartsAt, EndsAt             string // as clocks of the zone show it: "2027-03-01T08:30"
	MaxRuns, MissedLimit, Jitter string
	Missed, Overlap, Input       string
}

// wallLayout is how a browser's field for a moment writes it.
const wallLayout = "2006-01-02T15:04"

// ScheduleFormOf is the form of a schedule as it is stored.
func ScheduleFormOf(s *cronium.Schedule) ScheduleForm {
	zone, err := schedule.Zone(s.Zone)
	if err != nil {
		zone = time.UTC
	}
	moment := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.In(zone).Format(wallLayout)
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	return ScheduleForm{
		Name: s.Name, Kind: string(s.Kind), Expression: s.Expression, Zone: s.Zone, StartsAt: moment(s.StartsAt), EndsAt: moment(s.EndsAt),
		MaxRuns: number(s.MaxRuns), MissedLimit: strconv.Itoa(max(s.MissedLimit, 1)), Jitter: number(s.JitterSeconds),
		Missed: string(s.Missed), Overlap: string(s.Overlap), Input: string(s.Input),
	}
}

// more tells whether something is set that the form hides at first.
func (f ScheduleForm) more(problems cronium.Problems) bool {
	for _, field := range []string{"starts_at", "ends_at", "max_runs", "jitter_seconds", "input", "name"} {
		if len(components.ProblemsOf(problems, field)) > 0 {
			return true
		}
	}
	return f.StartsAt+f.EndsAt+f.MaxRuns+f.Jitter+f.Input+f.Name != ""
}

func kindOptions() []components.Option {
	return []components.Option{{Value: string(cronium.ScheduleCron), Label: "Cron"}, {Value: string(cronium.ScheduleInterval), Label: "Interval"}, {Value: string(cronium.ScheduleOnce), Label: "Once"}}
}

func overlapOptions() []components.Option {
	return []components.Option{
		{Value: string(cronium.OverlapAllow), Label: "Run both"}, {Value: string(cronium.OverlapSkip), Label: "Skip this one"},
		{Value: string(cronium.OverlapQueue), Label: "Let one wait"}, {Value: string(cronium.OverlapCancel), Label: "Cancel the last"},
	}
}

func missedOptions() []components.Option {
	return []components.Option{
		{Value: string(cronium.MissedSkip), Label: "Skip it"}, {Value: string(cronium.MissedOnce), Label: "Run once when back"}, {Value: string(cronium.MissedAll), Label: "Run each"},
	}
}

// optionLabel is what an option of a policy is called.
func optionLabel(options []components.Option, value string) string {
	for _, o := range options {
		if o.Value == value {
			return o.Label
		}
	}
	return value
}

// ScheduleExplained is what an expression means, or what is wrong with it.
type ScheduleExplained struct {
	Words   string
	Next    []time.Time
	Zone    *time.Location
	Problem string
	Empty   bool // nothing is typed
	Now     time.Time
}

// instant writes a moment as the clocks of a zone show it: "Tue 24 Nov 14:30".
func instant(t time.Time, zone *time.Location, now time.Time) string {
	t, layout := t.In(zone), "Mon 2 Jan 15:04"
	if t.Year() != now.In(zone).Year() {
		layout = "Mon 2 Jan 2006 15:04"
	}
	if t.Second() != 0 {
		layout += ":05"
	}
	return t.Format(layout)
}
