package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"cronium.dev/cronium"
	"cronium.dev/inputschema"
	"cronium.dev/live"
	"cronium.dev/store"
)

// Request asks for one job.
type Request struct {
	WorkspaceID    cronium.ID
	EventID        cronium.ID
	Version        int             // 0 = the current one; below zero = a draft of an earlier test run
	Draft          *store.Draft    // instead of a version: a content to run without saving it; takes no IdempotencyKey
	Input          json.RawMessage // nil = the version's default input
	Priority       cronium.Priority
	Trigger        cronium.Trigger
	TriggeredBy    string
	RerunOf        *cronium.ID
	Source         *cronium.ID  // the schedule, webhook or job that fires it
	FireAt         *time.Time   // the instant of a schedule that it is for
	Depth          int          // jobs before it in a chain of follow-ups
	Servers        []cronium.ID // instead of what the version says; nil: that
	Selector       string       // instead of both; "": those
	OnFailed       bool         // with RerunOf: on those servers alone on which that job did not succeed
	IdempotencyKey string       // "" = none; at most 200 characters
}

// Enqueue accepts a job: when it returns without error, the job will reach a
// final state. A request that repeats an idempotency key gets the first job
// back. Errors are *cronium.Error: CodeNotFound, CodeInvalid for an input that
// is not JSON or not what the event's schema asks for, CodeConflict for an event
// that does not run now.
func (e *Engine) Enqueue(ctx context.Context, r Request) (*cronium.Job, error) {
	var p cronium.Problems
	p.Add(len(r.IdempotencyKey) <= 200 && utf8.ValidString(r.IdempotencyKey), "Idempotency-Key", "must be at most 200 characters")
	if err := p.Err("The run"); err != nil {
		return nil, err
	}
	once := r.idempotency()
	if once != nil {
		// Before anything else: who got no answer repeats the request, and it was
		// accepted, whatever has become of the event since.
		first, err := e.Store.Accepted(ctx, r.WorkspaceID, once)
		if err != nil {
			return nil, err
		}
		if first != nil {
			return &first.Job, nil
		}
	}
	job, target, err := e.prepareJob(ctx, &r)
	if err != nil {
		return nil, err
	}
	queue := func(ctx context.Context, tx pgx.Tx) error {
		return e.insert(ctx, tx, *job, target, time.Time{})
	}
	var first *cronium.ID
	if r.Draft != nil {
		err = e.Store.EnqueueDraft(ctx, job, *r.Draft, queue)
	} else {
		first, err = e.Store.Enqueue(ctx, job, once, queue)
	}
	if err != nil {
		return nil, err
	}
	if first != nil {
		row, err := e.Store.Job(ctx, r.WorkspaceID, *first)
		if err != nil {
			return nil, err
		}
		return &row.Job, nil
	}
	e.Hub.Publish(live.JobsTopic(job.WorkspaceID))
	return job, nil
}

// EnqueueTx accepts a job in the caller's transaction, together with what fired
// it; the job exists if and only if that is committed. The transaction must see
// the workspace. Drafts and idempotency keys are not for it. After the commit
// the caller publishes live.JobsTopic. Errors are those of Enqueue; after
// CodeNotFound, CodeInvalid and CodeConflict the transaction may go on.
func (e *Engine) EnqueueTx(ctx context.Context, tx pgx.Tx, r Request) (*cronium.Job, error) {
	job, target, err := e.prepareJob(ctx, &r)
	if err != nil {
		return nil, err
	}
	err = e.Store.EnqueueTx(ctx, tx, job, func(ctx context.Context, tx pgx.Tx) error {
		return e.insert(ctx, tx, *job, target, time.Time{})
	})
	if err != nil {
		return nil, err
	}
	return job, nil
}

// prepareJob is the job that a request asks for, and where it runs; nothing is
// stored. It fills in what the request leaves to the event.
func (e *Engine) prepareJob(ctx context.Context, r *Request) (*cronium.Job, cronium.TargetKind, error) {
	event, err := e.Store.Runnable(ctx, r.WorkspaceID, r.EventID)
	if err != nil {
		return nil, "", err
	}
	if err := mayRun(event, r.Trigger); err != nil {
		return nil, "", err
	}
	if err := e.mayWait(ctx, r.WorkspaceID, event); err != nil {
		return nil, "", err
	}
	return e.jobOf(ctx, r, event)
}

// jobOf is prepareJob for an event that is known and takes a job now.
func (e *Engine) jobOf(ctx context.Context, r *Request, event *store.Runnable) (*cronium.Job, cronium.TargetKind, error) {
	content, err := e.contentOf(ctx, r, event)
	if err != nil {
		return nil, "", err
	}
	if !e.runsOn(content.Target) {
		return nil, "", cronium.Errorf(cronium.CodeConflict,
			"%q runs on the target %q, which is switched off on this server. Choose another target, or start the server with --process-target.", event.Name, content.Target)
	}
	if err := completeRequest(r, content); err != nil {
		return nil, "", err
	}
	if err := e.chooseServers(ctx, r, content); err != nil {
		return nil, "", err
	}
	group, limit, err := groupOf(content.Group, r.Input)
	if err != nil {
		return nil, "", err
	}
	return &cronium.Job{
		ID: cronium.NewID(), GroupKey: group, GroupLimit: limit, WorkspaceID: r.WorkspaceID, EventID: r.EventID, Version: r.Version, Priority: r.Priority,
		Status: cronium.JobQueued, Trigger: r.Trigger, TriggeredBy: r.TriggeredBy, RerunOf: r.RerunOf, Input: r.Input, Servers: r.Servers,
		Source: r.Source, FireAt: r.FireAt, Depth: r.Depth, Follows: len(content.Then) > 0 && r.Trigger != cronium.TriggerTest,
	}, content.Target, nil
}

