package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// queueSizes are the queues that a process fetches from, and how many of their
// entries it works on at once. A crowd of servers does not take the slots of
// containers. The entry of a job on servers is worked on as long as it takes to
// find them.
func queueSizes(config Config) map[string]int {
	remote := config.MaxRemoteRuns
	if remote == 0 {
		remote = config.MaxRuns
	}
	sizes := map[string]int{}
	for kind := range config.Backends {
		switch kind {
		case cronium.TargetAgent:
			sizes[store.AgentQueue(&config.ID)] = remote
			fallthrough
		case cronium.TargetSSH:
			sizes[string(kind)] = remote
			sizes[string(cronium.TargetServers)] = config.MaxRuns
		default:
			sizes[string(kind)] = config.MaxRuns
		}
	}
	return sizes
}

// runsOn tells whether this process has what an event's target needs.
func (e *Engine) runsOn(target cronium.TargetKind) bool {
	if target == cronium.TargetServers {
		return e.Backends[cronium.TargetSSH] != nil || e.Backends[cronium.TargetAgent] != nil
	}
	return e.Backends[target] != nil
}

// resolve finds the servers of a job and lets the first of them run.
func (e *Engine) resolve(ctx context.Context, args runArgs, content *prepared) error {
	matches, err := matcher(content.On.Selector)
	if err != nil && content.On.Selector != "" { // it was valid when it was saved
		e.Log.Error("the selector of an event cannot be read", "job", args.JobID, "error", err)
	}
	job, err := e.Store.Resolve(ctx, store.Resolution{JobID: args.JobID, Fleet: content.On, Matches: matches, Queue: e.targetQueue()})
	switch {
	case errors.Is(err, store.ErrNotQueued):
		return nil
	case waits(err) != nil:
		return e.wait(args, waits(err))
	case err != nil:
		return e.later(err)
	case job != nil:
		e.metrics.claimed(time.Since(job.QueuedAt()), 1)
	}
	e.Hub.Publish(live.JobTopic(args.JobID), live.JobsTopic(args.WorkspaceID))
	return nil
}

// matcher tells which servers a selector chooses; none when it cannot be read.
func matcher(selector string) (func(*cronium.Server) bool, error) {
	parsed, err := cronium.ParseSelector(selector)
	if err != nil {
		return func(*cronium.Server) bool { return false }, err
	}
	return func(s *cronium.Server) bool { return parsed.Matches(s.Name, s.Environment, s.Kind, s.Tags) }, nil
}

// chooseServers turns a request's own choice into the servers that it means.
func (e *Engine) chooseServers(ctx context.Context, r *Request, content *prepared) error {
	if r.OnFailed {
		return e.chooseFailed(ctx, r)
	}
	if len(r.Servers) == 0 && r.Selector == "" {
		r.Servers = nil
		return nil
	}
	var p cronium.Problems
	p.Add(content.Target == cronium.TargetServers, "on", "is for events that run on servers, and this one runs in a container")
	p.Add(len(r.Servers) == 0 || r.Selector == "", "on", "must be servers or a selector, not both")
	p.Add(len(r.Servers) <= cronium.MaxTargets, "on", "must be at most 10,000 servers")
	if err := p.Err("The run"); err != nil {
		return err
	}
	if r.Selector == "" && r.RerunOf != nil {
		return nil // those that are gone meanwhile are shown as failed
	}
	if r.Selector == "" {
		return e.Store.HaveServers(ctx, r.WorkspaceID, r.Servers)
	}
	matches, err := matcher(r.Selector)
	if err != nil {
		p.Add(false, "on", "%s", err)
		return p.Err("The run")
	}
	servers, err := e.Store.ServersMatching(ctx, r.WorkspaceID)
	if err != nil {
		return err
	}
	for _, s := range servers {
		if matches(&cronium.Server{ID: s.ID, Name: s.Name, Kind: s.Kind, Environment: s.Environment, Tags: s.Tags}) {
			r.Servers = append(r.Servers, s.ID)
		}
	}
	p.Add(len(r.Servers) > 0 && len(r.Servers) <= cronium.MaxTargets, "on", "matches %d servers, and must match 1 to 10,000", len(r.Servers))
	return p.Err("The run")
}

