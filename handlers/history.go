package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// historyPage is an event's versions, the newest first.
func (h *Handlers) historyPage(w http.ResponseWriter, r *http.Request) error {
	head, _, err := h.eventHead(r, "history")
	if err != nil {
		return err
	}
	page := views.EventHistory{EventHead: head}
	if page.Frame, err = h.eventFrame(r, &head.Event); err != nil {
		return err
	}
	before, _ := strconv.Atoi(r.URL.Query().Get("before")) // what is no number begins at the newest
	page.Versions, err = h.Store.EventVersions(r.Context(), principal(r).WorkspaceID, head.Event.ID, store.VersionPage{Before: before, Limit: pageRows})
	if err != nil {
		return err
	}
	if n := len(page.Versions); n == pageRows && page.Versions[n-1].Number > 1 {
		page.Older = page.Versions[n-1].Number
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// eventRunsPage is the jobs of one event; with ?part=live its list alone.
func (h *Handlers) eventRunsPage(w http.ResponseWriter, r *http.Request) error {
	head, _, err := h.eventHead(r, "runs")
	if err != nil {
		return err
	}
	page := views.EventRuns{EventHead: head, Now: time.Now()}
	if page.Frame, err = h.eventFrame(r, &head.Event); err != nil {
		return err
	}
	filter := store.JobFilter{EventID: &head.Event.ID, Limit: pageRows + 1}
	if before, ok := cronium.ParseID(r.URL.Query().Get("before")); ok {
		filter.Before = &before
	} else {
		page.Live = "/live?topics=jobs"
	}
	rows, err := h.Store.Jobs(r.Context(), principal(r).WorkspaceID, filter)
	if err != nil {
		return err
	}
	page.Rows, page.Older = firstRows(rows)
	if r.URL.Query().Get("part") == "live" {
		return h.render(w, r, http.StatusOK, page.Changes())
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// versionPage is one version, or with ?compare=m what differs from another.
func (h *Handlers) versionPage(w http.ResponseWriter, r *http.Request) error {
	head, _, err := h.eventHead(r, "history")
	if err != nil {
		return err
	}
	number, err := versionNumber(chi.URLParam(r, "n"))
	if err != nil {
		return err
	}
	workspace := principal(r).WorkspaceID
	shown, err := h.Store.EventVersion(r.Context(), workspace, head.Event.ID, number)
	if err != nil {
		return err
	}
	page := views.Version{EventHead: head, Shown: *shown}
	if compare := r.URL.Query().Get("compare"); compare != "" {
		other, err := versionNumber(compare)
		if err != nil {
			return err
		}
		if page.Compare, err = h.Store.EventVersion(r.Context(), workspace, head.Event.ID, other); err != nil {
			return err
		}
	}
	versions, err := h.Store.EventVersions(r.Context(), workspace, head.Event.ID, store.VersionPage{Limit: mostSelected})
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Number != number {
			page.Numbers = append(page.Numbers, v.Number)
		}
	}
	if page.Frame, err = h.eventFrame(r, &head.Event); err != nil {
		return err
	}
	page.Path = append(page.Path, layout.Crumb{Label: head.Event.Name, URL: "/events/" + head.Event.ID.String()})
	page.Title = "Version " + strconv.Itoa(number)
	return h.render(w, r, http.StatusOK, page.Page())
}

// versionNumber reads the number of a version in the history.
func versionNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || strconv.Itoa(n) != text {
		return 0, cronium.ErrNotFound
	}
	return n, nil
}

// restoreVersion makes an earlier version the newest.
func (h *Handlers) restoreVersion(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	number, err := versionNumber(chi.URLParam(r, "n"))
	if err != nil {
		return err
	}
	base, _ := strconv.Atoi(r.PostForm.Get("base")) // what is no version is refused as an old one
	p := principal(r)
	old, err := h.Store.EventVersion(r.Context(), p.WorkspaceID, id, number)
	if err != nil {
		return err
	}
	if err := h.checkContent(p, &old.Content); err != nil {
		return err
	}
	if _, err := h.Store.RestoreVersion(r.Context(), p.WorkspaceID, id, number, base, author(p)); err != nil {
		return err
	}
	h.eventsMoved(r)
	return redirect(w, r, "/events/"+id.String()+"?done=restored")
}
