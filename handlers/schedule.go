package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

const (
	calendarRows   = 200     // events in a calendar
	calendarCount  = 300_000 // instants to come that are counted for a calendar
	comingRows     = 8
	exceptionsRows = 50
)

// schedulePage is the calendar of a day or a week, or the list of schedules.
func (h *Handlers) schedulePage(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	page := views.SchedulePage{View: query.Get("view"), Query: strings.TrimSpace(query.Get("q")), Now: time.Now(), Zone: viewerZone(r), Sort: query.Get("sort")}
	var err error
	if page.Frame, err = h.counted(r, "Schedule", layout.NavSchedule); err != nil {
		return err
	}
	page.Live = "/live?topics=schedules,jobs"
	switch page.View {
	case "list":
		err = h.scheduleList(r, &page)
	case "week":
		err = h.calendar(r, &page)
	default:
		page.View = "day"
		err = h.calendar(r, &page)
	}
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

func (h *Handlers) scheduleList(r *http.Request, page *views.SchedulePage) error {
	filter := store.ScheduleFilter{Query: page.Query, Sort: store.SchedulesByNext, Limit: pageRows + 1}
	if page.Sort == string(store.SchedulesByEvent) {
		filter.Sort = store.SchedulesByEvent
	} else {
		page.Sort = ""
	}
	var after store.ScheduleCursor
	if given, err := decodeCursor(r.URL.Query().Get("after"), &after); given && err == nil {
		filter.After = &after
	}
	rows, err := h.Store.Schedules(r.Context(), principal(r).WorkspaceID, filter)
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		page.Next = encodeCursor(rows[pageRows-1].Cursor())
	}
	for i := range rows {
		page.Schedules = append(page.Schedules, h.scheduleRow(&rows[i]))
	}
	return err
}

// calendar fills in what ran and what will, in slots of time.
func (h *Handlers) calendar(r *http.Request, page *views.SchedulePage) error {
	page.From, page.To = calendarSpan(page.View, r.URL.Query().Get("day"), page.Now, page.Zone)
	if page.Width = 15 * time.Minute; page.View == "week" {
		page.Width = time.Hour
	}
	ctx, workspace := r.Context(), principal(r).WorkspaceID
	rows, err := h.Store.Schedules(ctx, workspace, store.ScheduleFilter{Query: page.Query, Sort: store.SchedulesByEvent, Active: true, Limit: -1})
	if err != nil {
		return err
	}
	c := &calendarPlan{SchedulePage: page, events: map[cronium.ID]*views.CalendarRow{}}
	for i := range rows {
		h.addToCalendar(c, &rows[i])
	}
	for _, u := range h.upcoming(rows, page.Now, page.Now.Add(24*time.Hour), comingRows) {
		page.Coming = append(page.Coming, views.UpcomingRow{At: u.At, Schedule: u.Row.ID, Event: u.Row.EventName})
	}
	if err := h.addPast(ctx, workspace, c); err != nil {
		return err
	}
	for _, id := range c.order {
		page.Rows = append(page.Rows, *c.events[id])
	}
	page.Load = c.load()
	if len(page.Rows) > calendarRows {
		page.Rows, page.Hidden = page.Rows[:calendarRows], len(page.Rows)-calendarRows
	}
	return nil
}

// calendarSpan is the time of a calendar: a day of a zone, which has 23 to 25
// hours, or the seven from a Monday on. A day that cannot be read is today.
func calendarSpan(view, day string, now time.Time, zone *time.Location) (from, to time.Time) {
	at, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil || at.Year() < 2000 || at.Year() > 2200 {
		at = now.In(zone)
	}
	days := 1
	year, month, number := at.Date()
	if view == "week" {
		number -= (int(at.Weekday()) + 6) % 7
		days = 7
	}
	return time.Date(year, month, number, 0, 0, 0, 0, zone), time.Date(year, month, number+days, 0, 0, 0, 0, zone)
}

// calendarPlan is a calendar while it is filled.
type calendarPlan struct {
	*views.SchedulePage
	order   []cronium.ID
	events  map[cronium.ID]*views.CalendarRow
	counted int
}

