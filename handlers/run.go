package handlers

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/output"
	"cronium.dev/store"
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
	job, err := h.Store.Job(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return err
	}
	if job.Target == cronium.TargetServers {
		return h.fleetPage(w, r, job)
	}
	page, err := h.run(r, job)
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
func (h *Handlers) run(r *http.Request, job *store.JobRow) (views.Run, error) {
	ctx, workspace, id := r.Context(), principal(r).WorkspaceID, job.ID
	page := views.Run{Now: time.Now(), Job: jobRowsOf([]store.JobRow{*job})[0]}
	var err error
	if page.Executions, err = h.Store.Executions(ctx, workspace, id); err != nil {
		return page, err
	}
	if page.Followed, err = h.followed(ctx, workspace, id); err != nil {
		return page, err
	}
	if page.Artifacts, err = h.Store.Artifacts(ctx, workspace, id); err != nil {
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
func (h *Handlers) explain(r *http.Request, page *views.Run) (err error) {
	if !failed(&page.Job.Job) {
		return nil
	}
	if page.LastGood, err = h.lastGood(r, &page.Job.Job); err != nil {
		return err
	}
	if page.Shown == nil || page.Shown.OutputBytes == 0 {
		return nil
	}
	page.LastLines, err = h.excerpt(r, page.Shown, -lastLines, lastLines)
	return err
}

// failed tells whether a job has ended in a way that wants an explanation.
func failed(job *cronium.Job) bool {
	return job.Status.Final() && job.Result != cronium.ResultSuccess && job.Result != cronium.ResultCancelled
}

// lastGood is the last job of the event before this one that succeeded; nil for
// none.
func (h *Handlers) lastGood(r *http.Request, job *cronium.Job) (*views.LastGood, error) {
	good, err := h.Store.LastSuccess(r.Context(), job.WorkspaceID, job.EventID, job.ID)
	if err != nil || good == nil {
		return nil, err
	}
	return &views.LastGood{JobID: good.ID, Version: good.Version, At: good.QueuedAt(), SameInput: bytes.Equal(good.Input, job.Input)}, nil
}

// excerpt reads some lines of an output as a terminal would show them; from
// below zero counts from the end.
func (h *Handlers) excerpt(r *http.Request, e *cronium.Execution, from int64, count int) ([]string, error) {
	reader := output.NewReader(h.Store, e)
	if from < 0 {
		total, err := reader.TotalLines(r.Context())
		if err != nil {
			return nil, err
		}
		from = max(total+from, 0)
	}
	page, err := reader.Page(r.Context(), from, count)
	if err != nil {
		return nil, err
	}
	lines := make([]string, 0, len(page.Lines))
	for _, line := range page.Lines {
		lines = append(lines, output.Plain(line.Text))
	}
	return lines, nil
}

// liveJob is what changes on the page of a job, for its stream; final tells
// that nothing more follows. With view=test in the query it is for the test run
// under an editor.
func (h *Handlers) liveJob(r *http.Request, job *store.JobRow) (component templ.Component, final bool, err error) {
	page, err := h.run(r, job)
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

// rerun starts the job again with the same input; with targets=failed on those of
// its servers where it did not succeed.
func (h *Handlers) rerun(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
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
