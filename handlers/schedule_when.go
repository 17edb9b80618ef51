package handlers

import (
	"net/http"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

func (h *Handlers) scheduleRoutes() []Route {
	page := func(method, pattern string, permission cronium.Permission, handle Handler) Route {
		return Route{Method: method, Pattern: pattern, Permission: permission, Kind: KindPage, Handle: handle}
	}
	return []Route{
		page(http.MethodGet, "/schedule", cronium.PermissionRead, h.schedulePage),
		page(http.MethodGet, "/schedule/explain", cronium.PermissionRead, h.explainSchedule),
		page(http.MethodGet, "/schedule/import", cronium.PermissionWrite, h.crontabPage),
		{Method: http.MethodPost, Pattern: "/schedule/import", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.importCrontab, MaxBody: importBytes},
		page(http.MethodGet, "/events/{id}/when", cronium.PermissionRead, h.whenPage),
		{Method: http.MethodPost, Pattern: "/events/{id}/when", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.addSchedule, MaxBody: 4 << 20},
		page(http.MethodGet, "/schedules/{id}", cronium.PermissionRead, h.scheduleOnePage),
		{Method: http.MethodPost, Pattern: "/schedules/{id}", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.saveSchedule, MaxBody: 4 << 20},
		page(http.MethodPost, "/schedules/{id}/pause", cronium.PermissionWrite, h.pauseSchedule),
		page(http.MethodPost, "/schedules/{id}/delete", cronium.PermissionWrite, h.deleteSchedule),
	}
}

// scheduleModules are what the form of a schedule needs in the browser.
func scheduleModules() []string { return []string{"js/dialog.js", "js/zones.js"} }

// eventWhen is the tab When of an event, with an empty form.
func (h *Handlers) eventWhen(r *http.Request) (views.EventWhen, error) {
	head, _, err := h.eventHead(r, "when")
	if err != nil {
		return views.EventWhen{}, err
	}
	page := views.EventWhen{EventHead: head}
	if page.Frame, err = h.eventFrame(r, &head.Event); err != nil {
		return page, err
	}
	page.Modules = scheduleModules()
	rows, err := h.Store.Schedules(r.Context(), principal(r).WorkspaceID, store.ScheduleFilter{Event: &head.Event.ID, Limit: -1})
	for i := range rows {
		page.Rows = append(page.Rows, h.scheduleRow(&rows[i]))
	}
	if err != nil {
		return page, err
	}
	webhooks, err := h.Store.Webhooks(r.Context(), principal(r).WorkspaceID, store.WebhookFilter{Event: &head.Event.ID})
	for i := range webhooks {
		page.Webhooks = append(page.Webhooks, webhookRowOf(&webhooks[i]))
	}
	fresh := cronium.DefaultSchedule()
	fresh.Zone = viewerZone(r).String()
	page.Form = views.ScheduleFormOf(&fresh)
	page.Explained.Empty = true
	if len(rows) == 1 {
		page.Explained = h.explained(&rows[0].Schedule, time.Now())
	}
	return page, err
}

func (h *Handlers) scheduleRow(r *store.ScheduleRow) views.ScheduleRow {
	row := views.ScheduleRow{Schedule: r.Schedule, Words: h.scheduleWords(&r.Schedule), EventName: r.EventName, EventStatus: r.EventStatus}
	if r.LastStatus != "" {
		row.Last = &cronium.Job{ID: *r.LastJob, Status: r.LastStatus, Result: r.LastResult, FireAt: r.LastFireAt}
	}
	return row
}

func (h *Handlers) whenPage(w http.ResponseWriter, r *http.Request) error {
	page, err := h.eventWhen(r)
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// addSchedule gives an event one more schedule.
func (h *Handlers) addSchedule(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page, err := h.eventWhen(r)
	if err != nil {
		return err
	}
	form, change, unread := scheduleForm(r.PostForm)
	s := cronium.DefaultSchedule()
	change(&s)
	s.EventID = page.Event.ID
	if err = unread.Err("The schedule"); err == nil {
		err = h.Store.CreateSchedule(r.Context(), principal(r).WorkspaceID, &s)
	}
	if err == nil {
		h.schedulesMoved(r.Context())
		return redirect(w, r, "/events/"+page.Event.ID.String()+"/when?done=scheduled")
	}
	problems, message, status, ok := fieldProblems(w, err)
	if !ok {
		return err
	}
	page.Form, page.Problems, page.Message = form, problems, message
	return h.render(w, r, status, page.Page())
}

// scheduleOne is the page of a schedule as it is stored.
func (h *Handlers) scheduleOne(r *http.Request) (views.ScheduleOne, error) {
	var page views.ScheduleOne
	id, err := pathID(r, "id")
	if err != nil {
		return page, err
	}
	workspace := principal(r).WorkspaceID
	s, err := h.Store.Schedule(r.Context(), workspace, id)
	if err != nil {
		return page, err
	}
	event, err := h.Store.Event(r.Context(), workspace, s.EventID)
	if err != nil {
		return page, err
	}
	page.Row = views.ScheduleRow{Schedule: *s, Words: h.scheduleWords(s), EventName: event.Name, EventStatus: event.Status}
	page.Form, page.Explained = views.ScheduleFormOf(s), h.explained(s, time.Now())
	filter := store.InstantFilter{Schedule: &id, Limit: pageRows + 1}
	var before instantCursor
	if given, err := decodeCursor(r.URL.Query().Get("before"), &before); given && err == nil {
		filter.Before, filter.BeforeSchedule = &before.At, before.Schedule
	}
	instants, err := h.Store.Instants(r.Context(), workspace, filter)
	if err != nil {
		return page, err
	}
	if len(instants) > pageRows {
		instants = instants[:pageRows]
		last := instants[pageRows-1]
		page.Older = encodeCursor(instantCursor{last.At, last.ScheduleID})
	}
	page.Instants = instantRows(instants)
	page.Frame, err = h.counted(r, page.Row.Words, layout.NavSchedule, layout.Crumb{Label: "Schedule", URL: "/schedule"})
	page.Modules = scheduleModules()
	return page, err
}

func instantRows(rows []store.InstantRow) []views.InstantRow {
	list := make([]views.InstantRow, 0, len(rows))
	for _, r := range rows {
		row := views.InstantRow{Instant: r.Instant, EventID: r.EventID, EventName: r.EventName, JobError: r.JobError}
		if r.JobStatus != "" && r.Outcome != cronium.OutcomeSkipped {
			state := components.JobState(&cronium.Job{Status: r.JobStatus, Result: r.JobResult})
			row.JobState = &state
		}
		list = append(list, row)
	}
	return list
}

func (h *Handlers) scheduleOnePage(w http.ResponseWriter, r *http.Request) error {
	page, err := h.scheduleOne(r)
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// saveSchedule changes a schedule to what its form holds.
func (h *Handlers) saveSchedule(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	page, err := h.scheduleOne(r)
	if err != nil {
		return err
	}
	form, change, unread := scheduleForm(r.PostForm)
	if err = unread.Err("The schedule"); err == nil {
		_, err = h.Store.ChangeSchedule(r.Context(), principal(r).WorkspaceID, page.Row.ID, change)
	}
	if err == nil {
		h.schedulesMoved(r.Context())
		return redirect(w, r, "/schedules/"+page.Row.ID.String()+"?done=saved")
	}
	problems, message, status, ok := fieldProblems(w, err)
	if !ok {
		return err
	}
	page.Form, page.Problems, page.Message = form, problems, message
	return h.render(w, r, status, page.Page())
}

// pauseSchedule pauses a schedule or lets it run on, and goes back to the page
// that asked.
func (h *Handlers) pauseSchedule(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	paused := r.PostForm.Get("paused") == "true"
	s, err := h.Store.ChangeSchedule(r.Context(), principal(r).WorkspaceID, id, func(s *cronium.Schedule) { s.Paused = paused })
	if err != nil {
		return err
	}
	h.schedulesMoved(r.Context())
	back := "/schedules/" + id.String()
	if r.PostForm.Get("back") == "/events/"+s.EventID.String()+"/when" {
		back = r.PostForm.Get("back")
	}
	return redirect(w, r, back+"?done=saved")
}

func (h *Handlers) deleteSchedule(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	workspace := principal(r).WorkspaceID
	s, err := h.Store.Schedule(r.Context(), workspace, id)
	if err != nil {
		return err
	}
	if err := h.Store.DeleteSchedule(r.Context(), workspace, id); err != nil {
		return err
	}
	h.schedulesMoved(r.Context())
	return redirect(w, r, "/events/"+s.EventID.String()+"/when?done=unscheduled")
}
