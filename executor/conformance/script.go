package conformance

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Target is one kind of place under test.
type Target struct {
	Backend executor.Backend
	Key     ed25519.PrivateKey // the agents trust its public half
	Spec    executor.Spec      // of each place; the execution's id is filled in
	// Kill ends a place from outside, as a fault would.
	Kill func(t *testing.T, place executor.Place)
	// Cut makes a place's streams break, each after a random number of bytes in
	// the range, and counts the breaks. nil where a place has streams of its own,
	// which the suite cuts itself.
	Cut func(t *testing.T, place executor.Place, seed uint64, least, most int) (cuts func() int64)
}

// Script is what a test runs.
type Script struct {
	Files   map[string]string // content by name
	Entry   string
	Command []string
	Env     map[string]string
	Input   string // JSON
	Event   string // JSON
	Limits  *proto.Limits
}

// Bash is a script of one file.
func Bash(text string) Script { return oneFile("script.sh", text, cronium.EventBash) }

// Python is a script of one file.
func Python(text string) Script { return oneFile("script.py", text, cronium.EventPython) }

// Node is a script of one file.
func Node(text string) Script { return oneFile("script.js", text, cronium.EventNode) }

func oneFile(name, text string, t cronium.EventType) Script {
	return Script{Files: map[string]string{name: text}, Entry: name, Command: t.Command()}
}

// Limited is the script with other limits.
func (s Script) Limited(l *proto.Limits) Script {
	s.Limits = l
	return s
}

// Run makes a new execution of the script.
func (s Script) Run(key ed25519.PrivateKey) executor.Run {
	m := &proto.Manifest{
		Command:     s.Command,
		Entry:       s.Entry,
		Environment: s.Env,
		Input:       []byte(s.Input),
		Event:       []byte(s.Event),
		Limits:      s.Limits,
	}
	if m.Limits == nil {
		m.Limits = &proto.Limits{RunMs: 60_000, GraceMs: 500}
	}
	blobs := map[string][]byte{}
	for name, text := range s.Files {
		sum := sha256.Sum256([]byte(text))
		digest := hex.EncodeToString(sum[:])
		blobs[digest] = []byte(text)
		m.Files = append(m.Files, &proto.File{Name: name, Sha256: digest, Size: int64(len(text)), Mode: 0o644})
	}
	return executor.Run{ExecutionID: cronium.NewID(), Manifest: m, Blobs: blobs, Key: key}
}

// Result is what came of an execution.
type Result struct {
	Finish *proto.Finish
	Err    error
	Sink   *Recorder
}

// Execute runs a script on a new place and removes the place afterwards.
func (target Target) Execute(t *testing.T, s Script) Result {
	t.Helper()
	run := s.Run(target.Key)
	place := target.PlaceFor(t, run)
	sink := NewRecorder(t)
	finish, err := executor.Drive(Context(t), place, run, sink)
	return Result{Finish: finish, Err: err, Sink: sink}
}

// Place makes a place that is removed when the test ends.
func (target Target) Place(t *testing.T) executor.Place {
	t.Helper()
	return target.PlaceFor(t, executor.Run{ExecutionID: cronium.NewID()})
}

// PlaceFor makes a place that knows which execution it is for, as those of jobs
// do.
func (target Target) PlaceFor(t *testing.T, run executor.Run) executor.Place {
	t.Helper()
	spec := target.Spec
	spec.ExecutionID = run.ExecutionID
	place, err := target.Backend.Create(Context(t), spec, func(string) {})
	if err != nil {
		t.Fatalf("create a place: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		// Over a line that was just cut it may take another try, as for jobs.
		err := place.Destroy(ctx)
		for wait := 50 * time.Millisecond; err != nil && ctx.Err() == nil; wait *= 2 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
			err = place.Destroy(ctx)
		}
		if err != nil {
			t.Errorf("destroy the place: %v", err)
		}
	})
	return place
}

// Context ends with the test, or after a time in which every test is over.
func Context(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Exited fails the test unless the script ended by itself with the code.
func (r Result) Exited(t *testing.T, code int32) {
	t.Helper()
	r.Ended(t, proto.Outcome_OUTCOME_EXITED)
	if got := r.Finish.GetExitCode(); got != code {
		t.Fatalf("exit code is %d, want %d; stdout %q, stderr %q", got, code, r.Sink.Stdout(), r.Sink.Stderr())
	}
}

// Ended fails the test unless the execution has the outcome.
func (r Result) Ended(t *testing.T, outcome proto.Outcome) {
	t.Helper()
	if r.Err != nil {
		t.Fatalf("drive: %v; stdout %q, stderr %q", r.Err, r.Sink.Stdout(), r.Sink.Stderr())
	}
	if got := r.Finish.GetOutcome(); got != outcome {
		t.Fatalf("outcome is %v (%s), want %v; stdout %q, stderr %q", got, r.Finish.GetMessage(), outcome, r.Sink.Stdout(), r.Sink.Stderr())
	}
}
