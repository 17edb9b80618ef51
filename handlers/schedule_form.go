package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/schedule"
	"cronium.dev/views"
)

// scheduleForm reads a schedule's form. change sets what it says; problems are
// the fields that cannot be read at all.
func scheduleForm(v url.Values) (form views.ScheduleForm, change func(*cronium.Schedule), problems cronium.Problems) {
	form = views.ScheduleForm{
		Name: strings.TrimSpace(v.Get("name")), Kind: v.Get("kind"), Expression: strings.TrimSpace(v.Get("expression")), Zone: strings.TrimSpace(v.Get("zone")),
		StartsAt: v.Get("starts_at"), EndsAt: v.Get("ends_at"), MaxRuns: v.Get("max_runs"), MissedLimit: v.Get("missed_limit"), Jitter: v.Get("jitter_seconds"),
		Missed: v.Get("missed"), Overlap: v.Get("overlap"), Input: lines(v.Get("input")),
	}
	read := formReader{problems: &problems}
	number := func(field, text string) int {
		if text == "" {
			return 0
		}
		return read.whole(field, text)
	}
	maxRuns, jitter := number("max_runs", form.MaxRuns), number("jitter_seconds", form.Jitter)
	limit := 0
	if form.Missed == string(cronium.MissedAll) {
		limit = read.whole("missed_limit", form.MissedLimit)
	}
	starts, ends := wallTime(form.StartsAt, form.Zone, "starts_at", &problems), wallTime(form.EndsAt, form.Zone, "ends_at", &problems)
	return form, func(s *cronium.Schedule) {
		s.Name, s.Kind, s.Expression, s.Zone = form.Name, cronium.ScheduleKind(form.Kind), form.Expression, form.Zone
		s.StartsAt, s.EndsAt, s.MaxRuns, s.JitterSeconds = starts, ends, maxRuns, jitter
		s.Missed, s.Overlap, s.Input = cronium.MissedPolicy(form.Missed), cronium.OverlapPolicy(form.Overlap), rawJSON(form.Input)
		if limit > 0 {
			s.MissedLimit = limit
		}
	}, problems
}

// wallTime reads what a field for a moment holds, by the clocks of a zone.
func wallTime(text, zone, field string, problems *cronium.Problems) *time.Time {
	if text == "" {
		return nil
	}
	location, err := schedule.Zone(zone)
	if err != nil {
		return nil // the zone's own problem
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, location); err == nil {
			return &t
		}
	}
	problems.Add(false, field, "must be a time like 2027-03-01T08:30")
	return nil
}

// explained says what a schedule means.
func (h *Handlers) explained(s *cronium.Schedule, now time.Time) views.ScheduleExplained {
	e := views.ScheduleExplained{Now: now, Zone: time.UTC, Empty: s.Expression == ""}
	if e.Empty {
		return e
	}
	plan, err := h.plans.Of(s)
	var problem *schedule.Problem
	if errors.As(err, &problem) {
		e.Problem = problem.Message
		return e
	}
	e.Words, e.Zone, e.Next = plan.Words(), plan.Zone(), plan.Upcoming(now, 5)
	return e
}

// explainSchedule says what is typed into a schedule's form.
func (h *Handlers) explainSchedule(w http.ResponseWriter, r *http.Request) error {
	_, change, problems := scheduleForm(r.URL.Query())
	now := time.Now()
	s := cronium.DefaultSchedule()
	change(&s)
	s.Anchor = now.Truncate(time.Minute)
	e := h.explained(&s, now)
	if len(problems) > 0 && e.Problem == "" && (problems[0].Field == "starts_at" || problems[0].Field == "ends_at") {
		e.Problem = problems[0].Message
	}
	return h.render(w, r, http.StatusOK, e.Content())
}

// viewerZone is the zone of whoever asks, as their browser has said.
func viewerZone(r *http.Request) *time.Location {
	if c, err := r.Cookie("zone"); err == nil && len(c.Value) <= 64 {
		if zone, err := schedule.Zone(c.Value); err == nil {
			return zone
		}
	}
	return time.UTC
}
