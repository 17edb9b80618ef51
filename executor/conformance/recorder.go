package conformance

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/agent/proto"
)

// Recorder is a sink that keeps everything in memory and checks what Drive
// promises a sink.
type Recorder struct {
	t *testing.T
	// Before is called before a batch is stored; an error of it is the sink's.
	Before func(batch []*proto.Output) error
	// Answer answers helper calls; nil: there is none of the name.
	Answer func(*proto.HelperCall) *proto.HelperAnswer

	mu             sync.Mutex
	changed        chan struct{} // closed and made anew at each change
	stdout, stderr strings.Builder
	offset         uint64 // of the next byte
	started        int
	batches        int
	usages         int
}

// NewRecorder makes one that reports broken promises to t.
func NewRecorder(t *testing.T) *Recorder {
	return &Recorder{t: t, changed: make(chan struct{})}
}

// Started counts.
func (r *Recorder) Started(context.Context, time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started++
	r.change()
	return nil
}

// Output keeps a batch and checks that it follows what is there.
func (r *Recorder) Output(_ context.Context, batch []*proto.Output) (uint64, error) {
	if r.Before != nil {
		if err := r.Before(batch); err != nil {
			return 0, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range batch {
		if o.GetOffset() != r.offset {
			r.t.Errorf("a record begins at byte %d, want %d", o.GetOffset(), r.offset)
			return 0, errors.New("output does not follow")
		}
		if len(o.GetData()) == 0 {
			r.t.Errorf("a record at byte %d is empty", o.GetOffset())
		}
		r.offset += uint64(len(o.GetData()))
		switch o.GetStream() {
		case proto.Stream_STREAM_STDOUT:
			r.stdout.Write(o.GetData())
		case proto.Stream_STREAM_STDERR:
			r.stderr.Write(o.GetData())
		default:
			r.t.Errorf("a record at byte %d is of no stream", o.GetOffset())
		}
	}
	r.batches++
	r.change()
	return r.offset, nil
}

// Settle has nothing in hand.
func (r *Recorder) Settle(context.Context) (uint64, error) {
	r.t.Error("the sink was asked to settle what it has not")
	return 0, errors.New("nothing is in hand")
}

// Last keeps the batch that came with the end.
func (r *Recorder) Last(ctx context.Context, batch []*proto.Output) error {
	_, err := r.Output(ctx, batch)
	return err
}

// Usage counts.
func (r *Recorder) Usage(context.Context, *proto.Usage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.usages++
	r.change()
}

// Call has the call answered. One without an answer gets it when the
// execution is over.
func (r *Recorder) Call(ctx context.Context, call *proto.HelperCall) *proto.HelperAnswer {
	if r.Answer != nil {
		if answer := r.Answer(call); answer != nil {
			return answer
		}
		<-ctx.Done()
	}
	return &proto.HelperAnswer{Number: call.GetNumber(), Error: &proto.HelperError{Status: 404, Message: "There is no call " + call.GetMethod() + "."}}
}

func (r *Recorder) change() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Stdout is what was stored of it so far.
func (r *Recorder) Stdout() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stdout.String()
}

// Stderr is what was stored of it so far.
func (r *Recorder) Stderr() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

// Offset is where the next byte of output belongs.
func (r *Recorder) Offset() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.offset
}

// Starts is how often Drive said that the script runs.
func (r *Recorder) Starts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}

// Wait waits until stdout contains text.
func (r *Recorder) Wait(ctx context.Context, text string) {
	r.t.Helper()
	for {
		r.mu.Lock()
		found, changed := strings.Contains(r.stdout.String(), text), r.changed
		r.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.t.Fatalf("no %q in stdout: %q, stderr %q", text, r.Stdout(), r.Stderr())
		}
	}
}
