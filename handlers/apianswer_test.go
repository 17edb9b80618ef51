package handlers_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/handlers"
)

func TestAnAnswerHasTheFieldsThatWereAskedFor(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	for _, name := range []string{"One", "Two"} {
		b.call("POST", "/events", object{"name": name, "type": "BASH"}).want(t, http.StatusCreated)
	}
	first := b.call("GET", "/events?fields=id,name&limit=1", nil)
	list := read[struct {
		Events []map[string]any
		Next   string
	}](t, first, 200)
	if len(list.Events) != 1 || len(list.Events[0]) != 2 || list.Events[0]["name"] == nil || list.Events[0]["id"] == nil || list.Next == "" {
		t.Errorf("%s: want id and name alone, and where the next page begins", first.text)
	}
	if link := first.Header.Get("Link"); link == "" {
		t.Error("the list has no link to its next page")
	} else if next := b.call("GET", link[len("</api/v1"):len(link)-len(`>; rel="next"`)], nil); len(read[struct{ Events []map[string]any }](t, next, 200).Events[0]) != 2 {
		t.Errorf("the next page has other fields: %s", next.text)
	}
	one := b.call("GET", "/events/"+list.Events[0]["id"].(string)+"?fields=status", nil)
	if got := read[map[string]any](t, one, 200); len(got) != 1 || got["status"] != "DRAFT" {
		t.Errorf("%s: want the status alone", one.text)
	}
	b.call("GET", "/events?fields=id,secret", nil).want(t, 422, "fields", "names of fields")
}

func TestAnAnswerThatTheClientHasIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	b.call("POST", "/events", object{"name": "One", "type": "BASH"}).want(t, http.StatusCreated)
	first := b.call("GET", "/events", nil)
	tag := first.Header.Get("ETag")
	again := b.call("GET", "/events", nil, "If-None-Match", `W/"other", `+tag)
	if tag == "" || again.StatusCode != http.StatusNotModified || again.text != "" {
		t.Errorf("%s %q with the tag %s, want 304 without a body", again.Status, again.text, tag)
	}
	b.call("POST", "/events", object{"name": "Two", "type": "BASH"}).want(t, http.StatusCreated)
	b.call("GET", "/events", nil, "If-None-Match", tag).want(t, 200, "Two")
}

func TestACallerIsToldHowMuchItMayStillAsk(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) { c.APIRate = 3 })
	b := s.program(t, cronium.ScopeRead)
	for left := 2; left >= 0; left-- {
		got := b.call("GET", "/whoami", nil)
		if want := `"api";r=` + strconv.Itoa(left) + `;t=`; got.StatusCode != 200 || !strings.HasPrefix(got.Header.Get("RateLimit"), want) || got.Header.Get("RateLimit-Policy") != `"api";q=3;w=60` {
			t.Errorf("%s, RateLimit %q, want one that begins with %s", got.Status, got.Header.Get("RateLimit"), want)
		}
	}
	refused := b.call("GET", "/whoami", nil)
	refused.want(t, http.StatusTooManyRequests, `"limited"`, "3 requests")
	if wait, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		t.Errorf("Retry-After %q, want up to a minute", refused.Header.Get("Retry-After"))
	}
	other := s.program(t, cronium.ScopeRead)
	other.call("GET", "/whoami", nil).want(t, 200)
}

func TestEarlierClientsFindTheirAddresses(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	b.prefix = "/api"
	event := read[struct{ ID string }](t, b.call("POST", "/events", object{"name": "Old", "type": "BASH", "status": "ACTIVE"}), http.StatusCreated)
	job := read[struct{ ID string }](t, b.call("POST", "/events/"+event.ID+"/execute", object{"input": object{"a": 1}}), http.StatusAccepted)
	b.call("GET", "/logs", nil).want(t, 200, job.ID)
	b.call("GET", "/logs/"+job.ID, nil).want(t, 200, `"a":1`)
	b.call("GET", "/servers", nil).want(t, 200, `"servers"`)
	viewer := s.program(t, cronium.ScopeRead)
	viewer.prefix = "/api"
	viewer.call("POST", "/events/"+event.ID+"/execute", nil).want(t, http.StatusForbidden)
}
