package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// form is the editor's form of a new event, as a browser sends it.
func form(base string, pairs ...string) url.Values {
	v := url.Values{
		"base": {base}, "name": {"Backup"}, "description": {""}, "note": {""}, "tab": {"script"},
		"file_name": {"script.py"}, "file_content": {"print(1)\r\n"}, "entry": {"0"}, "input": {""}, "input_schema": {""},
		"target": {"container"}, "image": {""}, "network": {"internet"}, "priority": {"NORMAL"}, "concurrency": {"0"},
		"limits.timeout_seconds": {"5 min"}, "limits.memory_mib": {"256"}, "limits.cpus": {"1"}, "limits.processes": {"128"},
		"limits.disk_mib": {"64"}, "limits.output_mib": {"64"}, "limits.artifact_mib": {"64"},
		"retry.attempts": {"1"}, "retry.initial_seconds": {"10 s"}, "retry.factor": {"2"}, "retry.max_seconds": {"10 min"}, "retry.exit_codes": {""},
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

// makeEvent makes an event by its page and returns its address.
func makeEvent(t *testing.T, b *browser, name string) string {
	t.Helper()
	res := b.post("/events", url.Values{"name": {name}, "type": {"PYTHON"}, "description": {""}})
	res.want(t, http.StatusSeeOther)
	return res.Header.Get("Location")
}

func activate(t *testing.T, b *browser, event string) {
	t.Helper()
	b.post(event+"/status", url.Values{"status": {"ACTIVE"}}).want(t, http.StatusSeeOther)
}

func TestSavingMakesAVersionAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	event := makeEvent(t, b, "Backup")
	b.get(event).want(t, http.StatusOK, "<h1>Backup</h1>", "Save version 2", "A draft runs by Test run alone")

	b.post(event, form("1", "note", "prints")).want(t, http.StatusSeeOther)
	b.get(event).want(t, http.StatusOK, "print(1)", "Save version 3")
	b.post(event, form("2")).want(t, http.StatusSeeOther)                         // the same again
	b.post(event, form("2", "name", "Night backup")).want(t, http.StatusSeeOther) // only the name
	b.get(event).want(t, http.StatusOK, "<h1>Night backup</h1>", "Save version 3")
	b.get(event+"/history").want(t, http.StatusOK, "prints", "Version 2")
	b.get(event+"/versions/2?compare=1").want(t, http.StatusOK, "Version 1 → 2", "<del>", "<ins>")

	b.post(event+"/versions/1/restore", url.Values{"base": {"2"}}).want(t, http.StatusSeeOther)
	b.get(event).want(t, http.StatusOK, "Hello from", "Save version 4")
	b.get(event+"/versions/9").want(t, http.StatusNotFound)
	b.get(event+"/versions/-1").want(t, http.StatusNotFound)
	b.get(event+"/versions/02").want(t, http.StatusNotFound)
}

func TestWhatWasTypedStaysWhenItIsNotAccepted(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	event := makeEvent(t, b, "Backup")

	res := b.post(event, form("1", "limits.memory_mib", "lots", "limits.timeout_seconds", "soon", "file_name", "../x.py", "retry.exit_codes", "75, x", "note", "my note"))
	res.want(t, http.StatusUnprocessableEntity, `value="lots"`, `value="soon"`, `value="../x.py"`, `value="75, x"`, "my note", "print(1)",
		`id="f-limits-memory_mib-problem"`, "Must be a whole number, like 256.", `id="f-files-0-name"`)
	if strings.Contains(res.text, "must be between 16 and 65,536") {
		t.Error("a field that cannot be read is named twice")
	}
	b.post(event, form("1", "input_schema", `{"type": 7}`)).want(t, http.StatusUnprocessableEntity, "f-input_schema-problem", "{&#34;type&#34;: 7}")
	b.post(event, form("1", "input", `{"a": }`)).want(t, http.StatusUnprocessableEntity, "f-input-problem")

	b.post(event, form("1")).want(t, http.StatusSeeOther)
	b.post(event, form("1", "file_content", "print('mine')")).want(t, http.StatusConflict, "Mira Lund saved version 2", "print(&#39;mine&#39;)")
	b.get(event).want(t, http.StatusOK, "Save version 3")

	b.post("/events", url.Values{"name": {""}, "type": {"COBOL"}, "description": {"kept"}}).want(t, http.StatusUnprocessableEntity, "kept", "f-name-problem", "Must be PYTHON, NODEJS, BASH or HTTP_REQUEST.")
	b.post("/events", url.Values{"name": {"backup"}, "type": {"BASH"}}).want(t, http.StatusConflict, "f-name-problem")
	b.post("/events", url.Values{"run": {"1"}, "name": {"Hello"}, "type": {"BASH"}, "script": {strings.Repeat("x", 1<<20+1)}}).want(t, http.StatusUnprocessableEntity, "at most 1 MiB")
}

func TestARunTakesItsInputFromTheFormOfTheSchema(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	event := makeEvent(t, b, "Invoices")
	b.post(event, form("1", "name", "Invoices", "input_schema",
		`{"type":"object","properties":{"customer":{"type":"integer","title":"Customer"},"dry":{"type":"boolean"}},"required":["customer"]}`)).want(t, http.StatusSeeOther)
	b.post(event+"/run", url.Values{}).want(t, http.StatusConflict) // a draft
	activate(t, b, event)

	b.get(event+"/run").want(t, http.StatusOK, `name="input.customer"`, "Customer")
	b.post(event+"/run", url.Values{"input.customer": {"seven"}}).want(t, http.StatusUnprocessableEntity, `value="seven"`, "f-input-customer-problem")
	res := b.post(event+"/run", url.Values{"input.customer": {"7"}, "input.dry": {"true"}})
	res.want(t, http.StatusSeeOther)
	job := res.Header.Get("Location")
	b.get(job).want(t, http.StatusOK, "&#34;customer&#34;: 7", "&#34;dry&#34;: true", "Queued")
	b.get(event+"/run?job="+strings.TrimPrefix(job, "/jobs/")).want(t, http.StatusOK, `value="7"`)

	again := b.post(job+"/rerun", url.Values{})
	again.want(t, http.StatusSeeOther)
	b.get(again.Header.Get("Location")).want(t, http.StatusOK, "&#34;customer&#34;: 7", "again by Mira Lund", job)
	b.post(job+"/cancel", url.Values{}).want(t, http.StatusSeeOther)
	b.get(job).want(t, http.StatusOK, "Cancelled", "Run again")
}

func TestATestRunLeavesNoVersion(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	event := makeEvent(t, b, "Backup")
	b.header.Set("HX-Request", "true")
	b.post(event+"/test", form("1", "file_content", "print('draft')")).want(t, http.StatusOK, "Test run", "/live?topics=job:")
	b.post(event+"/test", form("1", "limits.cpus", "many")).want(t, http.StatusUnprocessableEntity, "Processor must be a number")
	b.header.Del("HX-Request")
	b.get(event).want(t, http.StatusOK, "Save version 2", "Hello from")
	b.get("/jobs?q=by:test").want(t, http.StatusOK, "test by Mira Lund")
}

func TestAListShowsItsFilterAndItsPages(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	for i := range 51 {
		e := &cronium.Event{Name: fmt.Sprintf("Event %02d", i), Type: cronium.EventBash, Status: cronium.EventActive}
		if err := s.store.CreateEvent(t.Context(), s.home, e, cronium.NewContent(e.Type), "", store.Author{}); err != nil {
			t.Fatal(err)
		}
		b.post("/events/"+e.ID.String()+"/run", url.Values{}).want(t, http.StatusSeeOther)
	}
	first := b.get("/events")
	first.want(t, http.StatusOK, "Event 49", `rel="next"`)
	if strings.Contains(first.text, "Event 50") {
		t.Error("the first page has 51 rows")
	}
	next := strings.Split(strings.Split(first.text, `href="/events?after=`)[1], `"`)[0]
	b.get("/events?after="+next).want(t, http.StatusOK, "Event 50", "First page")
	b.get("/events?q=type:python").want(t, http.StatusOK, "No event matches")
	b.get("/events?q=size:big+07").want(t, http.StatusOK, "“size” is not a filter", "Event 07")

	list := b.get("/jobs?q=07")
	list.want(t, http.StatusOK, "Event 07", "Queued")
	if strings.Contains(list.text, "Event 08") {
		t.Error("the filter left others in")
	}
	fresh := strings.ReplaceAll(strings.Split(strings.Split(list.text, `hx-get="/jobs?`)[1], `"`)[0], "&amp;", "&")
	b.get("/jobs?"+fresh).want(t, http.StatusOK, "<hx-partial", "Queued")
	newest := b.get("/jobs")
	newest.want(t, http.StatusOK, "Event 50", "Older")
	if strings.Contains(newest.text, "Event 00") {
		t.Error("the first page has 51 rows")
	}
	older := strings.Split(strings.Split(newest.text, `href="/jobs?before=`)[1], `"`)[0]
	b.get("/jobs?before="+older).want(t, http.StatusOK, "Event 00", "Newest")
	b.get("/palette?q=event+07").want(t, http.StatusOK, "Run Event 07")
}

func TestSelectedRowsAreActedOnTogether(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	a, c := makeEvent(t, b, "A"), makeEvent(t, b, "C")
	ids := []string{strings.TrimPrefix(a, "/events/"), strings.TrimPrefix(c, "/events/")}
	b.post("/events/bulk", url.Values{"act": {"activate"}, "event": ids, "q": {"type:python"}}).want(t, http.StatusSeeOther)
	b.get("/events?q=status:active").want(t, http.StatusOK, ">A<", ">C<")
	b.post("/events/bulk", url.Values{"act": {"explode"}, "event": ids}).want(t, http.StatusUnprocessableEntity)
	b.post("/events/bulk", url.Values{"act": {"pause"}}).want(t, http.StatusUnprocessableEntity, "Select 1 to 200 rows first.")
	job := b.post(a+"/run", url.Values{}).Header.Get("Location")
	b.post("/jobs/bulk", url.Values{"act": {"cancel"}, "job": {strings.TrimPrefix(job, "/jobs/")}}).want(t, http.StatusSeeOther)
	b.get(job).want(t, http.StatusOK, "Cancelled")
	b.post("/jobs/bulk", url.Values{"act": {"cancel"}, "job": {cronium.NewID().String()}}).want(t, http.StatusNotFound)
}

func TestARefusedRowDoesNotKeepTheOthersFromBeingChanged(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	first, twin := makeEvent(t, b, "First <b>"), makeEvent(t, b, "Twin")
	b.post(twin+"/status", url.Values{"status": {"ARCHIVED"}}).want(t, http.StatusSeeOther)
	makeEvent(t, b, "twin")
	last := makeEvent(t, b, "Last")
	id := func(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
	res := b.post("/events/bulk", url.Values{"act": {"activate"}, "event": {id(first), id(twin), cronium.NewID().String(), id(last)}, "q": {"type:python"}})
	res.want(t, http.StatusOK, "2 activated, 2 could not be:", "<li>Twin: There is already an event named", "There is nothing here", `value="type:python"`)
	b.get("/events?q=status:active").want(t, http.StatusOK, ">First &lt;b&gt;<", ">Last<")
	b.post("/events/bulk", url.Values{"act": {"activate"}, "event": {id(twin)}}).want(t, http.StatusConflict, "0 activated, 1 could not be:")

	run := b.post(first+"/run", url.Values{}).Header.Get("Location")
	b.post(first+"/status", url.Values{"status": {"PAUSED"}}).want(t, http.StatusSeeOther)
	other := b.post(last+"/run", url.Values{}).Header.Get("Location")
	res = b.post("/jobs/bulk", url.Values{"act": {"rerun"}, "job": {id(run), id(other)}})
	res.want(t, http.StatusOK, "1 started again, 1 could not be:", "First &lt;b&gt; ", "is paused")
}

func TestTheLastLinesOfAFailureAreThoseThatATerminalShows(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	r := s.running(t, cronium.Chunk{Stream: cronium.Stdout, Data: []byte("loading 10%\rloading 99%\r\x1b[Kloaded\n\x1b(B\x1b[31mboom\x1b(B\x1b[m\r\n")})
	r.finish(t, cronium.ExecutionFailure)
	res := b.get("/jobs/" + r.job.String())
	res.want(t, http.StatusOK, "loaded\nboom")
	if strings.Contains(res.text, "10%") || strings.Contains(res.text, "(B") {
		t.Errorf("crumbs of the terminal's language are shown\n%s", res.text)
	}
}

func TestAViewerSeesEverythingAndIsOfferedNothing(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.add(t, s.home, "vera@example.com", cronium.RoleViewer)
	admin, viewer := s.signedIn(t, "mira@example.com"), s.signedIn(t, "vera@example.com")
	event := makeEvent(t, admin, "Backup")
	activate(t, admin, event)
	job := admin.post(event+"/run", url.Values{}).Header.Get("Location")
	for _, path := range []string{"/", "/events", event, event + "/limits", event + "/history", event + "/runs", event + "/versions/1", "/jobs", job, "/palette?q=back"} {
		res := viewer.get(path)
		res.want(t, http.StatusOK)
		for _, offer := range []string{"New event", "Save version", `name="act"`, "Cancel run", event + `/run"`, event + `/status"`, event + `/delete"`} {
			if strings.Contains(res.text, offer) {
				t.Errorf("%s offers %q", path, offer)
			}
		}
	}
	for _, path := range []string{event, event + "/run", event + "/test", event + "/status", event + "/duplicate", event + "/delete", event + "/versions/1/restore", job + "/cancel", job + "/rerun", "/jobs/bulk", "/events/bulk", "/events"} {
		viewer.post(path, url.Values{}).want(t, http.StatusForbidden)
	}
}

func TestFullNetworkDoesNotPassOnByCopying(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.add(t, s.home, "uma@example.com", cronium.RoleUser)
	admin, user := s.signedIn(t, "mira@example.com"), s.signedIn(t, "uma@example.com")
	event := makeEvent(t, admin, "Inside")
	admin.post(event, form("1", "name", "Inside", "network", "full")).want(t, http.StatusSeeOther)
	user.post(event, form("2", "name", "Inside", "network", "full")).want(t, http.StatusUnprocessableEntity, "f-network")
	user.post(event+"/test", form("2", "network", "full")).want(t, http.StatusUnprocessableEntity)
	user.post(event+"/duplicate", url.Values{}).want(t, http.StatusUnprocessableEntity)
	user.post(event, form("2", "name", "Inside")).want(t, http.StatusSeeOther)
	user.post(event+"/versions/2/restore", url.Values{"base": {"3"}}).want(t, http.StatusUnprocessableEntity)
	admin.post(event+"/versions/2/restore", url.Values{"base": {"3"}}).want(t, http.StatusSeeOther)
}
