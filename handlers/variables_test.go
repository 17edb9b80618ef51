package handlers_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

// variable is what the tests read of one.
type variable struct {
	ID        cronium.ID
	Key       string
	Type      cronium.VariableType
	Secret    bool
	Value     json.RawMessage
	AllEvents bool `json:"all_events"`
	Events    []cronium.ID
	Version   int
	UpdatedBy string `json:"updated_by"`
}

func TestAVariableIsMadeChangedAndDeletedByTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	made := read[variable](t, b.call("POST", "/variables", `{"key":"LIMIT","value":7,"environment":"prod","description":"At most"}`), http.StatusCreated)
	if made.Type != cronium.VariableNumber || string(made.Value) != "7" || !made.AllEvents || made.UpdatedBy != "token ci write" {
		t.Errorf("%+v", made)
	}
	path := "/variables/" + made.ID.String()
	changed := read[variable](t, b.call("PATCH", path, `{"value":8}`, "If-Match", `"1"`), http.StatusOK)
	if changed.Version != 2 || string(changed.Value) != "8" {
		t.Errorf("%+v", changed)
	}
	b.call("PATCH", path, `{"value":9}`, "If-Match", `"1"`).want(t, http.StatusConflict, "changed by")
	b.call("PATCH", path, `{"value":"nine"}`).want(t, http.StatusUnprocessableEntity, `"value"`, "must be a number")
	b.call("PATCH", path, `{"value":null,"type":"JSON"}`).want(t, http.StatusOK, `"value":null`)
	b.call("POST", "/variables", `{"key":"LIMIT","value":1,"environment":"prod"}`).want(t, http.StatusConflict, "already", `"key"`)
	b.call("POST", "/variables", `{"key":"a b"}`).want(t, http.StatusUnprocessableEntity, `"key"`, `"value"`)
	b.call("GET", path+"/history", nil).want(t, http.StatusOK, `"what":"created"`, `"value":7`, `"version":3`)
	b.call("GET", "/variables?environment=prod&q=lim", nil).want(t, http.StatusOK, "LIMIT")
	if got := b.call("GET", "/variables?environment=-", nil); strings.Contains(got.text, "LIMIT") {
		t.Errorf("it is listed as one of all environments: %s", got.text)
	}
	b.call("DELETE", path, nil).want(t, http.StatusNoContent)
	b.call("GET", path, nil).want(t, http.StatusNotFound)
}

