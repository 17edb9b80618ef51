package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // hosts without zones exist

	"cronium.dev/cronium"
)

// Spec says when something runs, as a person writes it: by a cron expression like
// "*/15 8-18 * * 1-5", "@daily" or "@every 90s", by an interval like "90s", "1h30m"
// or "2d", or once, at "2027-03-01 08:30" or a time with an offset as in RFC 3339.
type Spec struct {
	Kind       cronium.ScheduleKind
	Expression string
	Zone       string    // an IANA name; "" = UTC. CRON_TZ= in an expression comes before it
	Anchor     time.Time // from which intervals are counted where there is no Start
	Start      time.Time // no instant before it; zero = none
	End        time.Time // no instant after it; zero = none
}

// Problem says what is wrong with a Spec.
type Problem struct {
	Field   string // as in the API: "kind", "expression", "zone", "starts_at" or "ends_at"
	Message string // for a person
}

func (p *Problem) Error() string { return p.Message }

func problemf(field, format string, args ...any) *Problem {
	return &Problem{field, fmt.Sprintf(format, args...)}
}

// Of gives the plan of a schedule. Errors are *Problem.
func Of(s *cronium.Schedule) (*Plan, error) { return Parse(specOf(s)) }

func specOf(s *cronium.Schedule) Spec {
	spec := Spec{Kind: s.Kind, Expression: s.Expression, Zone: s.Zone, Anchor: s.Anchor}
	if s.StartsAt != nil {
		spec.Start = *s.StartsAt
	}
	if s.EndsAt != nil {
		spec.End = *s.EndsAt
	}
	return spec
}

// maxExpression bounds the text of an expression, in bytes.
const maxExpression = 500

// Plan gives the instants of a Spec. It never changes.
type Plan struct {
	spec  Spec
	zone  *time.Location
	cron  *cron         // nil: one of the two below
	every time.Duration // 0: once
	at    time.Time
}

// Parse reads a Spec. Errors are *Problem.
func Parse(s Spec) (*Plan, error) { return parse(s, Zone) }

func parse(s Spec, zone func(string) (*time.Location, error)) (*Plan, error) {
	s.Expression = strings.TrimSpace(s.Expression)
	if s.Expression == "" {
		return nil, problemf("expression", "Say when it runs.")
	}
	if len(s.Expression) > maxExpression {
		return nil, problemf("expression", "An expression has at most %d characters.", maxExpression)
	}
	p := &Plan{spec: s}
	text, err := p.locate(s, zone)
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case cronium.ScheduleCron:
		err = p.readCron(text)
	case cronium.ScheduleInterval:
		p.every, err = parseInterval(text)
	case cronium.ScheduleOnce:
		p.at, err = parseTime(text, p.zone)
	default:
		err = problemf("kind", "The kind must be CRON, INTERVAL or ONCE.")
	}
	if err != nil {
		return nil, err
	}
	return p, p.checkSpan()
}

// locate loads the zone, and gives the expression without the one in it.
func (p *Plan) locate(s Spec, zone func(string) (*time.Location, error)) (text string, err error) {
	text, name := s.Expression, s.Zone
	if s.Kind == cronium.ScheduleCron {
		for _, prefix := range []string{"CRON_TZ=", "TZ="} {
			rest, ok := strings.CutPrefix(text, prefix)
			if !ok {
				continue
			}
			if name, text, _ = strings.Cut(rest, " "); name == "" || strings.TrimSpace(text) == "" {
				return "", problemf("expression", "After %s there must be a time zone, a space and the expression, like %sEurope/Berlin 30 2 * * *.", prefix, prefix)
			}
			break
		}
	}
	p.zone, err = zone(name)
	return strings.TrimSpace(text), err
}

// Zone finds a time zone by its IANA name; "" is UTC. Errors are *Problem.
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, problemf("zone", "There is no time zone %q. Names look like Europe/Berlin, America/New_York or UTC.", name)
	}
	return zone, nil
}