func (c *calendarPlan) slots() int { return int((c.To.Sub(c.From) + c.Width - 1) / c.Width) }

// slot finds the slot of a moment; nil where it is in none.
func (c *calendarPlan) slot(event cronium.ID, index int) *views.CalendarSlot {
	row := c.events[event]
	if row == nil || index < 0 || index >= len(row.Slots) {
		return nil
	}
	return &row.Slots[index]
}

// addToCalendar adds what is to come of a schedule.
func (h *Handlers) addToCalendar(c *calendarPlan, r *store.ScheduleRow) {
	row := c.events[r.EventID]
	if row == nil {
		row = &views.CalendarRow{EventID: r.EventID, Name: r.EventName, Slots: make([]views.CalendarSlot, c.slots())}
		c.events[r.EventID] = row
		c.order = append(c.order, r.EventID)
	}
	if row.Words != "" {
		row.Words += "; "
	}
	row.Words += h.shortWords(&r.Schedule)
	course := h.courseOf(r, c.Now)
	for ok := course != nil; ok && course.at.Before(c.To); ok = course.next() {
		if c.counted++; c.counted > calendarCount {
			c.Rough = true
			return
		}
		if !course.at.Before(c.From) {
			row.Slots[course.at.Sub(c.From)/c.Width].Comes++
		}
	}
}

// shortWords are a schedule's words for a row of the calendar.
func (h *Handlers) shortWords(s *cronium.Schedule) string {
	plan, err := h.plans.Of(s)
	if err != nil {
		return err.Error()
	}
	if s.Paused {
		return plan.Short() + " (paused)"
	}
	return plan.Short()
}

// addPast adds what ran, and what was late, skipped or missed.
func (h *Handlers) addPast(ctx context.Context, workspace cronium.ID, c *calendarPlan) error {
	if c.From.After(c.Now) {
		return nil
	}
	counts, err := h.Store.ScheduledJobs(ctx, workspace, c.From, c.To, c.Width)
	if err != nil {
		return err
	}
	for _, n := range counts {
		slot := c.slot(n.EventID, n.Slot)
		switch {
		case slot == nil:
		case !n.Status.Final():
			slot.Open += n.Count
		case n.Result == cronium.ResultSuccess:
			slot.Ran += n.Count
		case n.Result == cronium.ResultPartial || n.Result == cronium.ResultCancelled:
			slot.Trouble += n.Count
		default:
			slot.Failed += n.Count
		}
	}
	late := store.InstantFilter{From: c.From, To: c.To, Outcomes: []cronium.Outcome{cronium.OutcomeLate, cronium.OutcomeSkipped, cronium.OutcomeMissed}, Limit: 200}
	instants, err := h.Store.Instants(ctx, workspace, late)
	if err != nil {
		return err
	}
	for _, i := range instants {
		if slot := c.slot(i.EventID, int(i.At.Sub(c.From)/c.Width)); slot != nil && i.Outcome != cronium.OutcomeLate {
			slot.Trouble += i.Count
		}
	}
	failed, err := h.Store.FailedInstants(ctx, workspace, c.From, c.To, exceptionsRows)
	if err != nil {
		return err
	}
	c.Exceptions = instantRows(append(instants, failed...))
	slices.SortStableFunc(c.Exceptions, func(a, b views.InstantRow) int { return b.At.Compare(a.At) })
	c.Exceptions = c.Exceptions[:min(len(c.Exceptions), exceptionsRows)]
	return nil
}

// load is how much runs in each hour.
func (c *calendarPlan) load() []views.CalendarLoad {
	hours := int((c.To.Sub(c.From) + time.Hour - 1) / time.Hour)
	load := make([]views.CalendarLoad, hours)
	for i := range load {
		load[i].Start = c.From.Add(time.Duration(i) * time.Hour)
	}
	for _, row := range c.events {
		for i, s := range row.Slots {
			hour := &load[time.Duration(i)*c.Width/time.Hour]
			hour.Ran += s.Ran + s.Failed + s.Open
			hour.Comes += s.Comes
		}
	}
	return load
}
