package handlers

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/live"
)

const (
	// jobPause and listPause are the shortest times between two messages about
	// one job and about a list.
	jobPause  = 200 * time.Millisecond
	listPause = time.Second
	// maxTopics is how much one page may ask for.
	maxTopics = 20
)

func (h *Handlers) liveRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/live", Permission: cronium.PermissionRead, Kind: KindStream, Handle: h.live},
	}
}

// pageTopic is one thing that a page shows.
type pageTopic struct {
	topic live.Topic
	event string      // name of the event that tells the page to fetch the thing again; "" for a job
	job   *cronium.ID // the job whose parts are sent as they are now
	pause time.Duration
	last  time.Time // when it was sent
	due   bool
}

// live tells a page what has changed of what it shows: ?topics=job:ID,jobs,events.
// Everything is sent once at the beginning, so that a page that was cut off
// needs no history.
func (h *Handlers) live(w http.ResponseWriter, r *http.Request) error {
	topics, err := h.pageTopics(r)
	if err != nil {
		return err
	}
	names := make([]live.Topic, len(topics))
	for i := range topics {
		names[i] = topics[i].topic
	}
	subscription := h.Hub.Subscribe(names...)
	defer subscription.Close()
	stream, err := h.openStream(w)
	if err != nil {
		return nil // the browser is gone
	}
	ctx, cancel := h.untilDraining(r.Context())
	defer cancel()
	p := &livePage{Handlers: h, request: r.WithContext(ctx), stream: stream, topics: topics}
	if err := p.run(ctx, subscription); err != nil && ctx.Err() == nil {
		h.Log.DebugContext(ctx, "live stream cut", "error", err)
	}
	return nil
}

// pageTopics reads the topics that a page asks for; a job must be one of the
// workspace.
func (h *Handlers) pageTopics(r *http.Request) ([]*pageTopic, error) {
	workspace := principal(r).WorkspaceID
	var topics []*pageTopic
	var problems cronium.Problems
	for name := range strings.SplitSeq(r.URL.Query().Get("topics"), ",") {
		id, isJob := strings.CutPrefix(name, "job:")
		switch {
		case isJob:
			job, err := apiID(id)
			if err != nil {
				return nil, err
			}
			if _, err := h.Store.Job(r.Context(), workspace, job); err != nil {
				return nil, err
			}
			topics = append(topics, &pageTopic{topic: live.JobTopic(job), job: &job, pause: jobPause, due: true})
		case name == "jobs":
			topics = append(topics, &pageTopic{topic: live.JobsTopic(workspace), event: name, pause: listPause, due: true})
		case name == "events":
			topics = append(topics, &pageTopic{topic: live.EventsTopic(workspace), event: name, pause: listPause, due: true})
		default:
			problems.Add(false, "topics", "%q is not known; it takes job:ID, jobs and events with commas between", name)
		}
		problems.Add(len(topics) <= maxTopics, "topics", "must be at most %d", maxTopics)
		if len(problems) > 0 {
			break
		}
	}
	return topics, problems.Err("The request")
}

// livePage is one page's stream.
type livePage struct {
	*Handlers
	request *http.Request
	stream  *eventStream
	topics  []*pageTopic
}

// run sends what is due until the browser is gone, ctx ends, or every job that
// the page shows is final and it shows nothing else.
func (p *livePage) run(ctx context.Context, subscription *live.Subscription) error {
	for {
		if err := p.sendDue(); err != nil {
			return err
		}
		if len(p.topics) == 0 {
			return p.stream.send("", "done", []byte("{}"))
		}
		timer := time.NewTimer(p.untilDue())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-subscription.C():
			p.mark(subscription.Take())
		case <-timer.C:
			if !p.anyDue() {
				if err := p.stream.beat(); err != nil {
					return err
				}
			}
		}
		timer.Stop()
	}
}

func (p *livePage) mark(topics []live.Topic) {
	for _, t := range p.topics {
		for _, topic := range topics {
			t.due = t.due || t.topic == topic
		}
	}
}

func (p *livePage) anyDue() bool {
	for _, t := range p.topics {
		if t.due {
			return true
		}
	}
	return false
}

// untilDue is how long there is nothing to send: at most until the next beat.
func (p *livePage) untilDue() time.Duration {
	wait := heartbeat
	for _, t := range p.topics {
		if t.due {
			wait = min(wait, max(time.Until(t.last.Add(t.pause)), 0))
		}
	}
	return wait
}

// sendDue sends what is due and not too soon after the last time.
func (p *livePage) sendDue() error {
	kept := p.topics[:0:0]
	for _, t := range p.topics {
		final := false
		if t.due && time.Since(t.last) >= t.pause {
			t.due, t.last = false, time.Now()
			var err error
			if final, err = p.sendTopic(t); err != nil {
				return err
			}
		}
		if !final {
			kept = append(kept, t)
		}
	}
	p.topics = kept
	return nil
}

// sendTopic sends one thing, and tells whether it will not change any more.
func (p *livePage) sendTopic(t *pageTopic) (final bool, err error) {
	if t.job == nil {
		return false, p.stream.send("", t.event, []byte("{}"))
	}
	component, final, err := p.liveJob(p.request, *t.job)
	if err != nil {
		return false, fmt.Errorf("show job %s: %w", t.job, err)
	}
	var html bytes.Buffer
	if err := component.Render(p.request.Context(), &html); err != nil {
		return false, fmt.Errorf("render job %s: %w", t.job, err)
	}
	return final, p.stream.send("", "", html.Bytes())
}
