package handlers_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// program calls the API with a token.
func (s *site) program(t *testing.T, scope cronium.Scope) *browser {
	t.Helper()
	b := s.browser(t)
	secret, _ := s.token(t, s.home, s.people["mira@example.com"].ID, scope, nil)
	b.header.Set("Authorization", "Bearer "+secret)
	return b
}

// call sends JSON, or text as it is, with headers in pairs.
func (b *browser) call(method, path string, body any, headers ...string) answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	var sent io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		sent = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, b.site.server.URL+cmp.Or(b.prefix, "/api/v1")+path, sent)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = b.header.Clone()
	if sent != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("read %s %s: %v", method, path, err)
	}
	return answer{res, string(text)}
}

// read decodes an answer of the expected status.
func read[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	a.want(t, status)
	var v T
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("%s: %v", a.text, err)
	}
	return v
}

type object = map[string]any

// fields are the names of the wrong fields that a problem tells.
func fields(t *testing.T, a answer, status int) []string {
	t.Helper()
	p := read[struct {
		Status int
		Code   string
		Detail string
		Fields []cronium.FieldError
	}](t, a, status)
	if p.Status != status || p.Detail == "" || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: %s", a.Request.Method, a.Request.URL.Path, a.text)
	}
	var names []string
	for _, f := range p.Fields {
		names = append(names, f.Field)
	}
	return names
}

func TestAnEventsLifeThroughTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	type event struct {
		ID, Name, Description, Status string
		Version                       int
		Content                       cronium.Content
	}
	created := b.call("POST", "/events", object{"name": "Report", "type": "PYTHON", "content": object{
		"files": []object{{"name": "main.py", "content": "print(1)"}}, "limits": object{"timeout_seconds": 7}}})
	e := read[event](t, created, http.StatusCreated)
	if e.Status != "DRAFT" || e.Version != 1 || e.Content.Entry != "main.py" || e.Content.Limits.TimeoutSeconds != 7 || e.Content.Limits.MemoryMiB != 256 {
		t.Errorf("%+v", e)
	}
	if got := created.Header.Get("Location"); got != "/api/v1/events/"+e.ID {
		t.Errorf("Location %q", got)
	}
	got := b.call("GET", "/events/"+e.ID, nil)
	if read[event](t, got, 200).Content.Files[0].Content != "print(1)" || got.Header.Get("ETag") != `"1"` {
		t.Errorf("%s %s", got.Header, got.text)
	}
	replacement := object{"name": "Report 2", "description": "d", "content": object{"files": []object{{"name": "a.py", "content": "print(2)"}}}, "note": "two"}
	b.call("PUT", "/events/"+e.ID, replacement).want(t, 422, "base_version")
	replaced := read[event](t, b.call("PUT", "/events/"+e.ID, replacement, "If-Match", `"1"`), 200)
	if replaced.Version != 2 || replaced.Name != "Report 2" || replaced.Content.Limits.TimeoutSeconds != 300 {
		t.Errorf("%+v", replaced)
	}
	b.call("PUT", "/events/"+e.ID, replacement, "If-Match", `"1"`).want(t, 409, "Mira Lund saved version 2", "two")
	b.call("PATCH", "/events/"+e.ID, object{"status": "ACTIVE"}).want(t, 200, `"ACTIVE"`, "Report 2")
	b.call("PATCH", "/events/"+e.ID, object{"status": "DRAFT"}).want(t, 409, "cannot become DRAFT")
	b.call("POST", "/events/"+e.ID+"/versions", object{"restore": 1, "base_version": 2}).want(t, 201, "Restored version 1", "print(1)")
	b.call("POST", "/events/"+e.ID+"/versions", object{"restore": 9, "base_version": 3}).want(t, 422, "restore")
	b.call("GET", "/events/"+e.ID+"/versions?limit=2", nil).want(t, 200, `"number":3`, `"number":2`, `"next"`)
	b.call("GET", "/events/"+e.ID+"/versions/2", nil).want(t, 200, "print(2)", `"note":"two"`)
	b.call("GET", "/events/"+e.ID+"/versions/9", nil).want(t, 404)
	b.call("POST", "/events/"+e.ID+"/duplicate", nil).want(t, 201, "Report 2 copy", "print(1)")
	b.call("POST", "/events", object{"name": "REPORT 2", "type": "BASH"}).want(t, 409, "already an event named")
	b.call("GET", "/events?name=report&status=ACTIVE,PAUSED&sort=newest", nil).want(t, 200, "Report 2", `"recent":[]`)
	b.call("DELETE", "/events/"+e.ID, nil).want(t, 204)
	b.call("GET", "/events/"+e.ID, nil).want(t, 404, "not_found")
}

