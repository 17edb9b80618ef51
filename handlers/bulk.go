package handlers

import (
	"net/http"

	"cronium.dev/cronium"
	"cronium.dev/views"
)

// mostSelected is how many rows may be acted on at once.
const mostSelected = 200

// selected are the ids of the rows that were chosen in a list.
func selected(r *http.Request, name string) ([]cronium.ID, error) {
	var ids []cronium.ID
	for _, s := range r.PostForm[name] {
		id, ok := cronium.ParseID(s)
		if !ok {
			return nil, cronium.ErrNotFound
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 || len(ids) > mostSelected {
		return nil, cronium.Errorf(cronium.CodeInvalid, "Select 1 to %d rows first.", mostSelected)
	}
	return ids, nil
}

// backToList is the list that a form of selected rows stood in.
func backToList(r *http.Request, path string) string {
	return withQuery(path, "q", r.PostForm.Get("q"), "done", "bulk")
}

// each does something with each of the selected rows, whatever becomes of the
// others, and notes which could not be and why. name finds what a row is called.
// The status is that of the answer: of the first refusal where nothing was done.
func (h *Handlers) each(r *http.Request, ids []cronium.ID, did string, do func(cronium.ID) error, name func(cronium.ID) (string, error)) (views.Bulk, int) {
	bulk, status := views.Bulk{Did: did}, http.StatusOK
	for i, id := range ids {
		err := do(id)
		if err == nil {
			bulk.Done++
			continue
		}
		p := problemOf(err, requestOf(r).id)
		refusal := views.Refusal{Name: cronium.ShortID(id), Reason: p.Detail}
		if known, err := name(id); err == nil {
			refusal.Name = known
		}
		if bulk.Refused = append(bulk.Refused, refusal); len(bulk.Refused) == 1 {
			status = p.Status
		}
		if p.Status >= 500 { // the others would most likely meet the same
			h.Log.ErrorContext(r.Context(), "selected rows", "request", p.RequestID, "path", r.URL.Path, "id", id, "error", err)
			bulk.Untried = len(ids) - i - 1
			break
		}
	}
	if bulk.Done > 0 {
		status = http.StatusOK
	}
	return bulk, status
}
