package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// then is an event with actions after it.
func (s *site) then(actions ...cronium.Action) cronium.ID {
	s.Helper()
	return s.event(cronium.EventBash, "true", func(c *cronium.Content) { c.Then = actions })
}

func step(event cronium.ID, when cronium.When, input string) cronium.Action {
	return cronium.Action{When: when, Event: &cronium.EventStep{ID: event, Input: json.RawMessage(input)}}
}

// ended is a job that has ended with a result and an output.
func (s *site) ended(engine *Engine, event cronium.ID, result cronium.Result, output string) *cronium.Job {
	s.Helper()
	job, err := engine.Enqueue(s.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerManual, TriggeredBy: "ann", Input: json.RawMessage(`{"n":7}`)})
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.store.WorkerPool().Exec(s.Context(), `UPDATE jobs SET status = $2, result = $3, output = $4, finished_at = now() WHERE id = $1`,
		job.ID, result.JobStatus(), result, output); err != nil {
		s.Fatal(err)
	}
	return job
}

// followAll does what follows, once.
func (s *site) followAll(engine *Engine) {
	s.Helper()
	_, err := s.store.FollowEnds(s.Context(), endsBatch, func(ctx context.Context, tx pgx.Tx, end *store.JobEnd) error {
		return engine.follow(ctx, tx, end, map[live.Topic]bool{})
	})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) followUps(job cronium.ID) []store.FollowUp {
	s.Helper()
	list, err := s.store.FollowUps(s.Context(), s.workspace, job)
	if err != nil {
		s.Fatal(err)
	}
	return list
}

func TestEventsFollowTheEndsThatTheyAreFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	next := s.event(cronium.EventBash, "true", nil)
	var all []cronium.Action
	for _, when := range cronium.Whens {
		all = append(all, step(next, when, ""))
	}
	event := s.then(all...)
	for result, want := range map[cronium.Result]string{
		cronium.ResultSuccess:   "SUCCESS ALWAYS",
		cronium.ResultFailure:   "FAILURE ALWAYS",
		cronium.ResultTimeout:   "FAILURE ALWAYS TIMEOUT",
		cronium.ResultPartial:   "FAILURE ALWAYS PARTIAL",
		cronium.ResultCancelled: "ALWAYS",
	} {
		job := s.ended(engine, event, result, `{"rows":[1,2]}`)
		s.followAll(engine)
		s.followAll(engine) // twice is once
		var got []string
		for _, f := range s.followUps(job.ID) {
			got = append(got, string(f.When))
			if f.NextJob == nil {
				t.Fatalf("%s: nothing followed: %s", result, f.Note)
			}
			row, err := s.store.Job(t.Context(), s.workspace, *f.NextJob)
			if err != nil || row.Trigger != cronium.TriggerEvent || row.Source == nil || *row.Source != job.ID || row.Depth != 1 || string(row.Input) != `{"rows":[1,2]}` {
				t.Errorf("%s: the job that follows is %+v, %v", result, row, err)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is followed by %v, want %s", result, got, want)
		}
	}
}