func TestAReplacementNeverPutsTheStarterInPlaceOfAScript(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	e := read[struct{ ID string }](t, b.call("POST", "/events", object{"name": "Mine", "description": "d", "type": "BASH", "content": object{
		"files": []object{{"name": "x.sh", "content": "echo mine"}}}}), 201)
	for sent, want := range map[string]string{
		`{"name": "Mine", "content": {}, "base_version": 1}`:                 "content.files",
		`{"content": {"limits": {"timeout_seconds": 9}}, "base_version": 1}`: "content.files",
		`{"content": {"files": null}, "base_version": 1}`:                    "content.files",
		`{"content": {"files": []}, "base_version": 1}`:                      "content.files content.entry",
		`{"base_version": 1}`: "content",
		`{"name": "Mine", "note": "for no version", "base_version": 1}`:      "note",
		`{"name": "", "base_version": 1}`:                                    "name",
		`{"content": {"files": [{"name": "x.sh", "content": "echo mine"}]}}`: "base_version",
	} {
		if got := strings.Join(fields(t, b.call("PUT", "/events/"+e.ID, sent), 422), " "); got != want {
			t.Errorf("%s: wrong fields %q, want %q", sent, got, want)
		}
	}
	for _, path := range []string{"/versions", "/test"} {
		if got := fields(t, b.call("POST", "/events/"+e.ID+path, `{"content": {}`+map[string]string{"/versions": `, "base_version": 1`}[path]+`}`), 422); !slices.Equal(got, []string{"content.files"}) {
			t.Errorf("%s: wrong fields %q", path, got)
		}
	}
	b.call("PUT", "/events/"+e.ID, object{"name": "Other", "content": nil, "base_version": 1}).want(t, 200, `"version":1`, `"name":"Other"`, `"description":"d"`, "echo mine")
	b.call("PUT", "/events/"+e.ID, object{"description": "", "base_version": 2}).want(t, 409, "no version 2")
	b.call("PUT", "/events/"+e.ID, object{"description": ""}, "If-Match", `"1"`).want(t, 200, `"description":""`, "echo mine")
}