// No page and no answer has what a secret is, and none was as it became one.
func TestASecretIsNeverShown(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b, page := s.program(t, cronium.ScopeAdmin), s.signedIn(t, "mira@example.com")
	b.call("POST", "/variables", `{"key":"SHORT","value":"abc","secret":true}`).want(t, http.StatusUnprocessableEntity, "at least 4 characters")
	b.call("POST", "/variables", `{"key":"NUMBER","value":12345,"secret":true}`).want(t, http.StatusUnprocessableEntity, `"type"`)
	was := read[variable](t, b.call("POST", "/variables", `{"key":"WAS_PLAIN","value":"canary-one"}`), http.StatusCreated)
	v := read[variable](t, b.call("POST", "/variables", `{"key":"TOKEN","value":"canary-two","secret":true}`), http.StatusCreated)
	if v.AllEvents || !v.Secret || v.Value != nil {
		t.Errorf("%+v", v)
	}
	b.call("PATCH", "/variables/"+was.ID.String(), `{"secret":true}`).want(t, http.StatusOK)
	b.call("PATCH", "/variables/"+was.ID.String(), `{"secret":false}`).want(t, http.StatusUnprocessableEntity, "entered again")
	page.post("/variables/"+v.ID.String(), url.Values{"version": {"1"}, "key": {"bad key"}, "kind": {"secret"}, "type": {"STRING"}, "value": {"canary-three"}, "for": {"all"}}).
		want(t, http.StatusUnprocessableEntity, "Enter its value again")
	page.post("/variables/"+v.ID.String(), url.Values{"version": {"1"}, "key": {"TOKEN"}, "kind": {"secret"}, "type": {"STRING"}, "value": {"canary-four"}, "for": {"all"}}).want(t, http.StatusSeeOther)
	page.post("/variables/"+v.ID.String(), url.Values{"version": {"2"}, "key": {"TOKEN"}, "kind": {"secret"}, "type": {"STRING"}, "value": {""}, "for": {"all"}, "description": {"kept"}}).want(t, http.StatusSeeOther)
	seen := s.log.String()
	for _, id := range []string{v.ID.String(), was.ID.String()} {
		for _, path := range []string{"", "/history", "/uses"} {
			seen += b.call("GET", "/variables/"+id+path, nil).text
		}
		seen += page.get("/variables/" + id + "?uses=1").text
	}
	seen += b.call("GET", "/variables", nil).text + page.get("/variables").text + page.get("/variables?q=canary").text
	if strings.Contains(strings.ReplaceAll(seen, "q=canary", ""), "canary-") {
		t.Errorf("a secret is shown:\n%s", seen)
	}
	opened, err := s.store.Variable(t.Context(), s.home, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if value, err := s.box.Open(t.Context(), s.home, "variable", v.ID, opened.DataKey, opened.Sealed); err != nil || string(value) != `"canary-four"` {
		t.Errorf("it is %s, %v", value, err)
	}
}

func TestManyVariablesAtOnce(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	b.call("POST", "/variables", `{"key":"A","value":"old"}`).want(t, http.StatusCreated)
	b.call("POST", "/variables", `{"key":"GONE","value":"old"}`).want(t, http.StatusCreated)
	type done struct {
		Variables, Deleted []struct {
			Key, Error string
			Version    int
		}
	}
	got := read[done](t, b.call("POST", "/variables/bulk", `{"variables":[{"key":"A","value":"new"},{"key":"!","value":1},{"key":"B","value":true}],"delete":[{"key":"GONE"},{"key":"GONE"}]}`), http.StatusOK)
	if len(got.Variables) != 3 || got.Variables[0].Version != 2 || got.Variables[1].Error == "" || got.Variables[2].Version != 1 || got.Deleted[0].Error != "" || got.Deleted[1].Error == "" {
		t.Errorf("%+v", got)
	}
}

func TestVariablesAreChangedOnTheirPages(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	known := plant(t, s, s.home, s.people["mira@example.com"].ID)
	b := s.signedIn(t, "mira@example.com")
	form := url.Values{"key": {"LIST"}, "environment": {"prod"}, "kind": {"plain"}, "type": {"JSON"}, "value": {"[1,\r\n2"}, "for": {"chosen"}, "events": {known["events"]}, "description": {"<b>numbers</b>"}}
	b.post("/variables", form).want(t, http.StatusUnprocessableEntity, "[1,\n2", "Must be JSON", "&lt;b&gt;numbers", `value="`+known["events"]+`" checked`)
	form.Set("value", "[1, 2]")
	made := b.post("/variables", form)
	made.want(t, http.StatusSeeOther)
	path, _, _ := strings.Cut(made.Header.Get("Location"), "?")
	b.get(path).want(t, http.StatusOK, "[\n  1,\n  2\n]", `value="`+known["events"]+`" checked`, "Created", "Where it is used")
	form.Set("value", "[3]")
	b.post(path, form).want(t, http.StatusConflict, "changed by Mira Lund") // version 0
	form.Set("version", "1")
	b.post(path, form).want(t, http.StatusSeeOther)
	b.get("/variables?q=env:prod").want(t, http.StatusOK, "LIST", "[3]", "1 event")
	b.get("/variables?q=nonsense:x").want(t, http.StatusOK, "is not understood")
	b.get("/variables?q=event:"+known["events"]).want(t, http.StatusOK, "LIST", "may use")
	b.get("/events/"+known["events"]+"/input").want(t, http.StatusOK, "LIST", "Variables of")
	b.post(path+"/delete", url.Values{}).want(t, http.StatusSeeOther)
	b.get(path).want(t, http.StatusNotFound)
}

// A version keeps which environment's variables it reads.
func TestAnEventReadsTheVariablesOfAnEnvironment(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	b.call("POST", "/events", `{"name":"Staged","type":"BASH","content":{"stage":"not a word"}}`).want(t, http.StatusUnprocessableEntity, "content.stage")
	b.call("POST", "/events", `{"name":"Staged","type":"BASH","content":{"stage":"prod"}}`).want(t, http.StatusCreated, `"stage":"prod"`)
}
