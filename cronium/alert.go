package cronium

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// AlertKind says what an alert watches.
type AlertKind string

// The kinds. AlertPing watches what runs elsewhere and has no event.
const (
	AlertFailing AlertKind = "FAILING" // the event failed Count times in a row
	AlertSlow    AlertKind = "SLOW"    // a run took Count times as long as usual, or more
	AlertSilent  AlertKind = "SILENT"  // the event did not succeed when it should have
	AlertPing    AlertKind = "PING"    // nothing called its address when it should have
)

// AlertKinds lists them.
var AlertKinds = []AlertKind{AlertFailing, AlertSlow, AlertSilent, AlertPing}

// AlertState is whether what an alert watches is as it should be.
type AlertState string

// The states.
const (
	AlertOK   AlertState = "OK"
	AlertOpen AlertState = "OPEN"
)

// UsualRuns is how many runs say what is usual; fewer than UsualLeast say
// nothing.
const (
	UsualRuns  = 20
	UsualLeast = 5
)

// Alert tells people, by tools, that something is wrong, once, and once that it
// is right again.
type Alert struct {
	ID          ID
	WorkspaceID ID
	EventID     *ID // nil with AlertPing
	Name        string
	Kind        AlertKind
	Count       int           // FAILING: in a row, 1 to 100; SLOW: times as long as usual, 2 to 100
	Every       time.Duration // SILENT and PING: it should be heard of that often; 0 with SILENT: by the event's schedules
	Grace       time.Duration // beyond that, up to 7 days
	Notify      []ToolAction  // at most 5
	Paused      bool
	State       AlertState
	Reason      string // of the state, for a person
	Since       *time.Time
	HeardAt     *time.Time // PING: the last call; SILENT: the last success
	StartedAt   *time.Time // PING: a start without an end
	Token       string     // PING: only where it was just made
	CreatedAt   time.Time
}

// Validate checks an alert before it is stored.
func (a *Alert) Validate() Problems {
	var p Problems
	n := utf8.RuneCountInString(a.Name)
	p.Add(strings.TrimSpace(a.Name) == a.Name && n >= 1 && n <= 120 && printable(a.Name), "name", "must have 1 to 120 printable characters, with no space at either end")
	p.Add(slices.Contains(AlertKinds, a.Kind), "kind", "must be FAILING, SLOW, SILENT or PING")
	p.Add((a.Kind == AlertPing) == (a.EventID == nil), "event_id", "must be an event, except for a PING, which has none")
	switch a.Kind {
	case AlertFailing:
		p.Add(a.Count >= 1 && a.Count <= 100, "count", "must be between 1 and 100 failures in a row")
	case AlertSlow:
		p.Add(a.Count >= 2 && a.Count <= 100, "count", "must be between 2 and 100 times the usual time")
	case AlertPing:
		p.Add(a.Every >= time.Minute, "every_seconds", "must be at least a minute")
	}
	p.Add(a.Every == 0 || a.Every >= time.Minute && a.Every <= 366*24*time.Hour, "every_seconds", "must be between a minute and 366 days")
	p.Add(a.Grace >= 0 && a.Grace <= 7*24*time.Hour, "grace_seconds", "must be between 0 and 7 days")
	p.Add(len(a.Notify) <= 5, "notify", "must be at most 5 actions")
	for i, t := range a.Notify {
		field := fmt.Sprintf("notify[%d]", i)
		p.Add(t.Tool != "" && t.Action != "", field, "must name a tool and an action")
		p.Add(len(t.Config) > 0 && validJSON(t.Config), field+".config", "must be JSON of at most 64 KiB")
	}
	return p
}

// Words is what the alert watches, in plain English.
func (a *Alert) Words() string {
	switch a.Kind {
	case AlertFailing:
		if a.Count == 1 {
			return "fails"
		}
		return fmt.Sprintf("fails %d times in a row", a.Count)
	case AlertSlow:
		return fmt.Sprintf("runs %d times as long as usual", a.Count)
	case AlertSilent:
		if a.Every == 0 {
			return "does not succeed by its schedule" + within(a.Grace)
		}
		return "does not succeed for " + spanWords(a.Every+a.Grace)
	}
	return "is not heard of for " + spanWords(a.Every+a.Grace)
}

func within(grace time.Duration) string {
	if grace == 0 {
		return ""
	}
	return " and " + spanWords(grace) + " more"
}

// spanWords writes a span in its largest whole unit.
func spanWords(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		one  string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.size && d%unit.size == 0 {
			if d == unit.size {
				return "1 " + unit.one
			}
			return fmt.Sprintf("%d %ss", d/unit.size, unit.one)
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}
