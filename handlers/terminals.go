package handlers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

const (
	terminalsPage  = 50
	ownTerminals   = 20  // that are opened again when the page is
	longestFinding = 200 // characters of a search
)

func (h *Handlers) terminalRoutes() []Route {
	page := func(pattern string, handle Handler) Route {
		return Route{Method: http.MethodGet, Pattern: pattern, Permission: cronium.PermissionTerminal, Kind: KindPage, Handle: handle}
	}
	return []Route{
		page("/servers/{id}/terminal", h.terminalPage),
		page("/events/{id}/terminal", h.eventTerminalPage),
		page("/terminals", h.recordingsPage),
		page("/terminals/{id}", h.recordingPage),
		{Method: http.MethodGet, Pattern: "/terminals/{id}/socket", Permission: cronium.PermissionTerminal, Kind: KindStream, Handle: h.terminalSocket},
	}
}

// askedFrom is the address that an operation was asked from.
func askedFrom(ctx context.Context) string {
	if info, ok := ctx.Value(requestKey{}).(*request); ok && info.address.IsValid() {
		return info.address.String()
	}
	return ""
}

func (h *Handlers) terminalPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	p := principal(r)
	server, err := h.Store.Server(r.Context(), p.WorkspaceID, id)
	if err != nil {
		return err
	}
	page := views.Terminal{Name: server.Name, Recordings: "/terminals?server=" + id.String(), Opens: "/api/v1/servers/" + id.String() + "/terminals"}
	if page.Frame, err = h.serversFrame(r, "Terminal", serversCrumb(), layout.Crumb{Label: server.Name, URL: "/servers/" + id.String()}); err != nil {
		return err
	}
	return h.showTerminals(w, r, id, page)
}

// eventTerminalPage is the page of terminals in containers of an event's image.
func (h *Handlers) eventTerminalPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	event, err := h.containerEvent(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return err
	}
	page := views.Terminal{Name: event.Name, Container: true, Recordings: "/terminals?event=" + id.String(), Opens: "/api/v1/events/" + id.String() + "/terminals"}
	if page.Frame, err = h.counted(r, "Terminal", layout.NavEvents, layout.Crumb{Label: "Events", URL: "/events"}, layout.Crumb{Label: event.Name, URL: "/events/" + id.String()}); err != nil {
		return err
	}
	return h.showTerminals(w, r, id, page)
}

// showTerminals shows the person's own terminals on a server or of an event.
func (h *Handlers) showTerminals(w http.ResponseWriter, r *http.Request, of cronium.ID, page views.Terminal) error {
	p := principal(r)
	var err error
	if page.Open, err = h.Store.OpenTerminals(r.Context(), p.WorkspaceID, of, p.UserID, ownTerminals); err != nil {
		return err
	}
	page.Modules, page.Styles = []string{"js/terminal.js"}, []string{"vendor/xterm/xterm.css"}
	return h.render(w, r, http.StatusOK, page.Page())
}

func (h *Handlers) recordingsPage(w http.ResponseWriter, r *http.Request) error {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	query = string([]rune(query)[:min(len([]rune(query)), longestFinding)])
	page := views.Recordings{Query: query, Now: time.Now()}
	var err error
	if page.Frame, err = h.serversFrame(r, "Terminals", serversCrumb()); err != nil {
		return err
	}
	workspace := principal(r).WorkspaceID
	if query != "" && h.Terminals != nil {
		whole := false
		page.Rows, whole, err = h.Terminals.Find(r.Context(), workspace, query)
		page.Part = !whole
	} else {
		err = h.listRecordings(r, workspace, &page)
	}
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

func (h *Handlers) listRecordings(r *http.Request, workspace cronium.ID, page *views.Recordings) error {
	filter := store.TerminalFilter{Limit: terminalsPage + 1}
	if before, ok := cronium.ParseID(r.URL.Query().Get("before")); ok {
		filter.Before = &before
	}
	if server, ok := cronium.ParseID(r.URL.Query().Get("server")); ok {
		filter.ServerID = &server
	}
	if event, ok := cronium.ParseID(r.URL.Query().Get("event")); ok {
		filter.EventID = &event
	}
	rows, err := h.Store.Terminals(r.Context(), workspace, filter)
	if err != nil {
		return err
	}
	if len(rows) > terminalsPage {
		rows = rows[:terminalsPage]
		page.Next = rows[terminalsPage-1].ID.String()
	}
	page.Rows = rows
	return nil
}

func (h *Handlers) recordingPage(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	t, err := h.Store.Terminal(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return err
	}
	page := views.Recording{Terminal: *t, Query: r.URL.Query().Get("q")}
	if page.Frame, err = h.serversFrame(r, t.UserName+" on "+t.Target, serversCrumb(), layout.Crumb{Label: "Terminals", URL: "/terminals"}); err != nil {
		return err
	}
	page.Modules, page.Styles = []string{"js/recording.js"}, []string{"vendor/xterm/xterm.css"}
	return h.render(w, r, http.StatusOK, page.Page())
}
