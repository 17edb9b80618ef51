package conformance

import (
	"errors"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// stubborn ignores every polite signal, and so does its child.
const stubborn = `
import os, signal, time
for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(s, signal.SIG_IGN)
os.fork()
os.write(1, b"ready\n")
while True:
    time.sleep(1)
`

func (target Target) testStops(t *testing.T) {
	each(t, map[string]func(*testing.T){
		"cancel ends a script that ignores SIGTERM": func(t *testing.T) {
			place, sink, cancel := target.Place(t), NewRecorder(t), make(chan struct{})
			run := Python(stubborn).Limited(&proto.Limits{GraceMs: 300}).Run(target.Key)
			run.Cancel = cancel
			done := drive(Context(t), place, run, sink)
			sink.Wait(Context(t), "ready\nready\n")
			begun := time.Now()
			close(cancel)
			(<-done).Ended(t, proto.Outcome_OUTCOME_CANCELLED)
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v to end", took)
			}
		},
		"a script that heeds SIGTERM may clean up": func(t *testing.T) {
			place, sink, cancel := target.Place(t), NewRecorder(t), make(chan struct{})
			run := Bash(`trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done`).
				Limited(&proto.Limits{GraceMs: 10_000}).Run(target.Key)
			run.Cancel = cancel
			done := drive(Context(t), place, run, sink)
			sink.Wait(Context(t), "ready\n")
			close(cancel)
			r := <-done
			r.Ended(t, proto.Outcome_OUTCOME_CANCELLED)
			equal(t, "stdout", sink.Stdout(), "ready\ncleaned\n")
		},
		"cancelled before its start, it is never started": func(t *testing.T) {
			place, sink, cancel := target.Place(t), NewRecorder(t), make(chan struct{})
			close(cancel)
			run := Bash(`echo started`).Run(target.Key)
			run.Cancel = cancel
			(<-drive(Context(t), place, run, sink)).Ended(t, proto.Outcome_OUTCOME_CANCELLED)
			equal(t, "starts", sink.Starts(), 0)
			equal(t, "stdout", sink.Stdout(), "")
		},
		"the agent stops it at its time limit": func(t *testing.T) {
			r := target.Execute(t, Python(stubborn).Limited(&proto.Limits{RunMs: 700, GraceMs: 200}))
			r.Ended(t, proto.Outcome_OUTCOME_TIMEOUT)
			equal(t, "phase", r.Finish.GetTimeoutPhase(), proto.Phase_PHASE_RUNNING)
		},
		"a place that was killed from outside is gone at once": func(t *testing.T) {
			place, sink := target.Place(t), NewRecorder(t)
			done := drive(Context(t), place, Bash(`echo ready; sleep 300`).Run(target.Key), sink)
			sink.Wait(Context(t), "ready\n")
			begun := time.Now()
			target.Kill(t, place)
			if r := <-done; !errors.Is(r.Err, executor.ErrGone) {
				t.Errorf("drive: %v, want ErrGone", r.Err)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v to notice", took)
			}
			if _, err := target.Backend.Find(Context(t), place.Ref()); !errors.Is(err, executor.ErrGone) {
				t.Errorf("find: %v, want ErrGone", err)
			}
		},
		"an execution that the agent does not know is gone": func(t *testing.T) {
			run := Bash(`echo started`).Run(target.Key)
			run.Started = true
			sink := NewRecorder(t)
			if r := <-drive(Context(t), target.Place(t), run, sink); !errors.Is(r.Err, executor.ErrGone) {
				t.Errorf("drive: %v, want ErrGone", r.Err)
			}
			equal(t, "stdout", sink.Stdout(), "")
		},
		"a script signed by another key is refused": func(t *testing.T) {
			run := Bash(`echo started`).Run(otherKey())
			r := <-drive(Context(t), target.Place(t), run, NewRecorder(t))
			var told *cronium.Error
			if !errors.As(r.Err, &told) {
				t.Errorf("drive: %v, want an error for people", r.Err)
			}
		},
		"destroying twice succeeds": func(t *testing.T) {
			place := target.Place(t)
			for range 2 {
				if err := place.Destroy(Context(t)); err != nil {
					t.Errorf("destroy: %v", err)
				}
			}
		},
	})
}
