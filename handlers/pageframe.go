package handlers

import (
	"net/http"

	"cronium.dev/live"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// counted is the frame of a page of the workspace: with the counts in the
// navigation, and with what just happened, which comes in the address after a
// redirect, by name and not by its text.
func (h *Handlers) counted(r *http.Request, title string, nav layout.Nav, path ...layout.Crumb) (layout.Frame, error) {
	f := h.frame(r, title, nav)
	f.Path = path
	workspace := principal(r).WorkspaceID
	var err error
	if f.Events, err = h.Store.EventCount(r.Context(), workspace); err != nil {
		return f, err
	}
	if f.OpenJobs, err = h.Store.OpenJobCount(r.Context(), workspace); err != nil {
		return f, err
	}
	f.Said = map[string]string{
		"saved":      "Saved.",
		"named":      "Name and description are saved. The version stays.",
		"unchanged":  "Nothing was changed, so no version was made.",
		"restored":   "The version is restored as a new one.",
		"duplicated": "This is the copy. It begins as a draft.",
		"status":     "The status is changed.",
		"deleted":    "The event is deleted.",
		"bulk":       "Done.",

		"scheduled":   "The schedule is added.",
		"unscheduled": "The schedule is deleted.",
		"imported":    "The events are made, and run by their schedules.",
	}[r.URL.Query().Get("done")]
	return f, nil
}

// eventsMoved tells every page that shows events to look again.
func (h *Handlers) eventsMoved(r *http.Request) {
	h.Hub.Publish(live.EventsTopic(principal(r).WorkspaceID))
}

func jobRowsOf(rows []store.JobRow) []views.JobRow {
	list := make([]views.JobRow, 0, len(rows))
	for _, row := range rows {
		list = append(list, views.JobRow{Job: row.Job, EventName: row.EventName, EventType: row.EventType, Target: row.Target})
	}
	return list
}
