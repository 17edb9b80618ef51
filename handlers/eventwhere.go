package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/store"
	"cronium.dev/views"
)

// fleetForm reads the part of the editor's form that says on which servers an
// event runs. on is nil where it runs elsewhere: then what is typed there is kept
// and not judged. Fields that the choices make meaningless are not read.
func fleetForm(v url.Values, target cronium.TargetKind, read formReader) (form views.FleetForm, on *cronium.Fleet) {
	form = views.FleetForm{
		Choice: v.Get("on.choice"), Servers: v["on.servers"], Selector: strings.TrimSpace(v.Get("on.selector")),
		Strategy: cronium.Strategy(v.Get("on.strategy")), Parallel: v.Get("on.parallel"), Pause: v.Get("on.pause_seconds"),
		MaxFailures: v.Get("on.max_failures"), FailureUnit: v.Get("on.failure_unit"),
		Offline: cronium.Offline(v.Get("on.offline")), OfflineFor: v.Get("on.offline_seconds"), RunAs: strings.TrimSpace(v.Get("on.run_as")),
	}
	if target != cronium.TargetServers {
		return form, nil
	}
	on = &cronium.Fleet{Strategy: form.Strategy, Offline: form.Offline, RunAs: form.RunAs}
	if form.Choice == "selector" {
		on.Selector = form.Selector
		read.problems.Add(on.Selector != "", "on.selector", "must say which servers, like env=prod and role=web")
	} else {
		for _, text := range form.Servers {
			id, ok := cronium.ParseID(text)
			read.problems.Add(ok, "on.servers", "must be ids of servers")
			on.Servers = append(on.Servers, id)
		}
		read.problems.Add(len(on.Servers) > 0, "on.servers", "must be at least one, or choose them by a selector")
	}
	many := form.Strategy == cronium.StrategyParallel || form.Strategy == cronium.StrategyRolling
	if many {
		on.Parallel, on.FailureUnit = read.whole("on.parallel", form.Parallel), form.FailureUnit
	}
	if many && form.FailureUnit != "" {
		on.MaxFailures = read.whole("on.max_failures", form.MaxFailures)
	}
	if form.Strategy == cronium.StrategyRolling {
		on.PauseSeconds = int(read.spanOrNone("on.pause_seconds", form.Pause))
	}
	if form.Offline == cronium.OfflineWait {
		on.OfflineSeconds = int(read.span("on.offline_seconds", form.OfflineFor))
	}
	return form, on
}

// spanOrNone reads a time that may be nothing.
func (f formReader) spanOrNone(field, text string) float64 {
	if strings.TrimSpace(text) == "" {
		return 0
	}
	return f.span(field, text)
}

// choices adds to the editor which servers may be chosen, and which the
// selectors match now.
func (h *Handlers) choices(r *http.Request, page *views.Event) error {
	servers, err := h.Store.ServersMatching(r.Context(), principal(r).WorkspaceID)
	if err != nil {
		return err
	}
	for i := range servers {
		page.Servers = append(page.Servers, choiceOf(&servers[i]))
	}
	page.Matches = matchesOf(page.Form.On.Selector, servers)
	page.Matching = -1
	if on := page.Content.On; on != nil && on.Selector != "" {
		page.Matching = len(matchesOf(on.Selector, servers).Servers)
	}
	return nil
}

func choiceOf(s *store.SelectableServer) views.ServerChoice {
	var words []string
	if s.Environment != "" {
		words = append(words, s.Environment)
	}
	for key, value := range s.Tags {
		words = append(words, key+"="+value)
	}
	slices.Sort(words)
	return views.ServerChoice{ID: s.ID.String(), Name: s.Name, State: s.State, Words: strings.Join(words, " ")}
}

// matchesOf are those of the servers that a selector chooses.
func matchesOf(selector string, servers []store.SelectableServer) views.Matches {
	matches := views.Matches{Selector: selector}
	if strings.TrimSpace(selector) == "" {
		return matches
	}
	parsed, err := cronium.ParseSelector(selector)
	if err != nil {
		matches.Problem = err.Error()
		return matches
	}
	for i := range servers {
		s := &servers[i]
		if parsed.Matches(s.Name, s.Environment, s.Kind, s.Tags) {
			matches.Servers = append(matches.Servers, choiceOf(s))
		}
	}
	return matches
}

// matchServers lists the servers that what was typed into a selector's field,
// which ?field= names, matches now.
func (h *Handlers) matchServers(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	servers, err := h.Store.ServersMatching(r.Context(), principal(r).WorkspaceID)
	if err != nil {
		return err
	}
	return h.render(w, r, http.StatusOK, matchesOf(query.Get(query.Get("field")), servers).List())
}

// runOn is the part of the form of one run that chooses its servers; nil where
// the event runs elsewhere.
func (h *Handlers) runOn(r *http.Request, on *cronium.Fleet, selector string) (*views.RunOn, error) {
	if on == nil {
		return nil, nil
	}
	servers, err := h.Store.ServersMatching(r.Context(), principal(r).WorkspaceID)
	if err != nil {
		return nil, err
	}
	matching := -1
	if on.Selector != "" {
		matching = len(matchesOf(on.Selector, servers).Servers)
	}
	return &views.RunOn{Said: views.FleetWords(on, matching)[0], Selector: selector, Matches: matchesOf(selector, servers)}, nil
}
