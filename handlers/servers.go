package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) serversRoutes() []Route {
	page := func(method, pattern string, permission cronium.Permission, handle Handler) Route {
		return Route{Method: method, Pattern: pattern, Permission: permission, Kind: KindPage, Handle: handle}
	}
	test := Route{Method: http.MethodPost, Pattern: "/servers/test", Permission: cronium.PermissionAdmin, Kind: KindStream, Handle: h.testServer}
	return []Route{
		page(http.MethodGet, "/servers", cronium.PermissionRead, h.serversPage),
		page(http.MethodPost, "/servers", cronium.PermissionAdmin, h.addServer),
		page(http.MethodGet, "/servers/new", cronium.PermissionAdmin, h.newServerPage),
		test,
		page(http.MethodGet, "/servers/import", cronium.PermissionAdmin, h.importPage),
		{Method: http.MethodPost, Pattern: "/servers/import", Permission: cronium.PermissionAdmin, Kind: KindPage, Handle: h.importServers, MaxBody: importBytes},
		page(http.MethodGet, "/servers/keys", cronium.PermissionAdmin, h.hostKeysPage),
		page(http.MethodPost, "/servers/keys", cronium.PermissionAdmin, h.confirmHostKeys),
		page(http.MethodGet, "/servers/{id}", cronium.PermissionRead, h.serverPage),
		page(http.MethodGet, "/servers/{id}/edit", cronium.PermissionAdmin, h.editServerPage),
		page(http.MethodPost, "/servers/{id}/edit", cronium.PermissionAdmin, h.editServer),
		page(http.MethodPost, "/servers/{id}/key", cronium.PermissionAdmin, h.decideHostKey),
		page(http.MethodPost, "/servers/{id}/archive", cronium.PermissionAdmin, h.archiveServerByForm),
		page(http.MethodPost, "/servers/{id}/delete", cronium.PermissionAdmin, h.deleteServerByForm),
	}
}

// serversFrame is the frame of a page about servers.
func (h *Handlers) serversFrame(r *http.Request, title string, path ...layout.Crumb) (layout.Frame, error) {
	f, err := h.counted(r, title, layout.NavServers, path...)
	switch r.URL.Query().Get("done") {
	case "added":
		f.Said = "The server is added."
	case "imported":
		f.Said = "The servers are made."
	case "key":
		f.Said = "The key is decided on."
	case "keys":
		f.Said = "The keys are confirmed."
	case "deleted":
		f.Said = "The server is deleted."
	}
	return f, err
}

// serversCrumb leads to the list.
func serversCrumb() layout.Crumb { return layout.Crumb{Label: "Servers", URL: "/servers"} }

