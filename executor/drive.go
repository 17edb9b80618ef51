package executor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// Waits between two tries to reach an agent, before jitter.
const (
	firstWait = 50 * time.Millisecond
	longWait  = 2 * time.Second
	takenWait = time.Second   // after another server has taken the execution over
	awayWait  = 8 * firstWait // from then on the agent counts as away, not as cut off for a moment
)

// agentFailures is how often in a row an agent may answer that something is
// wrong with itself.
const agentFailures = 8

// Drive runs one execution to its end: it starts the script (or finds it
// started), hands what happens to the sink and acknowledges what the sink has
// stored. A stream that breaks is dialled again until the place is gone.
//
// It returns the Finish once the sink has everything, the end of the output by Last. It fails with ErrGone
// when what ran there is lost (and ErrUnasked if nothing can have run), with *cronium.Error when the agent refused the
// script, with ErrUnavailable when the script shall be stopped and the agent
// cannot be told so for CancelPatience, with the sink's error, and with the
// context's cause when that ends. In the last three cases the script goes on
// unharmed and can be driven again.
//
// Drive neither forgets the execution nor destroys the place: the caller does
// one of them after storing the final state.
func Drive(ctx context.Context, place Place, run Run, sink Sink) (*proto.Finish, error) {
	if runner, ok := place.(Runner); ok {
		return runner.Run(ctx, run, sink)
	}
	calling, hangUp := context.WithCancel(ctx)
	d := &drive{place: place, run: run, sink: sink, known: run.Started, taken: run.From, durable: run.From, calls: newCalls(calling, sink.Call, run.Lane)}
	defer d.calls.wait()
	defer hangUp()
	wait, failures := firstWait, 0
	for {
		d.progress = false
		finish, err := d.session(ctx)
		if err == nil {
			return finish, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var end *endError
		if errors.As(err, &end) {
			return nil, end.err
		}
		if errors.Is(err, ErrGone) {
			if !d.known && !d.asked {
				err = fmt.Errorf("%w: %w", ErrUnasked, err)
			}
			return nil, err
		}
		if d.progress {
			wait, failures, d.unheard = firstWait, 0, time.Time{}
		}
		if d.givesUp() {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if run.Away != nil && wait >= awayWait {
			run.Away(ctx, err)
		}
		if failures++; failures >= agentFailures && agentFailed(err) {
			return nil, &cronium.Error{Code: cronium.CodeInternal, Message: "The agent failed: " + status.Convert(err).Message() + ".", Err: err}
		}
		if status.Code(err) == codes.Aborted {
			wait = max(wait, takenWait)
		}
		if !pause(ctx, wait) {
			return nil, context.Cause(ctx)
		}
		wait = min(2*wait, longWait)
	}
}

// agentFailed tells whether the agent itself gave an error, rather than the
// stream or the target.
func agentFailed(err error) bool {
	switch status.Code(err) {
	case codes.Internal, codes.DataLoss, codes.ResourceExhausted:
		return true
	}
	return false
}

// pause waits for d, spread over its last half. False: the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// endError is a reason to end Drive rather than to dial again.
type endError struct{ err error }

func (e *endError) Error() string { return e.err.Error() }

// drive is what Drive keeps from one stream to the next.
type drive struct {
	place    Place
	run      Run
	sink     Sink
	calls    *calls
	known    bool      // the agent has the execution in its spool
	asked    bool      // a Start was sent: the script may run, whatever came of it
	instance string    // of the agent that answered first
	taken    uint64    // offset of the first byte that the sink was not given
	durable  uint64    // offset of the first byte that is not stored
	inHand   time.Time // since when the sink has had something in hand; zero: it has nothing
	progress bool      // this session got something from the agent
	unheard  time.Time // since when the wish to cancel does not reach the agent
	told     bool      // the sink knows from this stream that the script runs
}

// givesUp tells whether the wish to cancel has not reached the agent for too
// long.
func (d *drive) givesUp() bool {
	if !cancelled(d.run.Cancel) {
		return false
	}
	if d.unheard.IsZero() {
		d.unheard = time.Now()
	}
	return time.Since(d.unheard) >= CancelPatience
}

// session follows the execution over one stream, until its end or the
// stream's.
func (d *drive) session(ctx context.Context) (*proto.Finish, error) {
	l, err := link(ctx, d.place, d.instance)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	d.instance = l.Info.GetInstance()
	if !d.known {
		if cancelled(d.run.Cancel) {
			return d.cancelUnstarted(ctx, l)
		}
		if err := d.start(ctx, l); err != nil {
			return nil, err
		}
		d.known = true
	}
	return d.attach(ctx, l)
}

func cancelled(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// cancelUnstarted ends an execution that was cancelled before this Drive sent
// its Start. An earlier server may have sent one, so the agent is asked.
func (d *drive) cancelUnstarted(ctx context.Context, l *Link) (*proto.Finish, error) {
	list, err := l.agent.List(ctx, &proto.ListRequest{})
	if err != nil {
		return nil, fmt.Errorf("list executions: %w", err)
	}
	for _, e := range list.GetExecutions() {
		if e.GetExecutionId() == d.run.ExecutionID.String() {
			d.known = true
			return d.attach(ctx, l)
		}
	}
	return &proto.Finish{Outcome: proto.Outcome_OUTCOME_CANCELLED, Message: "It was cancelled before it started."}, nil
}

// refusal makes of a failed Start what it means: nil for a broken stream.
func refusal(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return nil
	}
	switch s.Code() {
	case codes.AlreadyExists:
		return fmt.Errorf("%w: the agent ran it before and has forgotten it", ErrGone)
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition,
		codes.OutOfRange, codes.ResourceExhausted, codes.Unimplemented:
		return &endError{&cronium.Error{
			Code:    cronium.CodeConflict,
			Message: "The agent did not accept the script: " + s.Message() + ".",
			Err:     err,
		}}
	}
	return nil
}
