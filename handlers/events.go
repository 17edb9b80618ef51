package handlers

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) eventsRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/events", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.eventsPage},
		{Method: http.MethodPost, Pattern: "/events", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.makeEvent, MaxBody: formBytes},
		{Method: http.MethodGet, Pattern: "/events/new", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.newEventPage},
		{Method: http.MethodPost, Pattern: "/events/bulk", Permission: cronium.PermissionWrite, Kind: KindPage, Handle: h.eventsBulk},
	}
}

// eventsPage is the list of events.
func (h *Handlers) eventsPage(w http.ResponseWriter, r *http.Request) error {
	page, err := h.eventsList(r, r.URL.Query())
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// eventsList is the page of the list that a query asks for.
func (h *Handlers) eventsList(r *http.Request, query url.Values) (views.Events, error) {
	page := views.Events{Query: query.Get("q"), Sort: query.Get("sort"), Now: time.Now()}
	filter, problems := eventFilter(page.Query)
	page.Problems, filter.Limit = problems, pageRows+1
	if page.Sort == string(store.SortNewest) {
		filter.Sort = store.SortNewest
	}
	if filter.After = eventsCursor(query.Get("after")); filter.After != nil {
		page.After = query.Get("after")
	}
	var err error
	if page.Frame, err = h.counted(r, "Events", layout.NavEvents); err != nil {
		return page, err
	}
	page.Live = "/live?topics=jobs,events"
	rows, err := h.Store.Events(r.Context(), principal(r).WorkspaceID, filter)
	if err != nil {
		return page, err
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		page.Next = encodeCursor(rows[pageRows-1].Cursor())
	}
	for _, row := range rows {
		page.Rows = append(page.Rows, eventRow(row))
	}
	return page, nil
}

// eventsCursor is where a page begins. An address that was cut short begins at
// the first page.
func eventsCursor(text string) *store.EventCursor {
	var cursor store.EventCursor
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(data, &cursor) != nil {
		return nil
	}
	return &cursor
}

func eventRow(row store.EventRow) views.EventRow {
	r := views.EventRow{Event: row.Event, Target: row.Target}
	for _, j := range row.Recent {
		r.Recent = append(r.Recent, views.RecentJob(j))
	}
	return r
}

func (h *Handlers) newEventPage(w http.ResponseWriter, r *http.Request) error {
	return h.renderNewEvent(w, r, http.StatusOK, views.EventNew{Type: cronium.EventPython})
}

func (h *Handlers) renderNewEvent(w http.ResponseWriter, r *http.Request, status int, page views.EventNew) error {
	var err error
	if page.Frame, err = h.counted(r, "New event", layout.NavEvents, layout.Crumb{Label: "Events", URL: "/events"}); err != nil {
		return err
	}
	return h.render(w, r, status, page.Page())
}

// makeEvent makes an event from the page for a new one, or, with run=1, from
// the welcome: active, with a script, and run at once.
func (h *Handlers) makeEvent(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	form := r.PostForm
	e := &cronium.Event{Name: strings.TrimSpace(form.Get("name")), Description: lines(form.Get("description")), Type: cronium.EventType(form.Get("type")), Status: cronium.EventDraft}
	content := cronium.NewContent(e.Type)
	run := form.Get("run") == "1"
	if run {
		e.Status = cronium.EventActive
		content.Files[0].Content = lines(form.Get("script"))
	}
	p := principal(r)
	err := h.Store.CreateEvent(r.Context(), p.WorkspaceID, e, content, "", author(p))
	if problems, message, status, ok := formProblems(w, err); ok && err != nil {
		if run {
			return h.renderWelcome(w, r, status, views.Welcome{Type: e.Type, Script: content.Files[0].Content, Problems: problems, Message: message})
		}
		return h.renderNewEvent(w, r, status, views.EventNew{Name: e.Name, Description: e.Description, Type: e.Type, Problems: problems})
	}
	if err != nil {
		return err
	}
	h.eventsMoved(r)
	if !run {
		return redirect(w, r, "/events/"+e.ID.String())
	}
	job, err := h.Engine.Enqueue(r.Context(), jobs.Request{WorkspaceID: p.WorkspaceID, EventID: e.ID, Trigger: p.Trigger(), TriggeredBy: p.DisplayName()})
	if err != nil {
		return err
	}
	return redirect(w, r, "/jobs/"+job.ID.String())
}

// eventsBulk changes the status of the selected events.
func (h *Handlers) eventsBulk(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	act, known := map[string]struct {
		did    string
		status cronium.EventStatus
	}{
		"activate": {"activated", cronium.EventActive}, "pause": {"paused", cronium.EventPaused}, "archive": {"archived", cronium.EventArchived},
	}[r.PostForm.Get("act")]
	if !known {
		return cronium.Errorf(cronium.CodeInvalid, "Choose what to do with the selected events: activate, pause or archive them.")
	}
	ids, err := selected(r, "event")
	if err != nil {
		return err
	}
	workspace := principal(r).WorkspaceID
	bulk, status := h.each(r, ids, act.did, func(id cronium.ID) error {
		_, err := h.Store.SetEventStatus(r.Context(), workspace, id, act.status)
		return err
	}, func(id cronium.ID) (string, error) {
		e, err := h.Store.Event(r.Context(), workspace, id)
		if err != nil {
			return "", err
		}
		return e.Name, nil
	})
	h.eventsMoved(r)
	if len(bulk.Refused) == 0 {
		return redirect(w, r, backToList(r, "/events"))
	}
	page, err := h.eventsList(r, url.Values{"q": r.PostForm["q"]})
	if err != nil {
		return err
	}
	page.Bulk = bulk
	return h.render(w, r, status, page.Page())
}

// withQuery is a path with those parameters that have a value.
func withQuery(path string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// lines turns a browser's line ends into line feeds.
func lines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }
