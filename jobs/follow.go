package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
	"cronium.dev/template"
)

const (
	endsBatch = 50
	endsLook  = time.Second // how often ends are looked for unasked
)

// followEnds does what follows jobs that have ended, until ctx ends. Each
// process does; the database gives each end to one of them.
func (e *Engine) followEnds(ctx context.Context) {
	ended := e.Hub.Subscribe(live.EndsTopic)
	defer ended.Close()
	for ctx.Err() == nil {
		moved := map[live.Topic]bool{}
		n, err := e.Store.FollowEnds(ctx, endsBatch, func(ctx context.Context, tx pgx.Tx, end *store.JobEnd) error {
			return e.follow(ctx, tx, end, moved)
		})
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("what follows jobs was not done and will be tried again", "error", err)
		}
		for topic := range moved {
			e.Hub.Publish(topic)
		}
		if n == endsBatch && err == nil {
			continue
		}
		timer := time.NewTimer(endsLook)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-ended.C():
			ended.Take()
		}
		timer.Stop()
	}
}

// follow stores what follows one job. What is wrong with an action is noted for
// people and no error: the others happen all the same.
func (e *Engine) follow(ctx context.Context, tx pgx.Tx, end *store.JobEnd, moved map[live.Topic]bool) error {
	content, err := e.content.get(ctx, end.WorkspaceID, end.EventID, end.Version)
	if unreadable(err) {
		return nil // the job says so itself
	}
	if err != nil {
		return err
	}
	for i, action := range content.Then {
		if action.Event == nil || !action.When.Matches(&end.Job) {
			continue
		}
		done, err := e.followByEvent(ctx, tx, end, action)
		if err != nil {
			return err
		}
		done.JobID, done.Number, done.WorkspaceID, done.When = end.ID, i, end.WorkspaceID, action.When
		if err := store.AddFollowUp(ctx, tx, done); err != nil {
			return fmt.Errorf("record what follows job %s: %w", end.ID, err)
		}
		moved[live.JobTopic(end.ID)], moved[live.JobsTopic(end.WorkspaceID)] = true, true
	}
	return nil
}

// followByEvent fires the event of an action.
func (e *Engine) followByEvent(ctx context.Context, tx pgx.Tx, end *store.JobEnd, action cronium.Action) (store.FollowUp, error) {
	done := store.FollowUp{EventID: &action.Event.ID}
	if end.Depth >= cronium.MaxDepth {
		done.Note = fmt.Sprintf("Nothing was run: this is the end of a chain of %d jobs, as long as one may be.", cronium.MaxDepth)
		return done, nil
	}
	input, notes, err := stepInput(action.Event, end)
	if err != nil {
		done.Note = "Nothing was run: the input could not be made, because " + err.Error() + "."
		return done, nil
	}
	source := end.ID
	job, err := e.EnqueueTx(ctx, tx, Request{
		WorkspaceID: end.WorkspaceID, EventID: action.Event.ID, Input: input, Trigger: cronium.TriggerEvent, TriggeredBy: end.EventName,
		Source: &source, Depth: end.Depth + 1,
	})
	var public *cronium.Error
	switch {
	case err == nil:
		done.NextJob, done.Note = &job.ID, strings.Join(notes, "; ")
	case errors.As(err, &public) && public.Code != cronium.CodeInternal && public.Code != cronium.CodeUnavailable:
		done.Note = "Nothing was run: " + callMessage(public)
	default:
		return done, err
	}
	return done, nil
}

// stepInput is the input of the job that follows another.
func stepInput(step *cronium.EventStep, end *store.JobEnd) (json.RawMessage, []string, error) {
	if len(step.Input) == 0 {
		return end.Output, nil, nil
	}
	document, err := template.ParseDocument(step.Input)
	if err != nil {
		return nil, nil, err
	}
	return document.Render(jobValues(&end.Job, end.EventName))
}

// jobValues is what templates may name of a job that has ended.
func jobValues(j *cronium.Job, event string) map[string]any {
	condition := any(nil)
	if j.Condition != nil {
		condition = *j.Condition
	}
	return map[string]any{
		"cronium": map[string]any{
			"event":     map[string]any{"name": event, "id": j.EventID.String(), "version": j.Version},
			"job":       map[string]any{"id": j.ID.String(), "status": string(j.Status), "result": string(j.Result), "error": j.Error, "triggered_by": j.TriggeredBy, "attempts": j.Attempts},
			"output":    j.Output,
			"condition": condition,
		},
		"input": j.Input,
	}
}
