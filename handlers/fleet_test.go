package handlers_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/live"
)

func TestAnEventIsPutOnServersByItsForm(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.signedIn(t, "mira@example.com")
	_, servers := s.fleetEvent(t, "web-1", "web-2", "db-1")
	event := makeEvent(t, b, "Rotate")
	b.get(event+"/where").want(t, http.StatusOK, `value="servers"`, "web-1", "db-1", "n=web-2")

	rolling := []string{"name", "Rotate", "target", "servers", "on.choice", "selector", "on.selector", "n=web-*", "on.strategy", "ROLLING", "on.parallel", "2",
		"on.pause_seconds", "10 s", "on.failure_unit", "count", "on.max_failures", "1", "on.offline", "WAIT", "on.offline_seconds", "10 min", "on.run_as", "deploy"}
	wrong := b.post(event, form("1", append(rolling, "on.selector", "n=web and and", "on.parallel", "some", "on.offline_seconds", "soon")...))
	wrong.want(t, http.StatusUnprocessableEntity, `value="n=web and and"`, `value="some"`, `value="soon"`, "f-on-selector-problem", "at character 11",
		"f-on-parallel-problem", "f-on-offline_seconds-problem", `value="deploy"`)
	b.post(event, form("1", append(rolling, "on.selector", "")...)).want(t, http.StatusUnprocessableEntity, "f-on-selector-problem")
	b.post(event, form("1", append(rolling, "on.choice", "chosen")...)).want(t, http.StatusUnprocessableEntity, "Must be at least one")

	b.post(event, form("1", rolling...)).want(t, http.StatusSeeOther)
	id, _ := cronium.ParseID(strings.TrimPrefix(event, "/events/"))
	saved := func(version int) *cronium.Fleet {
		v, err := s.store.EventVersion(t.Context(), s.home, id, version)
		if err != nil {
			t.Fatal(err)
		}
		return v.Content.On
	}
	want := cronium.Fleet{Selector: "n=web-*", Strategy: cronium.StrategyRolling, Parallel: 2, PauseSeconds: 10, MaxFailures: 1, FailureUnit: "count",
		Offline: cronium.OfflineWait, OfflineSeconds: 600, RunAs: "deploy"}
	if on := saved(2); !reflect.DeepEqual(on, &want) {
		t.Errorf("saved is %+v, want %+v", on, want)
	}
	b.get(event).want(t, http.StatusOK, "On 2 servers that match n=web-*, in batches of 2 with 10 s between, stops after more than 1 failure.", "waited for, 10 min")
	b.post(event, form("2", rolling...)).want(t, http.StatusSeeOther) // the same again
	b.get(event).want(t, http.StatusOK, "Save version 3")

	chosen := form("2", append(rolling, "on.choice", "chosen", "on.strategy", "ALL", "on.offline", "SKIP")...)
	chosen["on.servers"] = []string{servers["db-1"].String(), servers["web-1"].String()}
	b.post(event, chosen).want(t, http.StatusSeeOther)
	if on := saved(3); on == nil || len(on.Servers) != 2 || on.Servers[0] != servers["db-1"] || on.Selector != "" || on.Parallel != 0 || on.OfflineSeconds != 0 {
		t.Errorf("saved is %+v, want what ALL and SKIP have on the chosen servers alone", on)
	}
	b.post(event, form("3", "name", "Rotate")).want(t, http.StatusSeeOther) // back into a container
	if on := saved(4); on != nil {
		t.Errorf("in a container it has servers: %+v", on)
	}
}

func TestWhatASelectorMatchesIsShownWhileItIsTyped(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.signedIn(t, "mira@example.com")
	s.fleetEvent(t, "web-1", "web-2", "db-1")
	match := func(selector string) answer {
		return b.get("/servers/match?" + url.Values{"field": {"on"}, "on": {selector}}.Encode())
	}
	found := match("n=web-*")
	found.want(t, http.StatusOK, "2 servers match", "web-1", "web-2")
	if strings.Contains(found.text, "db-1") {
		t.Errorf("db-1 does not match: %s", found.text)
	}
	match("n=nothing").want(t, http.StatusOK, "No server matches now")
	match("n=<b> and").want(t, http.StatusOK, "Character")
	if text := match("n=web-1 or <script>").text; strings.Contains(text, "<script>") {
		t.Errorf("what was typed comes back as markup: %s", text)
	}
}