// chooseFailed chooses the servers on which the job that is run again did not
// succeed.
func (e *Engine) chooseFailed(ctx context.Context, r *Request) error {
	if r.RerunOf == nil {
		return errors.New("run a job again where it failed: which job is not given")
	}
	job, err := e.Store.Job(ctx, r.WorkspaceID, *r.RerunOf)
	if err != nil {
		return err
	}
	if !job.Status.Final() {
		return cronium.Errorf(cronium.CodeConflict, "The job has not ended. Wait for it or cancel it, then run it again where it failed.")
	}
	if r.Servers, err = e.Store.Unsuccessful(ctx, job.WorkspaceID, job.ID); err != nil {
		return err
	}
	if len(r.Servers) == 0 || job.Result == cronium.ResultSuccess {
		return cronium.Errorf(cronium.CodeConflict, "The job failed on no server, so there is nothing to run again.")
	}
	return nil
}

// targetQueue adds what becomes due to the queue.
func (e *Engine) targetQueue() *store.TargetQueue {
	return &store.TargetQueue{Job: e.requeueJob, Targets: e.insertTargets}
}

func (e *Engine) requeueJob(ctx context.Context, tx pgx.Tx, job cronium.Job, at time.Time) error {
	target, err := e.queueOf(ctx, job)
	if err != nil {
		return err
	}
	return e.insert(ctx, tx, job, target, at)
}

// insertTargets adds the entries of targets that may run: those of agents to the
// queue of the process that is connected to them.
func (e *Engine) insertTargets(ctx context.Context, tx pgx.Tx, job cronium.Job, released []store.Released) error {
	entries := make([]river.InsertManyParams, len(released))
	for i, t := range released {
		kind := t.Kind.Target()
		queue := string(kind)
		if kind == cronium.TargetAgent {
			queue = store.AgentQueue(t.Holder)
		}
		args := argsOf(&job)
		args.ServerID, args.Target = &released[i].ServerID, kind
		entries[i] = river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Queue: queue, ScheduledAt: t.At}}
	}
	if _, err := e.queue.InsertManyFastTx(ctx, tx, entries); err != nil {
		return fmt.Errorf("put the servers of job %s into the queue: %w", job.ID, err)
	}
	return nil
}

// settle carries out what follows for the targets of a job that was cancelled.
func (e *Engine) settle(ctx context.Context, workspace, id cronium.ID) error {
	row, err := e.Store.Job(ctx, workspace, id)
	if err != nil || row.Targets == 0 || row.Status.Final() {
		return err
	}
	return e.settleJob(ctx, row.Job)
}

func (e *Engine) settleJob(ctx context.Context, job cronium.Job) error {
	content, err := e.content.get(ctx, job.WorkspaceID, job.EventID, job.Version)
	if unreadable(err) {
		content, err = noContent(), nil // what is left of it ends as it comes to run
	}
	if err != nil {
		return err
	}
	if err := e.Store.Settle(ctx, job.ID, content.On, e.targetQueue()); err != nil {
		return err
	}
	e.Hub.Publish(live.JobTopic(job.ID), live.JobsTopic(job.WorkspaceID))
	return nil
}

// mendFleets is the last net under crashes between two steps of jobs on servers:
// released targets without an entry get a new one, and jobs that could end or go
// on do. What hinders one does not hinder the others.
func (e *Engine) mendFleets(ctx context.Context) error {
	stranded, failed := e.Store.StrandedTargets(ctx)
	for _, t := range stranded {
		err := pgx.BeginFunc(ctx, e.Store.WorkerPool(), func(tx pgx.Tx) error {
			return e.insertTargets(ctx, tx, t.Job, []store.Released{t.Released})
		})
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		e.Log.Warn("a target had lost its place in the queue and gets a new one", "job", t.Job.ID, "server", t.ServerID)
	}
	unsettled, err := e.Store.Unsettled(ctx)
	failed = errors.Join(failed, err)
	for _, job := range unsettled {
		failed = errors.Join(failed, e.settleJob(ctx, job))
	}
	return failed
}