func TestTheVersionThatAJobRunsSaysWhatFollows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	event := s.then(step(s.event(cronium.EventBash, "true", nil), cronium.WhenAlways, ""))
	content, err := s.store.Content(t.Context(), s.workspace, event, 1)
	if err != nil {
		t.Fatal(err)
	}
	first := s.ended(engine, event, cronium.ResultSuccess, "null")
	test, err := engine.Enqueue(t.Context(), Request{WorkspaceID: s.workspace, EventID: event, Trigger: cronium.TriggerTest, Draft: &store.Draft{Content: *content}})
	if err != nil || test.Follows {
		t.Errorf("a test run: %+v, %v; want that nothing follows", test, err)
	}
	content.Then = nil
	if _, err := s.store.SaveVersion(t.Context(), s.workspace, event, 1, *content, "", store.Author{ID: cronium.NewID(), Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	second := s.ended(engine, event, cronium.ResultSuccess, "null")
	s.followAll(engine)
	if list := s.followUps(first.ID); len(list) != 1 {
		t.Errorf("after the version with an action: %+v, want one", list)
	}
	if list := s.followUps(second.ID); len(list) != 0 {
		t.Errorf("after the version without: %+v, want none", list)
	}
}

func TestTheInputOfWhatFollowsIsMadeOfTheJob(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	next := s.event(cronium.EventBash, "true", nil)
	event := s.then(step(next, cronium.WhenAlways, `{"n":"{{input.n}}","rows":"{{cronium.output.rows}}","why":"was {{cronium.job.result}}","no":"{{cronium.output.no}}"}`))
	job := s.ended(engine, event, cronium.ResultFailure, `{"rows":[1]}`)
	s.followAll(engine)
	done := s.followUps(job.ID)
	if len(done) != 1 || done[0].NextJob == nil || !strings.Contains(done[0].Note, "cronium.output.no") {
		t.Fatalf("followed by %+v", done)
	}
	row, err := s.store.Job(t.Context(), s.workspace, *done[0].NextJob)
	if err != nil || string(row.Input) != `{"n":7,"no":null,"rows":[1],"why":"was FAILURE"}` {
		t.Errorf("the input is %s, %v", row.Input, err)
	}
}

func TestWhatCannotFollowSaysWhyAndTheRestFollows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	paused := s.event(cronium.EventBash, "true", nil)
	next := s.event(cronium.EventBash, "true", nil)
	event := s.then(step(paused, cronium.WhenAlways, ""), step(next, cronium.WhenAlways, ""))
	if _, err := s.store.SetEventStatus(t.Context(), s.workspace, paused, cronium.EventPaused); err != nil {
		t.Fatal(err)
	}
	job := s.ended(engine, event, cronium.ResultSuccess, `1`)
	s.followAll(engine)
	done := s.followUps(job.ID)
	if len(done) != 2 || done[0].NextJob != nil || !strings.Contains(done[0].Note, "paused") || done[1].NextJob == nil {
		t.Errorf("followed by %+v", done)
	}
}

func TestAChainEndsAtItsDepth(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	next := s.event(cronium.EventBash, "true", nil)
	event := s.then(step(next, cronium.WhenAlways, ""))
	job := s.ended(engine, event, cronium.ResultSuccess, `1`)
	if _, err := s.store.WorkerPool().Exec(t.Context(), `UPDATE jobs SET depth = $2 WHERE id = $1`, job.ID, cronium.MaxDepth); err != nil {
		t.Fatal(err)
	}
	s.followAll(engine)
	if done := s.followUps(job.ID); len(done) != 1 || done[0].NextJob != nil || !strings.Contains(done[0].Note, "chain") {
		t.Errorf("followed by %+v", done)
	}
}

func TestWhatFollowsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.idle()
	next := s.event(cronium.EventBash, "true", nil)
	job := s.ended(engine, s.then(step(next, cronium.WhenAlways, "")), cronium.ResultSuccess, `1`)
	died := errors.New("died before the commit")
	_, err := s.store.FollowEnds(t.Context(), endsBatch, func(ctx context.Context, tx pgx.Tx, end *store.JobEnd) error {
		return errors.Join(engine.follow(ctx, tx, end, map[live.Topic]bool{}), died)
	})
	if !errors.Is(err, died) {
		t.Fatal(err)
	}
	var jobs int
	if err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT count(*) FROM jobs WHERE event_id = $1`, next).Scan(&jobs); err != nil || jobs != 0 || len(s.followUps(job.ID)) != 0 {
		t.Errorf("%d jobs and %+v are left of what did not happen; %v", jobs, s.followUps(job.ID), err)
	}
	if _, err := s.store.WorkerPool().Exec(t.Context(), `UPDATE job_ends SET due_at = now()`); err != nil {
		t.Fatal(err)
	}
	s.followAll(engine)
	if done := s.followUps(job.ID); len(done) != 1 || done[0].NextJob == nil {
		t.Errorf("followed by %+v", done)
	}
}
