package handlers_test

import (
	"context"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/handlers"
	"cronium.dev/live"
)

func TestAPageIsToldWhatChanges(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	r := s.running(t)
	lists := b.open("/live?topics=jobs,events")
	first, _ := lists.next()
	second, _ := lists.next()
	if first.name != "jobs" || second.name != "events" || first.data != "{}" {
		t.Fatalf("at the beginning: %+v %+v", first, second)
	}
	s.Hub.Publish(live.EventsTopic(s.home))
	if e, _ := lists.next(); e.name != "events" {
		t.Errorf("%+v", e)
	}
	page := b.open("/live?topics=job:" + r.job.String())
	if e, ok := page.next(); !ok || e.name != "" || !strings.Contains(e.data, "<hx-partial") {
		t.Errorf("the run as it is: %+v", e)
	}
	r.end(t)
	if e, _ := page.next(); e.name != "" {
		t.Errorf("the run at its end: %+v", e)
	}
	if e, _ := page.next(); e.name != "done" {
		t.Errorf("%+v", e)
	}
	if e, ok := page.next(); ok {
		t.Errorf("after done: %+v", e)
	}
	if e, _ := lists.next(); e.name != "jobs" {
		t.Errorf("%+v", e)
	}
}

// What changes of a page and the output on it come by one connection.
func TestAPageIsToldWhatChangesAndTheOutputByOneStream(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	r := s.running(t, out("one\ntwo\n"))
	address := "/live?topics=job:" + r.job.String() + "&output=" + r.execution.String()
	first := b.open(address + "&offset=4&line=1")
	got := both(t, first, 2)
	if e := got["output"]; e.id != "8:2" || e.text(t) != "two\n" {
		t.Errorf("the output from the place on that was asked for: %+v", e)
	}
	if !strings.Contains(got[""].data, "<hx-partial") {
		t.Errorf("the run as it is: %+v", got[""])
	}
	first.close()
	r.print(t, out("three\n"))
	r.end(t)

	// Cut off, a browser comes with the same address and the last id it has.
	again := b.open(address+"&offset=0&line=0", "Last-Event-ID", "8:2")
	got = both(t, again, 3)
	if e := got["output"]; e.id != "14:3" || e.text(t) != "three\n" {
		t.Errorf("behind the last event: %+v", e)
	}
	if !strings.Contains(got["end"].data, `"total_lines":3`) || !strings.Contains(got[""].data, "<hx-partial") {
		t.Errorf("at the end: %+v", got)
	}
	if e, _ := again.next(); e.name != "done" {
		t.Errorf("when both have ended: %+v", e)
	}
	if e, ok := again.next(); ok {
		t.Errorf("after done: %+v", e)
	}
	alone := b.open("/live?output=" + r.execution.String() + "&offset=0&line=0")
	for _, want := range []string{"output", "end", "done"} {
		if e, _ := alone.next(); e.name != want {
			t.Errorf("the output alone: %+v, want %s", e, want)
		}
	}
}

// both reads some events of a stream whose parts come in any order, by name.
func both(t *testing.T, s *stream, count int) map[string]event {
	t.Helper()
	got := map[string]event{}
	for range count {
		e, ok := s.next()
		if _, twice := got[e.name]; !ok || twice {
			t.Fatalf("%+v after %+v", e, got)
		}
		got[e.name] = e
	}
	return got
}

func TestLiveOutputThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	execution := s.running(t).execution.String()
	b.get("/live?topics=jobs&output="+cronium.NewID().String()+"&offset=0&line=0").want(t, 404)
	b.get("/live?topics=jobs&output=x&offset=0&line=0").want(t, 404)
	b.get("/live?topics=jobs&output="+execution).want(t, 422, "offset")
	b.get("/live?topics=jobs&output="+execution+"&offset=-1&line=0").want(t, 422, "offset")
}

func TestLiveTopicsThatAreNotThereAreRefused(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	b.get("/live?topics=job:"+cronium.NewID().String()).want(t, 404)
	b.get("/live?topics=job:x").want(t, 404)
	b.get("/live?topics=everything").want(t, 422, "topics")
	b.get("/live").want(t, 422, "topics")
	b.get("/live?topics="+strings.Repeat("jobs,", 50)+"jobs").want(t, 422, "at most 20")
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	draining, stop := context.WithCancel(context.Background())
	defer stop()
	s := newPeopledSite(t, func(c *handlers.Config) { c.Draining = draining })
	b := s.signedIn(t, "mira@example.com")
	r := s.running(t, out("x"))
	page, output := b.open("/live?topics=jobs"), b.open("/api/v1"+r.path()+"/output/stream")
	page.next()
	output.next()
	b.get("/readyz").want(t, 200, `"ready"`)
	stop()
	for _, open := range []*stream{page, output} {
		if e, ok := open.next(); ok {
			t.Errorf("after the stop: %+v", e)
		}
	}
	b.get("/readyz").want(t, 503, "stopping")
	b.get("/healthz").want(t, 200)
}
