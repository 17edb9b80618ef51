package handlers

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) queueRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/queue", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.queuePage},
		{Method: http.MethodPost, Pattern: "/queue/jobs", Permission: cronium.PermissionRun, Kind: KindPage, Handle: h.queueBulk},
		{Method: http.MethodPost, Pattern: "/queue/mode", Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: h.setQueueModeByForm},
		{Method: http.MethodPost, Pattern: "/queue/limits", Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: h.setQueueLimitsByForm},
	}
}

func (h *Handlers) queuePage(w http.ResponseWriter, r *http.Request) error {
	return h.renderQueue(w, r, http.StatusOK, views.Queue{})
}

// renderQueue fills in what the page shows beside what came with a form.
func (h *Handlers) renderQueue(w http.ResponseWriter, r *http.Request, status int, page views.Queue) error {
	workspace, query := principal(r).WorkspaceID, r.URL.Query()
	var err error
	if page.Frame, err = h.counted(r, "Queue", layout.NavJobs, layout.Crumb{Label: "Jobs", URL: "/jobs"}); err != nil {
		return err
	}
	switch query.Get("done") {
	case "mode":
		page.Said = "The queue is changed."
	case "limits":
		page.Said = "The limits are saved."
	case "first":
		page.Said = "It runs next."
	}
	page.Live, page.Now = "/live?topics=jobs", time.Now()
	if page.For = query.Get("for"); page.For != "" && !slices.Contains(views.QueueReasonWords, page.For) {
		page.For = ""
	}
	queue, err := h.Store.WorkspaceQueue(r.Context(), workspace)
	if err != nil {
		return err
	}
	page.Mode, page.ChangedBy, page.ChangedAt = queue.Mode, queue.ChangedBy, queue.ChangedAt
	if page.Form == (views.LimitsForm{}) {
		page.Form = views.LimitsFormOf(queue.Limits)
	}
	reasons, err := h.Store.QueueReasons(r.Context(), workspace)
	if err != nil {
		return err
	}
	for _, reason := range reasons {
		page.Reasons = append(page.Reasons, views.QueueReason(reason))
	}
	var cursor *store.QueueCursor
	page.After = query.Get("after")
	var c store.QueueCursor
	if given, err := decodeCursor(page.After, &c); given && err == nil {
		cursor = &c
	} else {
		page.After = ""
	}
	rows, next, err := h.Store.QueueJobs(r.Context(), workspace, waitingFor(page.For), cursor, pageRows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		page.Rows = append(page.Rows, views.QueueRow{First: row.Ahead > 0,
			JobRow: views.JobRow{Job: row.Job, EventName: row.EventName, EventType: row.EventType, Target: row.Target}})
	}
	if next != nil {
		page.Next = encodeCursor(next)
	}
	return h.render(w, r, status, page.Page())
}

// waitingFor is the reason that a word of the address stands for.
func waitingFor(word string) *cronium.Waiting {
	switch word {
	case "":
		return nil
	case "turn":
		turn := cronium.Waiting("")
		return &turn
	}
	w := cronium.Waiting(word)
	return &w
}

func (h *Handlers) setQueueModeByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	if err := h.setQueueMode(r.Context(), principal(r), cronium.QueueMode(r.PostForm.Get("mode"))); err != nil {
		return err
	}
	return redirect(w, r, "/queue?done=mode")
}

// setQueueMode opens, pauses or drains the queue of who asks.
func (h *Handlers) setQueueMode(ctx context.Context, p *cronium.Principal, mode cronium.QueueMode) error {
	var problems cronium.Problems
	problems.Add(mode == cronium.QueueOpen || mode == cronium.QueuePaused || mode == cronium.QueueDraining, "mode", "must be OPEN, PAUSED or DRAINING")
	if err := problems.Err("The queue"); err != nil {
		return err
	}
	if err := h.Store.SetQueueMode(ctx, p.WorkspaceID, mode, p.DisplayName()); err != nil {
		return err
	}
	h.Hub.Publish(live.JobsTopic(p.WorkspaceID))
	return nil
}

func (h *Handlers) setQueueLimitsByForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	form := views.LimitsForm{Running: r.PostForm.Get("running"), Queued: r.PostForm.Get("queued"),
		RateCount: r.PostForm.Get("rate.count"), RatePeriod: r.PostForm.Get("rate.seconds")}
	var problems cronium.Problems
	read := formReader{problems: &problems}
	limits := cronium.WorkspaceLimits{Running: read.whole("running", form.Running), Queued: read.whole("queued", form.Queued),
		Rate: rateForm(form.RateCount, form.RatePeriod, read)}
	err := problems.Err("The limits")
	if err == nil {
		p := principal(r)
		err = h.Store.SetWorkspaceLimits(r.Context(), p.WorkspaceID, limits, p.DisplayName())
		h.Hub.Publish(live.JobsTopic(p.WorkspaceID))
	}
	if problems, _, status, ok := formProblems(w, err); ok {
		return h.renderQueue(w, r, status, views.Queue{Form: form, Problems: problems})
	}
	if err != nil {
		return err
	}
	return redirect(w, r, "/queue?done=limits")
}

// queueBulk puts selected jobs first, or cancels them.
func (h *Handlers) queueBulk(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	ids, err := selected(r, "job")
	if err != nil {
		return err
	}
	p := principal(r)
	did, do := "put first", func(id cronium.ID) error { return h.Store.PutFirst(r.Context(), p.WorkspaceID, id) }
	switch r.PostForm.Get("act") {
	case "first":
		slices.Reverse(ids) // the first of the page shall be the first
	case "cancel":
		did, do = "cancelled", func(id cronium.ID) error { return h.Engine.Cancel(r.Context(), p.WorkspaceID, id, p.DisplayName()) }
	default:
		return cronium.Errorf(cronium.CodeInvalid, "Choose what to do with the selected jobs: put them first or cancel them.")
	}
	bulk, status := h.each(r, ids, did, do, func(id cronium.ID) (string, error) {
		job, err := h.Store.Job(r.Context(), p.WorkspaceID, id)
		if err != nil {
			return "", err
		}
		return job.EventName + " " + cronium.ShortID(id), nil
	})
	h.Hub.Publish(live.JobsTopic(p.WorkspaceID))
	if len(bulk.Refused) == 0 {
		back := url.Values{}
		if word := r.PostForm.Get("for"); word != "" {
			back.Set("for", word)
		}
		return redirect(w, r, "/queue?"+back.Encode())
	}
	return h.renderQueue(w, r, status, views.Queue{Bulk: bulk})
}