func (p *Plan) readCron(text string) (err error) {
	name, rest, _ := strings.Cut(text, " ")
	if !strings.HasPrefix(text, "@") {
		p.cron, err = parseCron(text)
		return err
	}
	if everyAlias(text) {
		p.every, err = parseInterval(strings.TrimSpace(rest))
		return err
	}
	if strings.EqualFold(name, "@reboot") {
		return problemf("expression", "@reboot fires when a machine starts, which is no time. Let the machine call a webhook or the API when it has started.")
	}
	for _, known := range []struct{ name, fields string }{
		{"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
		{"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
	} {
		if strings.EqualFold(text, known.name) {
			p.cron, err = parseCron(known.fields)
			return err
		}
	}
	return problemf("expression", "%s is none of @hourly, @daily, @weekly, @monthly, @yearly and @every 90s.", text)
}

// everyAlias tells whether a cron expression is an interval.
func everyAlias(text string) bool {
	return len(text) >= len("@every") && strings.EqualFold(text[:len("@every")], "@every")
}

// checkSpan refuses a start and an end between which nothing fires.
func (p *Plan) checkSpan() error {
	start, end := p.spec.Start, p.spec.End
	switch {
	case end.IsZero():
		if p.every == 0 && p.cron == nil && p.at.Before(start) {
			return problemf("starts_at", "The start is after the only time at which it runs.")
		}
		return nil
	case !start.IsZero() && !end.After(start):
		return problemf("ends_at", "The end must be after the start.")
	case start.IsZero():
		if p.every == 0 && p.cron == nil && p.at.After(end) {
			return problemf("ends_at", "The end is before the only time at which it runs.")
		}
		return nil
	}
	if _, ok := p.Next(start.Add(-1)); !ok {
		return problemf("ends_at", "It would never run: nothing is due between the start and the end.")
	}
	return nil
}

// Zone is the time zone of the plan.
func (p *Plan) Zone() *time.Location { return p.zone }

// horizon is how far ahead instants are looked for. What can fire at all does so
// within it: a 29 February that is a certain weekday is 40 years away at most.
const horizon = 100 * 366 * 24 * time.Hour

// Next gives the first instant after a time, in UTC and whole seconds; false
// where there is none any more.
func (p *Plan) Next(after time.Time) (time.Time, bool) {
	if s := p.spec.Start; !s.IsZero() && after.Before(s) {
		after = s.Add(-1)
	}
	var next time.Time
	switch {
	case p.cron != nil:
		limit := after.Add(horizon)
		if end := p.spec.End; !end.IsZero() && end.Before(limit) {
			limit = end.Add(time.Second)
		}
		var ok bool
		if next, ok = p.cron.next(after, limit, p.zone); !ok {
			return time.Time{}, false
		}
	case p.every > 0:
		next = p.nextInterval(after)
	default:
		if next = p.at; !next.After(after) {
			return time.Time{}, false
		}
	}
	if end := p.spec.End; !end.IsZero() && next.After(end) {
		return time.Time{}, false
	}
	return next.UTC(), true
}

func (p *Plan) nextInterval(after time.Time) time.Time {
	anchor := p.spec.Start
	if anchor.IsZero() {
		anchor = p.spec.Anchor
	}
	first := anchor.Truncate(time.Second)
	if first.Before(anchor) {
		first = first.Add(time.Second)
	}
	if after.Before(first) {
		return first
	}
	// In seconds: a Duration holds 292 years alone.
	every := int64(p.every / time.Second)
	steps := (after.Unix()-first.Unix())/every + 1
	return time.Unix(first.Unix()+steps*every, 0)
}

// Upcoming gives the next instants after a time, at most n.
func (p *Plan) Upcoming(after time.Time, n int) []time.Time {
	var list []time.Time
	for len(list) < n {
		next, ok := p.Next(after)
		if !ok {
			break
		}
		list = append(list, next)
		after = next
	}
	return list
}
