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