// contentOf is what a request runs. It fills in which version that is.
func (e *Engine) contentOf(ctx context.Context, r *Request, event *store.Runnable) (*prepared, error) {
	if r.Draft != nil {
		return prepare(&r.Draft.Content), nil
	}
	if r.Version == 0 {
		r.Version = event.Version
	}
	return e.content.get(ctx, r.WorkspaceID, r.EventID, r.Version)
}

// mayWait tells whether the workspace's queue takes a job.
func (e *Engine) mayWait(ctx context.Context, workspace cronium.ID, event *store.Runnable) error {
	if event.Mode == cronium.QueueDraining {
		return cronium.Errorf(cronium.CodeConflict, "The queue is being drained: it runs what waits and takes nothing new. An administrator can open it on the page Queue.")
	}
	if event.Queued == 0 {
		return nil
	}
	n, err := e.Store.QueuedUpTo(ctx, workspace, event.Queued)
	if err == nil && n >= event.Queued {
		return cronium.Errorf(cronium.CodeLimited, "%d jobs wait in this workspace, as many as may. Ask again when some have run, or have an administrator raise the limit.", n)
	}
	return err
}

func mayRun(event *store.Runnable, trigger cronium.Trigger) error {
	switch {
	case event.Status == cronium.EventArchived:
		return cronium.Errorf(cronium.CodeConflict, "%q is archived and does not run. Restore it first.", event.Name)
	case event.Status == cronium.EventPaused && trigger != cronium.TriggerTest:
		return cronium.Errorf(cronium.CodeConflict, "%q is paused. Activate it, or use Test run.", event.Name)
	case event.Status == cronium.EventDraft && trigger != cronium.TriggerTest:
		return cronium.Errorf(cronium.CodeConflict, "%q is a draft. Activate it, or use Test run.", event.Name)
	}
	return nil
}

// completeRequest fills in what the version says and checks what was given.
func completeRequest(r *Request, content *prepared) error {
	var p cronium.Problems
	if r.Priority == "" {
		r.Priority = content.Priority
	}
	p.Add(r.Priority.Valid(), "priority", "must be LOW, NORMAL, HIGH or CRITICAL")
	if len(r.Input) == 0 {
		r.Input = content.Input
	}
	if len(r.Input) > 0 {
		valid := len(r.Input) <= cronium.MaxInputBytes && json.Valid(r.Input) && utf8.Valid(r.Input)
		p.Add(valid, "input", "must be JSON of at most 1 MiB, like {\"customer\": 7}")
	}
	if err := p.Err("The run"); err != nil {
		return err
	}
	if len(content.InputSchema) == 0 {
		return nil
	}
	schema, err := inputschema.Compile(content.InputSchema)
	if err != nil {
		return fmt.Errorf("compile the input schema of event %s version %d: %w", r.EventID, r.Version, err)
	}
	input := r.Input
	if len(input) == 0 {
		input = json.RawMessage("null")
	}
	return slices.Concat(p, schema.Validate(input)).Err("The input")
}

// idempotency describes what was asked, before defaults are filled in: they may
// be others when the request is repeated.
func (r *Request) idempotency() *store.Idempotency {
	if r.IdempotencyKey == "" {
		return nil
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%s %d %s %s", r.EventID, r.Version, r.Priority, r.Input)
	if len(r.Servers) > 0 || r.Selector != "" || r.OnFailed {
		fmt.Fprintf(digest, " %s %q %t", r.Servers, r.Selector, r.OnFailed)
	}
	return &store.Idempotency{Key: r.IdempotencyKey, Request: digest.Sum(nil)}
}

// insert adds a job's entry to the queue, due at a time (zero: now).
func (e *Engine) insert(ctx context.Context, tx pgx.Tx, job cronium.Job, target cronium.TargetKind, at time.Time) error {
	_, err := e.queue.InsertTx(ctx, tx, argsOf(&job), &river.InsertOpts{Queue: string(target), ScheduledAt: at})
	if err != nil {
		return fmt.Errorf("put job %s into the queue: %w", job.ID, err)
	}
	return nil
}

// Cancel asks for a job to be stopped, and returns once that is stored. A final
// job stays as it is. It fails with CodeNotFound.
func (e *Engine) Cancel(ctx context.Context, workspace, job cronium.ID, by string) error {
	if _, err := e.Store.Cancel(ctx, workspace, job, by); err != nil {
		return err
	}
	if err := e.settle(ctx, workspace, job); err != nil {
		return err
	}
	e.Hub.Publish(live.CancelTopic, live.JobTopic(job), live.JobsTopic(workspace))
	return nil
}
