package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

func TestWrongInputIsNamedFieldByField(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.add(t, s.home, "user@example.com", cronium.RoleUser)
	b := s.signedIn(t, "user@example.com")
	e := read[struct{ ID string }](t, b.call("POST", "/events", object{"name": "E", "type": "BASH", "status": "ACTIVE"}), 201)
	content := func(key string, value any) object {
		return object{"name": "X", "type": "BASH", "content": object{key: value}}
	}
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for name, c := range map[string]struct {
		method, path string
		body         any
		want         string
	}{
		"nothing":             {"POST", "/events", object{}, "name type"},
		"no body":             {"POST", "/events", nil, "body"},
		"not JSON":            {"POST", "/events", "{", "body"},
		"JSON that is deep":   {"POST", "/events", `{"name":"X","content":{"input":` + deep + `}}`, "body"},
		"another type":        {"POST", "/events", object{"name": 7, "type": "BASH"}, "name"},
		"an unknown type":     {"POST", "/events", object{"name": "X", "type": "PERL"}, "type"},
		"an unknown field":    {"POST", "/events", object{"name": "X", "type": "BASH", "colour": 1}, "colour"},
		"an unknown limit":    {"POST", "/events", content("limits", object{"memory": 1}), "content.limits.memory"},
		"limits out of range": {"POST", "/events", content("limits", object{"cpus": 0, "timeout_seconds": -1}), "content.limits.timeout_seconds content.limits.cpus"},
		"a file outside":      {"POST", "/events", content("files", []object{{"name": "../x", "content": ""}}), "content.files[0].name"},
		"full network":        {"POST", "/events", content("network", "full"), "content.network"},
		"process target":      {"POST", "/events", content("target", "process"), "content.target"},
		"a remote schema":     {"POST", "/events", content("input_schema", object{"$ref": "http://127.0.0.1/"}), "content.input_schema"},
		"a default input that does not fit": {"POST", "/events", object{"name": "X", "type": "BASH", "content": object{
			"input_schema": object{"type": "object", "required": []string{"a"}}, "input": object{}}}, "content.input.a"},
		"an empty name":       {"PATCH", "/events/" + e.ID, object{"name": ""}, "name"},
		"an unknown status":   {"PATCH", "/events/" + e.ID, object{"status": "GONE"}, "status"},
		"no base":             {"POST", "/events/" + e.ID + "/versions", object{"content": object{"entry": "x"}}, "base_version"},
		"no content":          {"POST", "/events/" + e.ID + "/versions", object{"base_version": 1}, "content"},
		"an unknown priority": {"POST", "/events/" + e.ID + "/run", object{"priority": "NOW"}, "priority"},
		"a long key":          {"POST", "/events/" + e.ID + "/run?", object{}, "Idempotency-Key"},
		"a filter":            {"GET", "/jobs?status=DONE", nil, "status"},
		"a misspelt filter":   {"GET", "/jobs?stauts=FAILED", nil, "stauts"},
		"a limit":             {"GET", "/jobs?limit=1000", nil, "limit"},
		"a cursor":            {"GET", "/jobs?cursor=%27", nil, "cursor"},
		"a changed cursor":    {"GET", "/events?cursor=e30x", nil, "cursor"},
		"a time":              {"GET", "/jobs?since=yesterday", nil, "since"},
		"an id in a filter":   {"GET", "/jobs?event_id=7", nil, "event_id"},
	} {
		headers := []string{}
		if name == "a long key" {
			headers = []string{"Idempotency-Key", strings.Repeat("k", 201)}
		}
		if got := strings.Join(fields(t, b.call(c.method, c.path, c.body, headers...), 422), " "); got != c.want {
			t.Errorf("%s: wrong fields %q, want %q", name, got, c.want)
		}
	}
	b.call("GET", "/jobs?status=DONE", nil).want(t, 422, "QUEUED, CLAIMED, RUNNING, COMPLETED, FAILED, CANCELLED with commas between")
	b.call("POST", "/events", "name=X", "Content-Type", "application/x-www-form-urlencoded").want(t, 415, "must be JSON")
	b.call("POST", "/events", `{"name":"`+strings.Repeat("x", 9<<20)+`"}`).want(t, 413, "too_large")
	if secret := b.call("POST", "/events", `{"name": 7, "description": "hunter2"}`).text; strings.Contains(secret, "hunter2") {
		t.Errorf("what was sent is sent back: %s", secret)
	}
}