func TestARunIsAcceptedOnceAKey(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	admin := s.program(t, cronium.ScopeWrite)
	e := read[struct{ ID string }](t, admin.call("POST", "/events", object{"name": "E", "type": "BASH", "status": "ACTIVE", "content": object{
		"input_schema": object{"type": "object", "properties": object{"n": object{"type": "integer"}}}, "input": object{"n": 0}}}), 201)
	b := s.program(t, cronium.ScopeRun)
	ids := make(chan string, 10)
	for range 10 {
		go func() {
			a := b.call("POST", "/events/"+e.ID+"/run", object{"input": object{"n": 1}}, "Idempotency-Key", "k1")
			var job struct{ ID string }
			_ = json.Unmarshal([]byte(a.text), &job)
			ids <- fmt.Sprint(a.StatusCode, " ", job.ID)
		}()
	}
	first := <-ids
	for range 9 {
		if other := <-ids; other != first || !strings.HasPrefix(other, "202 ") {
			t.Errorf("one key gave %s and %s", first, other)
		}
	}
	b.call("POST", "/events/"+e.ID+"/run", object{"input": object{"n": 2}}, "Idempotency-Key", "k1").want(t, 409, "another request")
	if got := fields(t, b.call("POST", "/events/"+e.ID+"/run", object{"input": object{"n": "x"}}), 422); !slices.Equal(got, []string{"input.n"}) {
		t.Errorf("%v", got)
	}
	type job struct {
		ID, Status, Result, Trigger, TriggeredBy string `json:",omitempty"`
		RerunOf                                  string `json:"rerun_of"`
		Input                                    json.RawMessage
	}
	run := read[job](t, b.call("POST", "/events/"+e.ID+"/run", nil), 202)
	if run.Status != "QUEUED" || run.Trigger != "API" || string(run.Input) != `{"n":0}` {
		t.Errorf("%+v", run)
	}
	b.call("GET", "/jobs/"+run.ID, nil).want(t, 200, `"event_name":"E"`, `"triggered_by":"token ci run"`)
	b.call("POST", "/jobs/"+run.ID+"/cancel", nil).want(t, 202, `"CANCELLED"`)
	again := read[job](t, b.call("POST", "/jobs/"+run.ID+"/rerun", object{"input": object{"n": 5}}), 202)
	if again.RerunOf != run.ID || string(again.Input) != `{"n":5}` || again.Trigger != "RERUN" {
		t.Errorf("%+v", again)
	}
	b.call("POST", "/events/"+e.ID+"/test", object{"content": object{}}).want(t, 403)
	admin.call("POST", "/events/"+e.ID+"/test", object{"input": object{"n": "x"}, "content": object{
		"files": []object{{"name": "x.sh", "content": "true"}}, "input_schema": object{"properties": object{"n": object{"type": "integer"}}}}}).want(t, 422, "input.n")
	admin.call("GET", "/events/"+e.ID+"/versions/-1", nil).want(t, 404) // what was refused has left nothing
	admin.call("POST", "/events/"+e.ID+"/test", object{"content": object{"files": []object{{"name": "x.sh", "content": "true"}}}}).want(t, 202, `"version":-1`, `"TEST"`)
	admin.call("PATCH", "/events/"+e.ID, object{"status": "PAUSED"}).want(t, 200)
	b.call("POST", "/events/"+e.ID+"/run", nil).want(t, 409, "paused")
}

func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	e := read[struct{ ID string }](t, b.call("POST", "/events", object{"name": "E", "type": "BASH", "status": "ACTIVE"}), 201)
	var want []string
	for range 11 {
		want = append(want, read[struct{ ID string }](t, b.call("POST", "/events/"+e.ID+"/run", nil), 202).ID)
	}
	slices.Reverse(want)
	type page struct {
		Jobs []struct{ ID string }
		Next string
	}
	var got []string
	path := "/jobs?limit=4&event=e&status=QUEUED,RUNNING"
	for {
		a := b.call("GET", path, nil)
		p := read[page](t, a, 200)
		for _, j := range p.Jobs {
			got = append(got, j.ID)
		}
		link := a.Header.Get("Link")
		if (p.Next == "") != (link == "") {
			t.Fatalf("next %q and Link %q", p.Next, link)
		}
		if p.Next == "" {
			break
		}
		next, _, _ := strings.Cut(strings.TrimPrefix(link, "</api/v1"), ">")
		path = next
	}
	if !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestWhoamiTellsTheTokenAndWhatItMay(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.program(t, cronium.ScopeRead).call("GET", "/whoami", nil).want(t, 200, `"scope":"read"`, `"permissions":["public","account","read"]`, `"role":"ADMIN"`)
	session := s.signedIn(t, "mira@example.com")
	session.call("GET", "/whoami", nil).want(t, 200, "mira@example.com", `"admin"`)
	made := session.call("POST", "/tokens", object{"name": "deploy", "scope": "run"})
	token := read[struct{ ID, Token string }](t, made, 201)
	b := s.browser(t)
	b.header.Set("Authorization", "Bearer "+token.Token)
	b.call("GET", "/whoami", nil).want(t, 200, `"name":"deploy"`)
	b.call("GET", "/tokens", nil).want(t, 403)
	if list := session.call("GET", "/tokens", nil); strings.Contains(list.text, token.Token) {
		t.Error("the token is shown again")
	}
	session.call("DELETE", "/tokens/"+token.ID, nil).want(t, 204)
	b.call("GET", "/whoami", nil).want(t, 401)
	if got := fields(t, session.call("POST", "/tokens", object{}), 422); !slices.Equal(got, []string{"name", "scope"}) {
		t.Errorf("%v", got)
	}
}

