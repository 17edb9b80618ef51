package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/handlers"
	"cronium.dev/jobs"
	"cronium.dev/store"
)

// withServers lets the site's engine accept jobs on servers.
func withServers(t *testing.T) func(*handlers.Config) {
	return func(c *handlers.Config) {
		engine, err := jobs.New(jobs.Config{ID: cronium.NewID(), Store: c.Store, Hub: c.Hub, Log: c.Log, Version: "test", MaxRuns: 1,
			Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: noPlace{}, cronium.TargetSSH: noPlace{}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Engine = engine
	}
}

// fleetEvent makes an event on all servers, and gives these servers by name.
func (s *site) fleetEvent(t *testing.T, names ...string) (cronium.ID, map[string]cronium.ID) {
	t.Helper()
	servers := map[string]cronium.ID{}
	for _, name := range names {
		id := cronium.NewID()
		servers[name] = id
		s.exec(t, `INSERT INTO servers (id, workspace_id, name, kind, tags) VALUES ($1, $2, $3, 'ssh', $4)`, id, s.home, name, map[string]string{"n": name})
		s.exec(t, `INSERT INTO server_states (server_id, workspace_id) VALUES ($1, $2)`, id, s.home)
	}
	content := cronium.NewContent(cronium.EventPython)
	content.Target, content.On = cronium.TargetServers, &cronium.Fleet{Selector: "n"}
	content.On.Complete()
	event := &cronium.Event{Name: "Everywhere", Type: cronium.EventPython, Status: cronium.EventActive}
	if err := s.store.CreateEvent(t.Context(), s.home, event, content, "", store.Author{ID: cronium.NewID(), Name: "Mira"}); err != nil {
		t.Fatal(err)
	}
	return event.ID, servers
}

func (s *site) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := s.store.WorkerPool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

type targetList struct {
	Targets []struct {
		Server, Status, Reason string
		OutputHash             string `json:"output_hash"`
	}
	Next string
}

func (l targetList) String() string {
	var all []string
	for _, t := range l.Targets {
		all = append(all, t.Server+" "+t.Status)
	}
	return strings.Join(all, ", ")
}

func TestTheServersOfAJobAreListedFilteredAndGathered(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.program(t, cronium.ScopeRun)
	event, servers := s.fleetEvent(t, "a", "b", "c", "d")
	job := read[struct{ ID cronium.ID }](t, b.call(http.MethodPost, "/events/"+event.String()+"/run", nil), http.StatusAccepted).ID
	s.exec(t, `UPDATE jobs SET status = 'FAILED', result = 'PARTIAL', targets = 4, targets_succeeded = 2, targets_failed = 1 WHERE id = $1`, job)
	for i, c := range []struct{ name, status, reason, hash string }{
		{"a", "SUCCESS", "", "same"}, {"b", "FAILURE", "", "other"}, {"c", "SUCCESS", "", "same"}, {"d", "SKIPPED", "It is away.", ""},
	} {
		var hash []byte
		var execution *cronium.ID
		if c.hash != "" {
			id := cronium.NewID()
			hash, execution = []byte(c.hash), &id
		}
		s.exec(t, `INSERT INTO job_targets (job_id, server_id, workspace_id, position, kind, name, status, reason, output_hash, execution_id)
			VALUES ($1, $2, $3, $4, 'ssh', $5, $6, $7, $8, $9)`, job, servers[c.name], s.home, i, c.name, c.status, c.reason, hash, execution)
	}
	path := "/jobs/" + job.String() + "/targets"
	list := func(query string) targetList {
		return read[targetList](t, b.call(http.MethodGet, path+query, nil), http.StatusOK)
	}
	if got := list("").String(); got != "a SUCCESS, b FAILURE, c SUCCESS, d SKIPPED" {
		t.Error(got)
	}
	if got := list("?status=FAILURE,SKIPPED"); got.String() != "b FAILURE, d SKIPPED" || got.Targets[1].Reason != "It is away." {
		t.Errorf("%+v", got)
	}
	if got := list("?output_hash=" + list("").Targets[0].OutputHash).String(); got != "a SUCCESS, c SUCCESS" {
		t.Error(got)
	}
	first := list("?limit=3")
	if second := list("?limit=3&cursor=" + first.Next); len(first.Targets) != 3 || second.String() != "d SKIPPED" || second.Next != "" {
		t.Errorf("%s; then %s", first, second)
	}
	b.call(http.MethodGet, path+"?status=LATE", nil).want(t, http.StatusUnprocessableEntity)
	b.call(http.MethodGet, path+"?output_hash=xyz", nil).want(t, http.StatusUnprocessableEntity)
	groups := read[struct {
		Groups []struct {
			Count   int
			Servers []string
		}
	}](t, b.call(http.MethodGet, "/jobs/"+job.String()+"/target-groups", nil), http.StatusOK)
	if got := fmt.Sprint(groups.Groups); got != "[{2 [a c]} {1 [b]}]" {
		t.Error(got)
	}
	one := read[struct{ Targets, Succeeded, Failed int }](t, b.call(http.MethodGet, "/jobs/"+job.String(), nil), http.StatusOK)
	if one.Targets != 4 || one.Succeeded != 2 || one.Failed != 1 {
		t.Errorf("%+v", one)
	}

	again := read[struct{ ID cronium.ID }](t, b.call(http.MethodPost, "/jobs/"+job.String()+"/rerun", map[string]any{"targets": "failed"}), http.StatusAccepted).ID
	row, err := s.store.Job(t.Context(), s.home, again)
	if err != nil || len(row.Servers) != 2 || row.Servers[0] != servers["b"] || row.Servers[1] != servers["d"] {
		t.Errorf("runs again on %v, %v", row.Servers, err)
	}
	b.call(http.MethodPost, "/jobs/"+again.String()+"/rerun", map[string]any{"targets": "failed"}).want(t, http.StatusConflict) // it has not ended
}

func TestARunMayChooseItsServers(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.program(t, cronium.ScopeRun)
	event, servers := s.fleetEvent(t, "a", "b", "c")
	run := func(body map[string]any) answer {
		return b.call(http.MethodPost, "/events/"+event.String()+"/run", body)
	}
	for name, body := range map[string]map[string]any{
		"a selector": {"on": "n in (a, c)"},
		"ids":        {"servers": []cronium.ID{servers["a"], servers["c"]}},
	} {
		job := read[struct{ ID cronium.ID }](t, run(body), http.StatusAccepted).ID
		row, err := s.store.Job(t.Context(), s.home, job)
		if err != nil || len(row.Servers) != 2 || row.Servers[0] != servers["a"] || row.Servers[1] != servers["c"] {
			t.Errorf("%s: %v, %v", name, row.Servers, err)
		}
	}
	other := cronium.NewID()
	s.exec(t, `INSERT INTO workspaces (id, slug, name) VALUES ($1, 'other', 'Other')`, other)
	foreign := cronium.NewID()
	s.exec(t, `INSERT INTO servers (id, workspace_id, name, kind) VALUES ($1, $2, 'theirs', 'ssh')`, foreign, other)
	for name, c := range map[string]struct {
		body   map[string]any
		status int
	}{
		"matches none":              {map[string]any{"on": "n=z"}, http.StatusUnprocessableEntity},
		"cannot be read":            {map[string]any{"on": "n=("}, http.StatusUnprocessableEntity},
		"both":                      {map[string]any{"on": "n", "servers": []cronium.ID{servers["a"]}}, http.StatusUnprocessableEntity},
		"no such server":            {map[string]any{"servers": []cronium.ID{cronium.NewID()}}, http.StatusNotFound},
		"another workspace's":       {map[string]any{"servers": []cronium.ID{foreign}}, http.StatusNotFound},
		"one twice":                 {map[string]any{"servers": []cronium.ID{servers["a"], servers["a"]}}, http.StatusNotFound},
		"not a server's identifier": {map[string]any{"servers": []string{"a"}}, http.StatusUnprocessableEntity},
	} {
		if got := run(c.body); got.StatusCode != c.status {
			t.Errorf("%s: %s %s", name, got.Status, got.text)
		}
	}
	content := cronium.NewContent(cronium.EventPython)
	plain := &cronium.Event{Name: "Here", Type: cronium.EventPython, Status: cronium.EventActive}
	if err := s.store.CreateEvent(t.Context(), s.home, plain, content, "", store.Author{ID: cronium.NewID(), Name: "Mira"}); err != nil {
		t.Fatal(err)
	}
	b.call(http.MethodPost, "/events/"+plain.ID.String()+"/run", map[string]any{"on": "n"}).want(t, http.StatusUnprocessableEntity)
}

func TestAnEventOnServersIsMadeByTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.program(t, cronium.ScopeWrite)
	event := func(on map[string]any) answer {
		return b.call(http.MethodPost, "/events", map[string]any{"name": "Rolling " + cronium.NewID().String(), "type": "BASH", "status": "ACTIVE",
			"content": map[string]any{"target": "servers", "on": on}})
	}
	event(map[string]any{"selector": "env=prod"}).want(t, http.StatusCreated)
	event(map[string]any{"selector": "env=prod", "strategy": "ROLLING", "parallel": 5, "pause_seconds": 10, "max_failures": 10, "failure_unit": "percent"}).want(t, http.StatusCreated)
	bad := event(map[string]any{"selector": "env=prod and", "strategy": "ROLLING"})
	bad.want(t, http.StatusUnprocessableEntity)
	for _, field := range []string{"content.on.selector", "content.on.parallel"} {
		if !strings.Contains(bad.text, field) {
			t.Errorf("%s is not named in %s", field, bad.text)
		}
	}
}
