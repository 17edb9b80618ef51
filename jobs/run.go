package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// setupLimit is how long an execution may wait for a place before it fails.
const setupLimit = 5 * time.Minute

// run is one execution in the hands of this process. One goroutine owns it; only
// stop may be called by others.
type run struct {
	engine    *Engine
	execution cronium.Execution
	content   *prepared
	job       cronium.Job
	eventName string
	eventType cronium.EventType
	place     executor.Place
	stored    store.Appended
	waits     string                // what pages say that it waits for
	outgoing  string                // what an HTTP request may reach, for outgoingVariable; "" = whatever its target reaches
	last      []cronium.Chunk       // came with the end and is stored with it
	dropped   int64                 // bytes of output that came beyond the limit and were not stored
	limited   bool                  // its end may let another job of the event run
	adopted   bool                  // another process, or a claim of unknown outcome, came before
	server    *cronium.TargetServer // that it runs on; nil for a container
	digest    digest                // of the output that is stored, with server
	hidden    *secrets.Hidden       // what must not be readable in what it gives out, once hiding is closed
	hiding    chan struct{}         // closed when hidden is known
	hash      []byte                // of the whole, once it has ended

	cancelled context.Context // ends when a cancel shall be carried out
	stop      func()          // carries it out; may be called by others and again
	driven    atomic.Bool     // it is claimed, so that it may be given up
	left      context.Context // ends when it is given up to another process
	giveUp    func()          // may be called by others and again
}

func (e *Engine) newRun(execution cronium.Execution, content *prepared) *run {
	r := &run{engine: e, execution: execution, content: content, hiding: make(chan struct{})}
	r.cancelled, r.stop = context.WithCancel(context.Background())
	r.left, r.giveUp = context.WithCancel(context.Background())
	return r
}

func (r *run) backend() executor.Backend { return r.engine.Backends[r.execution.Target] }

func (r *run) spec() executor.Spec {
	spec := executor.Spec{ExecutionID: r.execution.ID, WorkspaceID: r.execution.WorkspaceID, Image: r.content.Image, Network: r.content.Network, Limits: r.content.Limits}
	if r.execution.ServerID != nil {
		spec.ServerID, spec.RunAs = *r.execution.ServerID, r.content.On.RunAs
	}
	return spec
}

func (r *run) log() *slog.Logger {
	return r.engine.Log.With("workspace", r.execution.WorkspaceID, "job", r.execution.JobID, "execution", r.execution.ID)
}

// drive brings a claimed or adopted execution to its end, unless this process
// stops or loses it before.
func (r *run) drive(ctx context.Context) {
	var loading sync.WaitGroup
	defer loading.Wait()
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	defer context.AfterFunc(r.left, func() { lose(store.ErrNotOwner) })()
	r.driven.Store(true)
	loading.Go(func() { r.findSecrets(ctx) })
	finish, err := r.runBounded(ctx)
	var public *cronium.Error
	switch {
	case err == nil:
		r.finish(ctx, r.ended(finish))
	case errors.Is(err, store.ErrNotOwner):
		r.log().Info("another process has taken over the execution")
	case ctx.Err() != nil:
		// Stopping: the script runs on and is adopted by whoever comes.
	case errors.Is(err, errCancelled):
		r.finish(ctx, store.Finish{Status: cronium.ExecutionCancelled, Error: "Cancelled before the script was started."})
	case errors.Is(err, errOverdue):
		r.log().Warn("an execution without an end is given up", "error", err)
		r.finish(ctx, store.Finish{Status: cronium.ExecutionLost,
			Error: "No end was heard of in the time that its limits allow, so it was given up. What ran the script could not be reached or did not answer; the script may still run there."})
	case errors.Is(err, executor.ErrUnavailable) && r.isCancelled() && r.execution.TargetRef != "":
		r.finish(ctx, store.Finish{Status: cronium.ExecutionLost,
			Error: "It was cancelled while what runs the script could not be reached, so the script was not told and may still run there."})
	case errors.Is(err, executor.ErrGone):
		r.finish(ctx, store.Finish{Status: cronium.ExecutionLost,
			Error: "What ran the script disappeared, so its end is unknown. Someone may have removed it, or the machine was restarted."})
	case errors.As(err, &public):
		r.log().Warn("the script could not be run", "error", err)
		r.finish(ctx, store.Finish{Status: cronium.ExecutionFailure, Error: public.Message})
	default:
		r.log().Error("the script could not be run", "error", err)
		r.finish(ctx, store.Finish{Status: cronium.ExecutionFailure, Error: "Cronium could not run the script. The server's log has the details."})
	}
}