func TestARefusalSaysWhatIsAccepted(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	for _, c := range []struct {
		method, path string
		body         any
		field, says  string
	}{
		{"GET", "/jobs?stauts=FAILED", nil, "stauts", "is not a parameter of this address, which takes cursor, event, event_id, fields, id, limit, result, since, status, trigger, until"},
		{"GET", "/whoami?a=1", nil, "a", "is not a parameter of this address, which takes fields"},
		{"GET", "/jobs?limit=1000", nil, "limit", "must be a whole number between 1 and 200"},
		{"GET", "/jobs?limit=many", nil, "limit", "must be a whole number between 1 and 200"},
		{"GET", "/jobs?trigger=cron", nil, "trigger", "must be MANUAL, API, RERUN or TEST"},
		{"GET", "/jobs?since=yesterday", nil, "since", "must be a moment, like 2026-11-25T14:30:00Z"},
		{"POST", "/events", nil, "body", "must be a JSON object with content, description, name, note, status, type"},
		{"POST", "/events", []int{}, "body", "must be a JSON object with content, description, name, note, status, type"},
		{"POST", "/events", "{\"name\": }", "body", "must be JSON; what was sent is not, from byte 10 on"},
		{"POST", "/events", object{"nme": "x"}, "nme", "is not known here; known are content, description, name, note, status, type"},
		{"POST", "/events", object{"name": 7}, "name", "must be text, in quotes"},
		{"POST", "/events", object{"type": "PERL"}, "type", "must be PYTHON, NODEJS, BASH or HTTP_REQUEST"},
		{"POST", "/events", object{"content": 7}, "content", "must be a JSON object with concurrency, entry, environment"},
		{"POST", "/events", object{"content": object{"files": 7}}, "content.files", "must be a list, in brackets"},
		{"POST", "/events", object{"content": object{"files": []int{7}}}, "content.files[0]", "must be a JSON object with content, name"},
		{"POST", "/events", object{"content": object{"files": []object{{"name": "x"}}}}, "content.files[0].content", "must be there: text, in quotes"},
		{"POST", "/events", object{"content": object{"files": []object{{"name": "x", "content": "", "mode": 1}}}}, "content.files[0].mode", "is not known here; known are content, name"},
		{"POST", "/events", object{"content": object{"limits": object{"memory.mib": 1}}}, "content.limits.memory.mib", "is not known here; known are artifact_mib, cpus, disk_mib"},
		{"POST", "/events", object{"content": object{"concurrency": "two"}}, "content.concurrency", "must be a whole number, like 7"},
		{"POST", "/events", object{"content": object{"concurrency": 1.5}}, "content.concurrency", "must be a whole number, like 7"},
		{"POST", "/events", `{"name": "X", "type": "BASH", "content": {"concurrency": 1e300}}`, "content.concurrency", "must be a whole number, like 7"},
		{"POST", "/events", object{"content": object{"retry": object{"on_timeout": "yes"}}}, "content.retry.on_timeout", "must be true or false"},
		{"POST", "/events", object{strings.Repeat("n", 500): 1}, strings.Repeat("n", 100) + "…", "is not known here"},
		{"POST", "/tokens", object{"expires_at": "soon"}, "expires_at", "must be a moment, like 2026-11-25T14:30:00Z"},
	} {
		a := b.call(c.method, c.path, c.body)
		p := read[struct{ Fields []cronium.FieldError }](t, a, 422)
		if len(p.Fields) == 0 || p.Fields[0].Field != c.field || !strings.HasPrefix(p.Fields[0].Message, c.says) {
			t.Errorf("%s %s %v: %s", c.method, c.path, c.body, a.text)
		}
	}
}

// Whatever is asked of the API wrongly, no answer is in the words of the
// library beneath.
func TestNoOperationRefusesInWordsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	for _, route := range s.Routes() {
		path, ok := strings.CutPrefix(route.Pattern, "/api/v1")
		if !ok {
			continue
		}
		path = strings.ReplaceAll(fill(t, path, cronium.NewID().String()), "?q=x", "")
		for _, a := range []answer{
			b.call(route.Method, path+"?no_such=1&limit=x", nil),
			b.call(route.Method, path+"?limit=x&since=x&lines=x&stream=x", nil),
			b.call(route.Method, path, "7"), b.call(route.Method, path, `{"no_such": 1}`), b.call(route.Method, path, "{"),
		} {
			if a.StatusCode < 400 || a.StatusCode == http.StatusNotFound {
				continue // it takes no body
			}
			p := read[struct{ Fields []cronium.FieldError }](t, a, 422)
			for _, f := range p.Fields {
				if !strings.HasPrefix(f.Message, "must ") && !strings.HasPrefix(f.Message, "is not ") || strings.HasPrefix(f.Message, "must be as the") {
					t.Errorf("%s %s: %s", route.Method, path, a.text)
				}
			}
			if len(p.Fields) == 0 {
				t.Errorf("%s %s names no field: %s", route.Method, path, a.text)
			}
		}
	}
}
