package handlers

import (
	"net/http"
	"net/url"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

const (
	pageRows = 50
	// mostNew is up to where jobs that came meanwhile are counted.
	mostNew = 100
)

func (h *Handlers) jobRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/jobs", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.jobsPage},
		{Method: http.MethodPost, Pattern: "/jobs/bulk", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.jobsBulk},
		{Method: http.MethodGet, Pattern: "/jobs/{id}", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.runPage},
		{Method: http.MethodPost, Pattern: "/jobs/{id}/cancel", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.cancelRun},
		{Method: http.MethodPost, Pattern: "/jobs/{id}/rerun", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.rerun},
	}
}

// jobsPage is the list of jobs; with ?part=fresh, what has changed in it.
func (h *Handlers) jobsPage(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if query.Get("part") == "fresh" {
		page := views.Jobs{Query: query.Get("q"), Now: time.Now()}
		var filter store.JobFilter
		filter, page.Problems = jobFilter(page.Query, page.Now)
		return h.jobsFresh(w, r, page, filter)
	}
	page, err := h.jobsList(r, query)
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// jobsList is the page of the list that a query asks for.
func (h *Handlers) jobsList(r *http.Request, query url.Values) (views.Jobs, error) {
	page := views.Jobs{Query: query.Get("q"), Now: time.Now()}
	filter, problems := jobFilter(page.Query, page.Now)
	page.Problems = problems
	var err error
	if page.Frame, err = h.counted(r, "Jobs", layout.NavJobs); err != nil {
		return page, err
	}
	page.Live = "/live?topics=jobs"
	filter.Limit = pageRows + 1
	if before, ok := cronium.ParseID(query.Get("before")); ok {
		filter.Before, page.Paged = &before, true
	}
	rows, err := h.Store.Jobs(r.Context(), principal(r).WorkspaceID, filter)
	if err != nil {
		return page, err
	}
	page.Rows, page.Older = firstRows(rows)
	page.Top = cronium.IDFloor(page.Now)
	if len(rows) > 0 {
		page.Top = rows[0].ID
	}
	return page, nil
}

// firstRows are the rows of one page, and where the next begins if one more
// was found.
func firstRows(rows []store.JobRow) ([]views.JobRow, *cronium.ID) {
	if len(rows) <= pageRows {
		return jobRowsOf(rows), nil
	}
	rows = rows[:pageRows]
	return jobRowsOf(rows), &rows[pageRows-1].ID
}

// jobsFresh answers a list that is on a screen: the jobs in it that were open
// as they are now, and how many have come on top.
func (h *Handlers) jobsFresh(w http.ResponseWriter, r *http.Request, page views.Jobs, filter store.JobFilter) error {
	var err error
	if page.Frame, err = h.counted(r, "Jobs", layout.NavJobs); err != nil {
		return err
	}
	query, workspace := r.URL.Query(), principal(r).WorkspaceID
	var open []cronium.ID
	for _, s := range query["open"] {
		if id, ok := cronium.ParseID(s); ok && len(open) < pageRows {
			open = append(open, id)
		}
	}
	if len(open) > 0 {
		rows, err := h.Store.Jobs(r.Context(), workspace, store.JobFilter{IDs: open, Limit: len(open)})
		if err != nil {
			return err
		}
		page.Rows = jobRowsOf(rows)
	}
	top, ok := cronium.ParseID(query.Get("top"))
	if page.Paged = !ok; ok {
		page.Top = top
		filter.After, filter.Limit = &top, mostNew
		rows, err := h.Store.Jobs(r.Context(), workspace, filter)
		if err != nil {
			return err
		}
		page.Newer = len(rows)
	}
	return h.render(w, r, http.StatusOK, page.Fresh())
}

// jobsBulk cancels the selected jobs, or runs them again.
func (h *Handlers) jobsBulk(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	ids, err := selected(r, "job")
	if err != nil {
		return err
	}
	workspace := principal(r).WorkspaceID
	var did string
	var do func(cronium.ID) error
	switch r.PostForm.Get("act") {
	case "cancel":
		did, do = "cancelled", func(id cronium.ID) error {
			return h.Engine.Cancel(r.Context(), workspace, id, principal(r).DisplayName())
		}
	case "rerun":
		did, do = "started again", func(id cronium.ID) error {
			_, err := h.runAgain(r, id, nil)
			return err
		}
	default:
		return cronium.Errorf(cronium.CodeInvalid, "Choose what to do with the selected jobs: cancel them or run them again.")
	}
	bulk, status := h.each(r, ids, did, do, func(id cronium.ID) (string, error) {
		job, err := h.Store.Job(r.Context(), workspace, id)
		if err != nil {
			return "", err
		}
		return job.EventName + " " + cronium.ShortID(id), nil
	})
	if len(bulk.Refused) == 0 {
		return redirect(w, r, backToList(r, "/jobs"))
	}
	page, err := h.jobsList(r, url.Values{"q": r.PostForm["q"]})
	if err != nil {
		return err
	}
	page.Bulk = bulk
	return h.render(w, r, status, page.Page())
}

// runAgain starts a job like an earlier one; input nil means the same.
func (h *Handlers) runAgain(r *http.Request, id cronium.ID, input []byte) (*cronium.Job, error) {
	p := principal(r)
	old, err := h.Store.Job(r.Context(), p.WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	if input == nil {
		input = old.Input
	}
	request := jobs.Request{
		WorkspaceID: p.WorkspaceID, EventID: old.EventID, Version: old.Version, Input: input, Priority: old.Priority,
		Trigger: cronium.TriggerRerun, TriggeredBy: p.DisplayName(), RerunOf: &id, Servers: old.Servers,
	}
	if r.PostForm.Get("targets") == "failed" {
		request.Servers, request.OnFailed = nil, true
	}
	return h.Engine.Enqueue(r.Context(), request)
}
