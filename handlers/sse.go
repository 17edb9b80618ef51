package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/output"
	"cronium.dev/store"
	"cronium.dev/views/components"
)

const (
	// jobPause and listPause are the shortest times between two messages about
	// one job and about a list.
	jobPause  = 200 * time.Millisecond
	listPause = time.Second
	// serversPause is longer: how servers are changes all the time.
	serversPause = 3 * time.Second
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
	// Of a job on servers: the hosts as they were sent, and how many had failed.
	cells    map[string]components.HostChange
	failures int
}

// live is all that a page is told while it is open, on one connection:
// ?topics=job:ID,jobs,events is what has changed of what it shows, and
// &output=EXECUTION&offset=B&line=N the output of an execution from a place on.
// A page's state is sent anew at the beginning, so that one that was cut off
// needs no history; its output goes on behind Last-Event-ID.
func (h *Handlers) live(w http.ResponseWriter, r *http.Request) error {
	topics, err := h.pageTopics(r)
	if err != nil {
		return err
	}
	out, err := h.pageOutput(r)
	if err != nil {
		return err
	}
	if out != nil {
		defer out.follower.Close()
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
	p := &livePage{Handlers: h, request: r.WithContext(ctx), stream: stream, topics: topics, output: out}
	if err := p.serve(ctx, subscription); err != nil && ctx.Err() == nil {
		h.Log.DebugContext(ctx, "live stream cut", "error", err)
	}
	return nil
}

// pageOutput follows the output that a page asks for; nil if it asks for none.
func (h *Handlers) pageOutput(r *http.Request) (*followed, error) {
	query := r.URL.Query()
	if query.Get("output") == "" {
		return nil, nil
	}
	id, err := apiID(query.Get("output"))
	if err != nil {
		return nil, err
	}
	e, err := h.Store.Execution(r.Context(), principal(r).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	from, ok := output.ParsePosition(query.Get("offset") + ":" + query.Get("line"))
	var problems cronium.Problems
	problems.Add(ok, "output", "needs offset and line, the place to begin at")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		from, ok = output.ParsePosition(last)
		problems.Add(ok, "Last-Event-ID", "must be the id of an event of this stream, OFFSET:LINE")
	}
	if err := problems.Err("The request"); err != nil {
		return nil, err
	}
	follower, err := h.Tails.Follow(r.Context(), e.WorkspaceID, e.ID, from)
	if err != nil {
		return nil, err
	}
	return &followed{follower: follower, source: h.Store, viewer: true}, nil
}

// pageTopics reads the topics that a page asks for; a job must be one of the
// workspace.
func (h *Handlers) pageTopics(r *http.Request) ([]*pageTopic, error) {
	workspace := principal(r).WorkspaceID
	var topics []*pageTopic
	var problems cronium.Problems
	query := r.URL.Query()
	if query.Get("topics") == "" && query.Get("output") != "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(query.Get("topics"), ",") {
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
		case strings.HasPrefix(name, "merged:"):
			job, err := apiID(strings.TrimPrefix(name, "merged:"))
			if err != nil {
				return nil, err
			}
			if _, err := h.Store.Job(r.Context(), workspace, job); err != nil {
				return nil, err
			}
			topics = append(topics, &pageTopic{topic: live.MergedTopic(job), event: "merged", pause: listPause, due: true})
		case name == "jobs":
			topics = append(topics, &pageTopic{topic: live.JobsTopic(workspace), event: name, pause: listPause, due: true})
		case name == "events":
			topics = append(topics, &pageTopic{topic: live.EventsTopic(workspace), event: name, pause: listPause, due: true})
		case name == "servers":
			topics = append(topics, &pageTopic{topic: live.ServersTopic(workspace), event: name, pause: serversPause, due: true})
		case name == "schedules":
			topics = append(topics, &pageTopic{topic: live.SchedulesTopic(workspace), event: name, pause: serversPause, due: true})
		case name == "webhooks":
			topics = append(topics, &pageTopic{topic: live.WebhooksTopic(workspace), event: name, pause: listPause, due: true})
		default:
			problems.Add(false, "topics", "%q is not known; it takes job:ID, merged:ID, jobs, events, schedules, webhooks and servers with commas between", name)
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
	output  *followed // nil: none
}

// serve sends what changes until the browser is gone or ctx ends, or until
// nothing that the page shows can change any more: then it says so.
func (p *livePage) serve(ctx context.Context, subscription *live.Subscription) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var following sync.WaitGroup
	if p.output != nil {
		p.output.stream = p.stream
		following.Go(func() {
			if err := p.output.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	if err := p.run(ctx, subscription); err != nil {
		cancel(err)
	}
	following.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return p.stream.send("", "done", []byte("{}"))
}

// run sends what is due of the topics until ctx ends, or every job that the page
// shows is final and it shows nothing else.
func (p *livePage) run(ctx context.Context, subscription *live.Subscription) error {
	for {
		if err := p.sendDue(); err != nil {
			return err
		}
		if len(p.topics) == 0 {
			return nil
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
	job, err := p.Store.Job(p.request.Context(), principal(p.request).WorkspaceID, *t.job)
	if err != nil {
		return false, fmt.Errorf("show job %s: %w", t.job, err)
	}
	if job.Target == cronium.TargetServers && p.request.URL.Query().Get("view") != "test" {
		return p.sendFleet(t, job)
	}
	component, final, err := p.liveJob(p.request, job)
	if err != nil {
		return false, fmt.Errorf("show job %s: %w", t.job, err)
	}
	return final, p.sendParts(component)
}

// sendParts sends parts of the page as they are now.
func (p *livePage) sendParts(component templ.Component) error {
	var html bytes.Buffer
	if err := component.Render(p.request.Context(), &html); err != nil {
		return fmt.Errorf("render what is live: %w", err)
	}
	return p.stream.send("", "", html.Bytes())
}

// sendFleet sends what has changed of a job on servers: the parts that sum it up,
// and the hosts that are not as they were sent.
func (p *livePage) sendFleet(t *pageTopic, job *store.JobRow) (final bool, err error) {
	page, err := p.fleet(p.request, job)
	if err != nil {
		return false, fmt.Errorf("show job %s: %w", t.job, err)
	}
	page.Principal = principal(p.request)
	if page.OpenJobs, err = p.Store.OpenJobCount(p.request.Context(), page.Principal.WorkspaceID); err != nil {
		return false, err
	}
	// All targets are read each time: the more there are, the more rarely.
	t.pause = jobPause * time.Duration(1+len(page.Targets)/1000)
	if t.cells == nil {
		t.cells = make(map[string]components.HostChange, len(page.Targets))
	}
	changed := []components.HostChange{}
	for i := range page.Targets {
		cell := page.Cell(&page.Targets[i])
		if t.cells[cell.ID] != cell {
			t.cells[cell.ID] = cell
			changed = append(changed, cell)
		}
	}
	final = page.Job.Status.Final()
	failures := page.Tally().Failed()
	why := failures != t.failures || final
	if t.failures = failures; why {
		if err := p.explainFleet(p.request, &page); err != nil {
			return false, fmt.Errorf("explain job %s: %w", t.job, err)
		}
	}
	if err := p.sendParts(page.Changes(why)); err != nil {
		return false, err
	}
	cells, err := json.Marshal(changed)
	if err != nil {
		return false, err
	}
	return final, p.stream.send("", "hosts", cells)
}