// runSomewhere finds a place and drives the execution there. A place that was
// gone before anything was asked of it, like a container that was removed while
// it waited in the pool, is replaced; but not for an adopted execution, whose
// earlier owner may have asked.
func (r *run) runSomewhere(ctx context.Context) (*proto.Finish, error) {
	for {
		if err := r.findPlace(ctx); err != nil {
			return nil, err
		}
		finish, err := r.follow(ctx)
		if r.adopted || !errors.Is(err, executor.ErrUnasked) || ctx.Err() != nil {
			return finish, err
		}
		r.log().Warn("a place was gone before it was used; taking another", "error", err)
		r.engine.destroy(r.place)
		r.place = nil
	}
}

// follow drives the execution until it ends or turns out to be another's.
func (r *run) follow(ctx context.Context) (*proto.Finish, error) {
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	s := &sink{run: r, lose: lose, taken: uint64(r.stored.Bytes)}
	defer s.close()
	r.findAllowed(ctx)
	finish, err := executor.Drive(ctx, r.place, r.order(), s)
	if err != nil && ctx.Err() == nil { // it ends without an end of its output
		err = errors.Join(err, s.keepLast(ctx, s.rest()))
	}
	return finish, err
}

// errSetupLimit says that setupLimit has passed.
var errSetupLimit = errors.New("no place within the time for it")

// errCancelled says that cancel was asked for before anything was started.
var errCancelled = errors.New("cancelled")

// findPlace makes sure that the execution has a place, and that the database
// names it before anything is started there.
func (r *run) findPlace(ctx context.Context) error {
	if r.place != nil {
		return nil
	}
	if r.adopted && r.execution.TargetRef != "" {
		return r.findAgain(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, setupLimit, errSetupLimit)
	defer cancel()
	stop := context.AfterFunc(r.cancelled, cancel) // a cancel ends a long pull of an image too
	defer stop()
	began := r.engine.tenure.now()
	place, err := r.makePlace(ctx)
	if err != nil && context.Cause(ctx) == errSetupLimit {
		if r.server != nil {
			return &cronium.Error{Code: cronium.CodeUnavailable, Err: err,
				Message: "The server could not be reached within 5 minutes, so nothing was started. Its page says how it is; then run it again."}
		}
		return &cronium.Error{Code: cronium.CodeUnavailable, Err: err,
			Message: "A container could not be had within 5 minutes, so nothing was started. Settings, Engine says how the engine is; then run it again."}
	}
	if err != nil {
		return err
	}
	// Stored even if ctx ends now: the place must not be without a name.
	storing, done := graceful(ctx)
	defer done()
	err = r.insist(storing, func(ctx context.Context) error {
		r.engine.tenure.RLock()
		defer r.engine.tenure.RUnlock()
		if r.engine.tenure.number != began {
			return store.ErrNotOwner // others may have removed it; whoever adopts the execution makes another
		}
		return r.engine.Store.SetPlace(ctx, r.execution.ID, r.engine.id, r.execution.TargetRef, place.Ref())
	})
	if err != nil {
		r.engine.destroy(place)
		return err
	}
	r.place, r.execution.TargetRef = place, place.Ref()
	return nil
}

func (r *run) makePlace(ctx context.Context) (executor.Place, error) {
	if place := r.backend().Warm(r.spec()); place != nil {
		return place, nil
	}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		place, err := r.backend().Create(ctx, r.spec(), func(text string) { r.progress(ctx, text) })
		switch {
		case err == nil:
			return place, nil
		case r.isCancelled():
			return nil, errCancelled
		case !errors.Is(err, executor.ErrUnavailable):
			return nil, err
		}
		var public *cronium.Error
		if errors.As(err, &public) {
			r.progress(ctx, public.Message)
		}
		if !pause(ctx, wait) {
			if r.isCancelled() {
				err = errCancelled
			}
			return nil, err
		}
	}
}