// serversPage is the list of servers.
func (h *Handlers) serversPage(w http.ResponseWriter, r *http.Request) error {
	page := views.Servers{Query: r.URL.Query().Get("q"), After: r.URL.Query().Get("after"), Now: time.Now()}
	workspace := principal(r).WorkspaceID
	var err error
	if page.Frame, err = h.serversFrame(r, "Servers"); err != nil {
		return err
	}
	page.Live = "/live?topics=servers"
	filter, matchers, problems := serverFilter(page.Query)
	page.Problems, filter.Limit, filter.Samples = problems, pageRows+1, true
	if filter.IDs, err = h.selected(r, matchers); err != nil {
		return err
	}
	var cursor store.ServerCursor
	// An address that was cut short begins at the first page.
	if given, err := decodeCursor(page.After, &cursor); given && err == nil {
		filter.After = &cursor
	} else {
		page.After = ""
	}
	rows, err := h.Store.Servers(r.Context(), workspace, filter)
	if err != nil {
		return err
	}
	if page.States, err = h.Store.ServerStates(r.Context(), workspace); err != nil {
		return err
	}
	for _, n := range page.States {
		page.Total += n
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		page.Next = encodeCursor(rows[pageRows-1].Cursor())
	}
	for i := range rows {
		page.Rows = append(page.Rows, serverRowOf(&rows[i]))
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

func serverRowOf(r *store.ServerRow) views.ServerRow {
	row := views.ServerRow{Server: r.Server, Status: r.Status, Running: r.Running}
	for _, s := range r.Samples {
		row.Samples = append(row.Samples, views.ServerSample{At: s.At, Up: s.Up, Load: s.Load, Memory: s.Memory, Disk: s.Disk, Latency: s.Latency})
	}
	return row
}

// selected are the servers that all selectors choose; nil, which is all, without
// any.
func (h *Handlers) selected(r *http.Request, selectors []*cronium.Selector) ([]cronium.ID, error) {
	if len(selectors) == 0 {
		return nil, nil
	}
	all, err := h.Store.ServersMatching(r.Context(), principal(r).WorkspaceID)
	if err != nil {
		return nil, err
	}
	ids := []cronium.ID{}
	for _, s := range all {
		chosen := true
		for _, selector := range selectors {
			chosen = chosen && selector.Matches(s.Name, s.Environment, s.Kind, s.Tags)
		}
		if chosen {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}

var (
	serverWord   = regexp.MustCompile(`(^|\s)(\w+):("[^"]*"|\S+)`)
	selectorSign = regexp.MustCompile(`(?i)[=()]|(^|\s)(not|in)\s|\s(and|or)\s`)
)

// serverFilter reads the filter of the list of servers: words like state:offline
// and, of the rest, a selector, or words of names and addresses. What is not
// understood is left out and named in problems.
func serverFilter(query string) (filter store.ServerFilter, selectors []*cronium.Selector, problems []string) {
	rest := serverWord.ReplaceAllStringFunc(query, func(word string) string {
		parts := serverWord.FindStringSubmatch(word)
		key, value := strings.ToLower(parts[2]), strings.Trim(parts[3], `"`)
		selector, problem := serverFilterWord(&filter, key, value)
		if problem != "" {
			problems = append(problems, problem)
		}
		if selector != nil {
			selectors = append(selectors, selector)
		}
		return " "
	})
	rest = strings.TrimSpace(rest)
	if !selectorSign.MatchString(rest) {
		filter.Query = strings.Trim(rest, `"`)
		return filter, selectors, problems
	}
	selector, err := cronium.ParseSelector(rest)
	var wrong *cronium.SelectorError
	if errors.As(err, &wrong) {
		return filter, selectors, append(problems, fmt.Sprintf("“%s” is not a selector yet: at its character %d, %s.", rest, wrong.At, wrong.Message))
	}
	return filter, append(selectors, selector), problems
}

func serverFilterWord(filter *store.ServerFilter, key, value string) (selector *cronium.Selector, problem string) {
	switch key {
	case "state":
		states := map[string]cronium.ServerState{"online": cronium.ServerOnline, "offline": cronium.ServerOffline, "blocked": cronium.ServerBlocked, "unknown": cronium.ServerUnknown}
		state, known := states[strings.ToLower(value)]
		if !known {
			return nil, fmt.Sprintf("“state:%s” is not known. It can be online, offline, blocked or unknown.", value)
		}
		filter.State = []cronium.ServerState{state}
	case "kind":
		filter.Kind = cronium.ServerKind(strings.ToLower(value))
		if filter.Kind != cronium.ServerSSH && filter.Kind != cronium.ServerAgent {
			filter.Kind = ""
			return nil, fmt.Sprintf("“kind:%s” is not known. It can be ssh or agent.", value)
		}
	case "is":
		if filter.Archived = value == "archived"; !filter.Archived {
			return nil, fmt.Sprintf("“is:%s” is not known. It can be archived.", value)
		}
	case "env", "environment", "tag":
		text := "env=" + strconv.Quote(value)
		if tag, of, pair := strings.Cut(value, "="); key == "tag" && pair {
			text = tag + "=" + strconv.Quote(of)
		} else if key == "tag" {
			text = value
		}
		selector, err := cronium.ParseSelector(text)
		if err != nil {
			return nil, fmt.Sprintf("“%s:%s” is not a tag. Write tag:role=web, or tag:gpu for whatever has it.", key, value)
		}
		return selector, ""
	default:
		return nil, fmt.Sprintf("“%s” is not a filter. Known are state, kind, env, tag and is; or write a selector, like env=prod and role=web.", key)
	}
	return nil, ""
}

// backToServer is a server's page with what just happened.
func backToServer(id cronium.ID, done string) string {
	return "/servers/" + id.String() + "?" + url.Values{"done": {done}}.Encode()
}
