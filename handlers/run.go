package handlers

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/output"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// lastLines is how much of the output stands beside the reason of a failure.
const lastLines = 8

// runPage is one job, live.
func (h *Handlers) runPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	page, err := h.run(r, id)
	if err != nil {
		return err
	}
	page.Frame, err = h.counted(r, "Run "+cronium.ShortID(id), layout.NavJobs,
		layout.Crumb{Label: "Events", URL: "/events"}, layout.Crumb{Label: page.Job.EventName, URL: "/events/" + page.Job.EventID.String()})
	if err != nil {
		return err
	}
	page.Modules = []string{"js/tabs.js", "js/phases.js", "js/dialog.js", "js/log.js"}
	page.Tab = r.URL.Query().Get("tab")
	if !page.Job.Status.Final() {
		page.Live = "/live?topics=job:" + id.String()
		if page.Chosen {
			page.Live += "&attempt=" + strconv.Itoa(page.Shown.Attempt)
		}
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// run reads all that the page of a job shows. The query's attempt chooses which
// attempt; without it the newest is shown.
func (h *Handlers) run(r *http.Request, id cronium.ID) (views.Run, error) {
	ctx, workspace := r.Context(), principal(r).WorkspaceID
	page := views.Run{Now: time.Now()}
	job, err := h.Store.Job(ctx, workspace, id)
	if err != nil {
		return page, err
	}
	page.Job = views.JobRow{Job: job.Job, EventName: job.EventName, EventType: job.EventType, Target: job.Target}
	if page.Executions, err = h.Store.Executions(ctx, workspace, id); err != nil {
		return page, err
	}
	if page.Content, err = h.Engine.Content(ctx, workspace, job.EventID, job.Version); err != nil {
		return page, err
	}
	if page.Usual, _, err = h.Store.UsualDuration(ctx, workspace, job.EventID); err != nil {
		return page, err
	}
	if n := len(page.Executions); n > 0 {
		page.Shown = &page.Executions[n-1]
		if attempt, err := strconv.Atoi(r.URL.Query().Get("attempt")); err == nil && attempt >= 1 && attempt <= n {
			page.Shown, page.Chosen = &page.Executions[attempt-1], true
		}
	}
	return page, h.explain(r, &page)
}

// explain adds to a failed job what helps to find out why.
func (h *Handlers) explain(r *http.Request, page *views.Run) error {
	job := &page.Job
	if !job.Status.Final() || job.Result == cronium.ResultSuccess || job.Result == cronium.ResultCancelled {
		return nil
	}
	good, err := h.Store.LastSuccess(r.Context(), job.WorkspaceID, job.EventID, job.ID)
	if err != nil {
		return err
	}
	if good != nil {
		page.LastGood = &views.LastGood{JobID: good.ID, Version: good.Version, At: good.QueuedAt(), SameInput: bytes.Equal(good.Input, job.Input)}
	}
	if page.Shown == nil || page.Shown.OutputBytes == 0 {
		return nil
	}
	reader := output.NewReader(h.Store, page.Shown)
	total, err := reader.TotalLines(r.Context())
	if err != nil {
		return err
	}
	tail, err := reader.Page(r.Context(), max(total-lastLines, 0), lastLines)
	if err != nil {
		return err
	}
	for _, line := range tail.Lines {
		page.LastLines = append(page.LastLines, output.Plain(line.Text))
	}
	return nil
}

// liveJob is what changes on the page of a job, for its stream; final tells
// that nothing more follows. With view=test in the query it is for the test run
// under an editor.
func (h *Handlers) liveJob(r *http.Request, id cronium.ID) (component templ.Component, final bool, err error) {
	page, err := h.run(r, id)
	if err != nil {
		return nil, false, err
	}
	page.Principal = principal(r)
	if r.URL.Query().Get("view") == "test" {
		return page.TestChanges(), page.Job.Status.Final(), nil
	}
	if page.OpenJobs, err = h.Store.OpenJobCount(r.Context(), page.Principal.WorkspaceID); err != nil {
		return nil, false, err
	}
	return page.Changes(), page.Job.Status.Final(), nil
}

// cancelRun asks for a job to be stopped. The page hears of it by its stream.
func (h *Handlers) cancelRun(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	if err := h.Engine.Cancel(r.Context(), principal(r).WorkspaceID, id, principal(r).DisplayName()); err != nil {
		return err
	}
	if isFragment(r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return redirect(w, r, "/jobs/"+id.String())
}

// rerun starts the job again with the same input.
func (h *Handlers) rerun(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	job, err := h.runAgain(r, id, nil)
	if err != nil {
		return err
	}
	return redirect(w, r, "/jobs/"+job.ID.String())
}
