package handlers_test

import (
	"net/http"
	"net/url"
	"testing"
)

func TestWhatFollowsIsAddedAndRemovedOnThePages(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	first, second := s.scheduled(t, "Backup"), s.scheduled(t, "Report")
	m := s.signedIn(t, "mira@example.com")
	of := "/events/" + first.String() + "/then"
	m.get(of).want(t, http.StatusOK, "Nothing follows its runs", "Report")
	form := url.Values{"base": {"1"}, "when": {"FAILURE"}, "event": {second.String()}, "input": {`{"why":"{{cronium.job.reslt}}"}`}}
	m.post(of, form).want(t, http.StatusUnprocessableEntity, "cronium.job.reslt", "names what there is not")
	form.Set("input", `{"why":"{{cronium.job.result}}"}`)
	m.post(of, form).want(t, http.StatusSeeOther)
	m.get(of).want(t, http.StatusOK, "On failure: run", "Report", "cronium.job.result")
	back := "/events/" + second.String() + "/then"
	m.get(back).want(t, http.StatusOK, "It runs after", "Backup")
	m.post(back, url.Values{"base": {"1"}, "when": {"SUCCESS"}, "event": {first.String()}}).want(t, http.StatusUnprocessableEntity, "Report → Backup → Report")
	m.post(of+"/remove", url.Values{"base": {"2"}, "number": {"0"}}).want(t, http.StatusSeeOther)
	m.get(of).want(t, http.StatusOK, "Nothing follows its runs")
	m.post(of+"/remove", url.Values{"base": {"3"}, "number": {"0"}}).want(t, http.StatusConflict)
}