// findAgain finds the place of an adopted execution. While the target cannot be
// reached nothing is known, so it waits; when the job is cancelled, not for long.
func (r *run) findAgain(ctx context.Context) error {
	trying, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(r.cancelled, func() { time.AfterFunc(executor.CancelPatience, cancel) })
	defer stop()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		place, err := r.backend().Find(trying, r.execution.TargetRef)
		if err == nil {
			r.place = place
			return nil
		}
		if !errors.Is(err, executor.ErrUnavailable) && trying.Err() == nil {
			return err
		}
		if trying.Err() == nil {
			r.away(ctx, err)
		}
		if !pause(trying, wait) {
			return errors.Join(context.Cause(ctx), executor.ErrUnavailable)
		}
	}
}

func (r *run) isCancelled() bool {
	select {
	case <-r.cancelled.Done():
		return true
	default:
		return false
	}
}

// progress shows what the execution waits for. That it is not stored when the
// database fails is no reason to stop.
func (r *run) progress(ctx context.Context, text string) {
	if text == r.waits {
		return
	}
	r.waits = text
	if err := r.engine.Store.SetProgress(ctx, r.execution.ID, r.engine.id, text); err == nil {
		r.engine.Hub.Publish(live.JobTopic(r.execution.JobID))
	}
}

// order is what the agent is asked to do.
func (r *run) order() executor.Run {
	limits := r.content.Limits
	environment := make(map[string]string, len(r.content.Environment))
	for _, v := range r.content.Environment {
		environment[v.Name] = v.Value
	}
	if r.outgoing != "" {
		environment[outgoingVariable] = r.outgoing
	}
	return executor.Run{
		ExecutionID: r.execution.ID,
		Manifest: &proto.Manifest{
			ExecutionId: r.execution.ID.String(),
			Command:     r.eventType.Command(),
			Files:       r.content.files,
			Entry:       r.content.Entry,
			Environment: environment,
			Input:       r.job.Input,
			Event:       r.describe(),
			RunAs:       r.spec().RunAs,
			Limits: &proto.Limits{
				RunMs:       limits.Timeout().Milliseconds(),
				OutputBytes: int64(limits.OutputMiB) << 20,
			},
		},
		Blobs:   maps.Clone(r.content.blobs),
		Key:     r.engine.Key,
		From:    uint64(r.stored.Bytes),
		Started: r.execution.Status == cronium.ExecutionRunning,
		Cancel:  r.cancelled.Done(),
		Away:    r.away,
		Lane:    laneOf,
	}
}

// describe is what event() gives to the script.
func (r *run) describe() json.RawMessage {
	type job struct {
		ID          cronium.ID      `json:"id"`
		Attempt     int             `json:"attempt"`
		Trigger     cronium.Trigger `json:"trigger"`
		TriggeredBy string          `json:"triggered_by"`
		QueuedAt    time.Time       `json:"queued_at"`
	}
	text, err := json.Marshal(struct {
		ID          cronium.ID            `json:"id"`
		Name        string                `json:"name"`
		Type        cronium.EventType     `json:"type"`
		Version     int                   `json:"version"`
		WorkspaceID cronium.ID            `json:"workspace_id"`
		ExecutionID cronium.ID            `json:"execution_id"`
		Job         job                   `json:"job"`
		Server      *cronium.TargetServer `json:"server,omitempty"`
	}{r.job.EventID, r.eventName, r.eventType, r.job.Version, r.job.WorkspaceID, r.execution.ID,
		job{r.job.ID, r.execution.Attempt, r.job.Trigger, r.job.TriggeredBy, r.job.QueuedAt()}, r.server})
	if err != nil {
		panic(err) // fixed types
	}
	return text
}

// pause waits, and tells whether the wait was not cut short.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
