package handlers_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"cronium.dev/cronium"
)

type bundleAnswer struct {
	Applied bool
	Changes []struct {
		Action, Kind, Name string
		Fields             []struct{ Path, Before, After string }
	}
}

// actions are what became of things, by kind and name.
func (a bundleAnswer) actions() map[string]string {
	m := map[string]string{}
	for _, c := range a.Changes {
		m[c.Kind+" "+c.Name] = c.Action
	}
	return m
}

func document(kind, name string, fields object) object {
	return object{"kind": kind, "name": name, "fields": fields}
}

func TestAWorkspaceBecomesWhatDocumentsSay(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	nightly := func(timeout int) object {
		return document("event", "Nightly", object{"name": "Nightly", "type": "BASH", "content": object{
			"files": []object{{"name": "a.sh", "content": "echo 1\n"}}, "limits": object{"timeout_seconds": timeout}},
			"schedules": []object{{"name": "nightly", "expression": "0 2 * * *", "zone": "Europe/Berlin"}}})
	}
	cursor := document("variable", "cursor", object{"key": "cursor", "value": 7})
	body := object{"documents": []object{cursor, nightly(300)}, "dry_run": true}
	tried := read[bundleAnswer](t, b.call("POST", "/bundle", body), 200)
	if tried.Applied || tried.actions()["event Nightly"] != "ADD" || tried.actions()["variable cursor"] != "ADD" {
		t.Errorf("%+v: want both to be added, and nothing done", tried)
	}
	b.call("GET", "/events", nil).want(t, 200, `"events":[]`)

	delete(body, "dry_run")
	if done := read[bundleAnswer](t, b.call("POST", "/bundle", body), 200); !done.Applied {
		t.Errorf("%+v", done)
	}
	b.call("GET", "/schedules", nil).want(t, 200, "Europe/Berlin", `"nightly"`)
	if again := read[bundleAnswer](t, b.call("POST", "/bundle", body), 200); again.actions()["event Nightly"] != "SAME" || again.actions()["variable cursor"] != "SAME" {
		t.Errorf("%+v: want nothing to change", again)
	}

	changed := read[bundleAnswer](t, b.call("POST", "/bundle", object{"documents": []object{nightly(60)}}), 200)
	if a := changed.actions(); a["event Nightly"] != "CHANGE" || a["variable cursor"] != "KEPT" {
		t.Errorf("%+v: want the event to change and the variable to stay", changed)
	}
	if f := changed.Changes[0].Fields; len(f) != 1 || f[0].Path != "content.limits.timeout_seconds" || f[0].Before != "300" || f[0].After != "60" {
		t.Errorf("%+v: want the time limit alone", f)
	}
	pruned := read[bundleAnswer](t, b.call("POST", "/bundle", object{"documents": []object{nightly(60)}, "prune": true}), 200)
	if pruned.actions()["variable cursor"] != "REMOVE" {
		t.Errorf("%+v: want the variable to go", pruned)
	}
	b.call("GET", "/variables", nil).want(t, 200, `"variables":[]`)

	exported := read[struct {
		Documents []struct {
			Kind, Name string
			Fields     json.RawMessage
		}
	}](t, b.call("GET", "/bundle", nil), 200)
	var documents []object
	for _, d := range exported.Documents {
		documents = append(documents, object{"kind": d.Kind, "name": d.Name, "fields": d.Fields})
	}
	if back := read[bundleAnswer](t, b.call("POST", "/bundle", object{"documents": documents}), 200); len(back.Changes) != 1 || back.Changes[0].Action != "SAME" {
		t.Errorf("%+v: want what was exported to be the same", back)
	}
}

func TestDocumentsNameEventsThatFollow(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	content := object{"files": []object{{"name": "a", "content": ""}}}
	first := document("event", "First", object{"name": "First", "type": "BASH", "content": object{"files": content["files"],
		"then": []object{{"when": "SUCCESS", "event": "Second", "input": object{"n": "{{cronium.output.n}}"}}}}})
	second := document("event", "Second", object{"name": "Second", "type": "BASH", "content": content})
	body := object{"documents": []object{first, second}}
	if done := read[bundleAnswer](t, b.call("POST", "/bundle", body), 200); done.actions()["event First"] != "ADD" {
		t.Errorf("%+v", done)
	}
	b.call("GET", "/bundle", nil).want(t, 200, `"event":"Second"`)
	if again := read[bundleAnswer](t, b.call("POST", "/bundle", body), 200); again.actions()["event First"] != "SAME" {
		t.Errorf("%+v: want nothing to change", again)
	}
	second = document("event", "Second", object{"name": "Second", "type": "BASH", "content": object{"files": content["files"], "then": []object{{"when": "ALWAYS", "event": "First"}}}})
	b.call("POST", "/bundle", object{"documents": []object{first, second}}).want(t, 422, "First", "Second")
	b.call("POST", "/bundle", object{"documents": []object{document("event", "Third", object{"name": "Third", "type": "BASH",
		"content": object{"files": content["files"], "then": []object{{"when": "ALWAYS", "event": "Nobody"}}}})}}).want(t, 422, "event Third: content.then[0].event", "Nobody")
}

func TestOneWrongDocumentKeepsAllFromBeingApplied(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	good := document("event", "Good", object{"name": "Good", "type": "BASH", "content": object{"files": []object{{"name": "a", "content": ""}}}})
	for want, wrong := range map[string]object{
		"event Wrong: content.limits.timeout_seconds": document("event", "Wrong", object{"name": "Wrong", "type": "BASH", "content": object{"limits": object{"timeout_seconds": 0}, "files": []object{{"name": "a", "content": ""}}}}),
		"event Wrong: colour":                         document("event", "Wrong", object{"name": "Wrong", "type": "BASH", "colour": "red", "content": object{}}),
		"variable SECRET: value":                      document("variable", "SECRET", object{"key": "SECRET", "secret": true}),
		"event Wrong: schedules[x].expression":        document("event", "Wrong", object{"name": "Wrong", "type": "BASH", "content": object{"files": []object{{"name": "a", "content": ""}}}, "schedules": []object{{"name": "x", "expression": "0 0 31 2 *"}}}),
	} {
		b.call("POST", "/bundle", object{"documents": []object{good, wrong}}).want(t, http.StatusUnprocessableEntity, want)
	}
	b.call("GET", "/events", nil).want(t, 200, `"events":[]`)
	b.call("GET", "/bundle/schema", nil).want(t, 200, `"$defs"`, "timeout_seconds", `"from"`)
}