func TestTheDocumentNamesEveryRouteOfTheAPIAndNoOther(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	a := s.browser(t).call("GET", "/openapi.json", nil)
	a.want(t, 200)
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Security    []map[string][]string
			Parameters  []struct{ Name, In string }
			Responses   map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(a.text), &document); err != nil || !strings.HasPrefix(document.OpenAPI, "3.1.") {
		t.Fatalf("%s %v", document.OpenAPI, err)
	}
	documented, ids := map[string]bool{}, map[string]bool{}
	for path, methods := range document.Paths {
		for method, op := range methods {
			name := strings.ToUpper(method) + " " + path
			documented[name] = true
			if ids[op.OperationID] || op.Summary == "" || len(op.Responses) < 2 {
				t.Errorf("%s is not described: %+v", name, op)
			}
			ids[op.OperationID] = true
			for part := range strings.SplitSeq(path, "/") {
				param := strings.Trim(part, "{}")
				if param != part && !slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == param && p.In == "path" }) {
					t.Errorf("%s does not describe %s", name, part)
				}
			}
		}
	}
	for _, r := range s.Routes() {
		name := r.Method + " " + r.Pattern
		if strings.HasPrefix(r.Pattern, "/api/v1/") {
			if !documented[name] {
				t.Errorf("%s is not in the document", name)
			}
			delete(documented, name)
		}
	}
	if len(documented) > 0 {
		t.Errorf("in the document and not served: %v", documented)
	}
	compiler := jsonschema.NewCompiler()
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(a.text))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("https://cronium.example/openapi.json", root); err != nil {
		t.Fatal(err)
	}
	for name := range document.Components.Schemas {
		if _, err := compiler.Compile("https://cronium.example/openapi.json#/components/schemas/" + name); err != nil {
			t.Errorf("schema %s: %v", name, err)
		}
	}
	for _, ref := range strings.Split(a.text, `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(ref, `"`)
		if document.Components.Schemas[name] == nil {
			t.Errorf("a reference leads to %s, which is not there", name)
		}
	}
	s.browser(t).call("GET", "/openapi.yaml", nil).want(t, 200, "openapi: 3.1", "/api/v1/events")
}

// running makes a running execution of a new event and stores its output.
func (s *site) running(t *testing.T, chunks ...cronium.Chunk) *fakeRun {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	e := &cronium.Event{Name: "e" + cronium.NewID().String(), Type: cronium.EventBash, Status: cronium.EventActive}
	if err := s.store.CreateEvent(ctx, s.home, e, cronium.NewContent(cronium.EventBash), "", store.Author{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	r := &fakeRun{site: s, job: cronium.NewID(), execution: cronium.NewID(), process: cronium.NewID()}
	if err := s.store.RenewLease(ctx, store.Process{ID: r.process, Hostname: "h", PID: 1, Version: "v"}); err != nil {
		t.Fatal(err)
	}
	j := &cronium.Job{ID: r.job, WorkspaceID: s.home, EventID: e.ID, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := s.store.Enqueue(ctx, j, nil, func(context.Context, pgx.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	claim := store.Claim{JobID: r.job, ExecutionID: r.execution, Owner: r.process, Target: cronium.TargetContainer}
	if _, err := s.store.Claim(ctx, claim, false); err != nil {
		t.Fatal(err)
	}
	r.print(t, chunks...)
	return r
}

// fakeRun is an execution whose script is the test.
type fakeRun struct {
	*site
	job, execution, process cronium.ID
	stored                  store.Appended
}

func (r *fakeRun) path() string { return "/executions/" + r.execution.String() }