func TestARunMayGoToOtherServers(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.signedIn(t, "mira@example.com")
	event, servers := s.fleetEvent(t, "web-1", "web-2", "db-1")
	path := "/events/" + event.String() + "/run"
	b.get(path).want(t, http.StatusOK, "On 3 servers that match n", `name="on"`)
	b.post(path, url.Values{"input": {`{"a": 1}`}, "on": {"n=web and"}}).want(t, http.StatusUnprocessableEntity, `value="n=web and"`, "f-on-problem", "&#34;a&#34;: 1")
	b.post(path, url.Values{"on": {"n=nothing"}}).want(t, http.StatusUnprocessableEntity, "f-on-problem")
	res := b.post(path, url.Values{"on": {"name=db-*"}})
	res.want(t, http.StatusSeeOther)
	id, _ := cronium.ParseID(strings.TrimPrefix(res.Header.Get("Location"), "/jobs/"))
	job, err := s.store.Job(t.Context(), s.home, id)
	if err != nil {
		t.Fatal(err)
	}
	if len(job.Servers) != 1 || job.Servers[0] != servers["db-1"] {
		t.Errorf("it runs on %v, want db-1", job.Servers)
	}
}

// fleetJob is a job of which one server succeeded, one failed and one runs.
func (s *site) fleetJob(t *testing.T) cronium.ID {
	t.Helper()
	event, servers := s.fleetEvent(t, "web-1", "web-2", "db-1")
	job := cronium.NewID()
	s.exec(t, `INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, trigger, triggered_by, targets, targets_succeeded, targets_failed, started_at)
		VALUES ($1, $2, $3, 1, 'NORMAL', 'RUNNING', 'MANUAL', 'Mira', 3, 1, 1, now())`, job, s.home, event)
	for i, c := range []struct{ name, status, reason string }{{"web-1", "SUCCESS", ""}, {"web-2", "FAILURE", "The <disk> is full."}, {"db-1", "RUNNING", ""}} {
		execution := cronium.NewID()
		s.exec(t, `INSERT INTO executions (id, workspace_id, job_id, attempt, target, server_id, status, started_at) VALUES ($1, $2, $3, 1, 'ssh', $4, $5, now())`,
			execution, s.home, job, servers[c.name], c.status)
		s.exec(t, `INSERT INTO job_targets (job_id, server_id, workspace_id, position, kind, name, status, reason, execution_id, attempts, started_at)
			VALUES ($1, $2, $3, $4, 'ssh', $5, $6, $7, $8, 1, now())`, job, servers[c.name], s.home, i, c.name, c.status, c.reason, execution)
	}
	return job
}

func TestThePageOfAJobOnServersShowsEachHostAndFailuresFirst(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.signedIn(t, "mira@example.com")
	path := "/jobs/" + s.fleetJob(t).String()
	page := b.get(path)
	page.want(t, http.StatusOK, "2 of 3 done", "<b>1</b> succeeded", "<b>1</b> failed", "What failed so far", "The &lt;disk&gt; is full.", `title="db-1: Running"`,
		`data-name="web-2"`) // the one that failed is shown first
	b.get(path+"?host=db-1").want(t, http.StatusOK, `data-name="db-1"`)
	b.get(path+"?tab=hosts").want(t, http.StatusOK, "?host=web-1", "?host=web-2")
	b.get(path+"?part=output&host=web-1").want(t, http.StatusOK, `data-name="web-1"`)
	b.get("/jobs").want(t, http.StatusOK, "servers 2/3")
	b.get("/").want(t, http.StatusOK, "servers 2/3")
}

// A page is sent all hosts at first, and then those alone that have changed.
func TestAHostThatChangesIsSentAlone(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, withServers(t))
	b := s.signedIn(t, "mira@example.com")
	job := s.fleetJob(t)
	page := b.open("/live?topics=job:" + job.String())
	page.next() // the parts that sum up
	first, _ := page.next()
	if n := strings.Count(first.data, `"id"`); n != 3 {
		t.Fatalf("%d hosts are sent at first, want 3: %s", n, first.data)
	}
	s.exec(t, `UPDATE job_targets SET status = 'SUCCESS', finished_at = now() WHERE job_id = $1 AND name = 'db-1'`, job)
	s.Hub.Publish(live.JobTopic(job))
	page.next()
	next, _ := page.next()
	if n := strings.Count(next.data, `"id"`); n != 1 || !strings.Contains(next.data, "db-1: Success") {
		t.Errorf("one host has changed, and sent is %s", next.data)
	}
}
