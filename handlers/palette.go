package handlers

import (
	"net/http"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
)

const paletteRows = 6

// palettePage finds pages, events and jobs by what was typed.
func (h *Handlers) palettePage(w http.ResponseWriter, r *http.Request) error {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	page := views.Palette{Frame: h.frame(r, "Search", ""), Query: query, Pages: h.places(r, query)}
	workspace := principal(r).WorkspaceID
	events, err := h.Store.Events(r.Context(), workspace, store.EventFilter{Query: query, Limit: paletteRows})
	if err != nil {
		return err
	}
	for _, e := range events {
		page.Events = append(page.Events, e.Event)
	}
	if page.Jobs, err = h.paletteJobs(r, query); err != nil {
		return err
	}
	if isFragment(r) {
		return h.render(w, r, http.StatusOK, page.List())
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// paletteJobs are the job whose whole id was typed, or the newest jobs of
// events with the name.
func (h *Handlers) paletteJobs(r *http.Request, query string) ([]views.JobRow, error) {
	workspace := principal(r).WorkspaceID
	if id, ok := cronium.ParseID(query); ok {
		job, err := h.Store.Job(r.Context(), workspace, id)
		if cronium.CodeOf(err) == cronium.CodeNotFound && err != nil {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return jobRowsOf([]store.JobRow{*job}), nil
	}
	if query == "" {
		return nil, nil
	}
	rows, err := h.Store.Jobs(r.Context(), workspace, store.JobFilter{Event: query, Limit: 3})
	return jobRowsOf(rows), err
}

// places are the pages whose name has the words.
func (h *Handlers) places(r *http.Request, query string) (found []views.Place) {
	all := []views.Place{
		{Label: "Home", URL: "/", Icon: "home"},
		{Label: "Events", URL: "/events", Icon: "events"},
		{Label: "Jobs", URL: "/jobs", Icon: "jobs"},
		{Label: "Failed jobs", URL: "/jobs?q=status%3Afailed", Icon: "alert"},
		{Label: "Servers", URL: "/servers", Icon: "server"},
		{Label: "Servers that are offline", URL: "/servers?q=state%3Aoffline", Icon: "lost"},
		{Label: "Variables", URL: "/variables", Icon: "key"},
		{Label: "Settings: profile", URL: "/settings/profile", Icon: "person"},
		{Label: "Settings: API tokens", URL: "/settings/tokens", Icon: "key"},
		{Label: "Settings: about", URL: "/settings/about", Icon: "info"},
	}
	if principal(r).Can(cronium.PermissionWrite) {
		all = append(all, views.Place{Label: "New event", URL: "/events/new", Icon: "plus"})
	}
	if principal(r).Can(cronium.PermissionAdmin) {
		all = append(all, views.Place{Label: "Add server", URL: "/servers/new", Icon: "plus"}, views.Place{Label: "People", URL: "/people", Icon: "person"},
			views.Place{Label: "Settings: engine", URL: "/settings/engine", Icon: "engine"})
	}
	for _, place := range all {
		if strings.Contains(strings.ToLower(place.Label), strings.ToLower(query)) {
			found = append(found, place)
		}
	}
	return found
}
