package conformance

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"

	"cronium.dev/agent/proto"
	"cronium.dev/executor"
)

// counter prints n numbered lines, a few hundred at a time.
func counter(n int, pause string) Script {
	return Python(fmt.Sprintf(`
import sys, time
for i in range(%d):
    sys.stdout.write("%%07d\n" %% i)
    if i %% 500 == 499:
        sys.stdout.flush()
        time.sleep(%s)
`, n, pause))
}

func (target Target) testCuts(t *testing.T) {
	each(t, map[string]func(*testing.T){
		"streams that break at random lose and double nothing": func(t *testing.T) {
			const lines = 60_000
			place, cuts := target.cut(t, 1, 2_000, 80_000)
			sink := NewRecorder(t)
			finish, err := executor.Drive(Context(t), place, counter(lines, "0.01").Run(target.Key), sink)
			Result{finish, err, sink}.Exited(t, 0)
			numbered(t, sink.Stdout(), lines)
			if cuts() < 5 {
				t.Errorf("there were only %d cuts", cuts())
			}
		},
		"streams that break at once start the script once": func(t *testing.T) {
			place, _ := target.cut(t, 2, 50, 1_500)
			sink := NewRecorder(t)
			run := Bash(`echo "$$" >>started; sleep 1; wc -l <started`).Run(target.Key)
			finish, err := executor.Drive(Context(t), place, run, sink)
			Result{finish, err, sink}.Exited(t, 0)
			equal(t, "times started", sink.Stdout(), "1\n")
		},
		"cancel arrives through streams that break": func(t *testing.T) {
			place, _ := target.cut(t, 3, 500, 2_000)
			sink, cancel := NewRecorder(t), make(chan struct{})
			run := Python(stubborn).Limited(&proto.Limits{GraceMs: 100}).Run(target.Key)
			run.Cancel = cancel
			done := drive(Context(t), place, run, sink)
			sink.Wait(Context(t), "ready\n")
			close(cancel)
			(<-done).Ended(t, proto.Outcome_OUTCOME_CANCELLED)
		},
	})
}

func (target Target) testTakeover(t *testing.T) {
	each(t, map[string]func(*testing.T){
		"another server goes on where the first stopped": target.testAdoption,
		"a script that goes on alone is found again": func(t *testing.T) {
			place, sink := target.Place(t), NewRecorder(t)
			run := Bash(`echo ready; sleep 0.3; echo more; exit 6`).Run(target.Key)
			ctx, die := context.WithCancel(Context(t))
			done := drive(ctx, place, run, sink)
			sink.Wait(ctx, "ready\n")
			die()
			<-done
			run.From, run.Started = sink.Offset(), true
			found, err := target.Backend.Find(Context(t), place.Ref())
			if err != nil {
				t.Fatalf("find: %v", err)
			}
			finish, err := executor.Drive(Context(t), found, run, sink)
			Result{finish, err, sink}.Exited(t, 6)
			equal(t, "stdout", sink.Stdout(), "ready\nmore\n")
		},
		"a repeated start starts nothing": func(t *testing.T) {
			place, sink := target.Place(t), NewRecorder(t)
			run := Bash(`echo "$$" >>started; echo ready; sleep 1; wc -l <started`).Run(target.Key)
			ctx, die := context.WithCancel(Context(t))
			done := drive(ctx, place, run, sink)
			sink.Wait(ctx, "ready\n")
			die()
			<-done
			run.From = sink.Offset() // Started is not set: this server does not know
			finish, err := executor.Drive(Context(t), place, run, sink)
			Result{finish, err, sink}.Exited(t, 0)
			equal(t, "stdout", sink.Stdout(), "ready\n1\n")
		},
		"a sink that fails ends Drive and not the script": func(t *testing.T) {
			place, sink := target.Place(t), NewRecorder(t)
			broken := errors.New("the lease is lost")
			sink.Before = func([]*proto.Output) error { return broken }
			run := Bash(`echo ready; sleep 0.5; exit 3`).Run(target.Key)
			if r := <-drive(Context(t), place, run, sink); !errors.Is(r.Err, broken) {
				t.Fatalf("drive: %v, want the sink's error", r.Err)
			}
			sink.Before = nil
			run.Started = true
			finish, err := executor.Drive(Context(t), place, run, sink)
			Result{finish, err, sink}.Exited(t, 3)
			equal(t, "stdout", sink.Stdout(), "ready\n")
		},
		"what is forgotten cannot be started again": func(t *testing.T) {
			place, sink := target.Place(t), NewRecorder(t)
			run := Bash(`echo ran`).Run(target.Key)
			finish, err := executor.Drive(Context(t), place, run, sink)
			Result{finish, err, sink}.Exited(t, 0)
			for range 2 {
				if err := executor.Forget(Context(t), place, run.ExecutionID); err != nil {
					t.Fatalf("forget: %v", err)
				}
			}
			again := NewRecorder(t)
			if r := <-drive(Context(t), place, run, again); r.Err == nil {
				t.Error("a forgotten execution was started again")
			}
			equal(t, "stdout", again.Stdout(), "")
		},
	})
}

// testAdoption has servers die one after another under a script that prints
// numbered lines.
func (target Target) testAdoption(t *testing.T) {
	const lines = 30_000
	place, sink := target.Place(t), NewRecorder(t)
	run := counter(lines, "0.02").Run(target.Key)
	for _, mark := range []string{"0000499\n", "0007999\n", "0019999\n"} {
		ctx, die := context.WithCancel(Context(t))
		done := drive(ctx, place, run, sink)
		sink.Wait(ctx, mark)
		die()
		if r := <-done; r.Err == nil {
			break // it had ended already
		}
		found, err := target.Backend.Find(Context(t), place.Ref())
		if err != nil {
			t.Fatalf("find: %v", err)
		}
		equal(t, "target", found.TargetID(), place.TargetID())
		place, run.Started, run.From = found, true, sink.Offset()
	}
	finish, err := executor.Drive(Context(t), place, run, sink)
	Result{finish, err, sink}.Exited(t, 0)
	numbered(t, sink.Stdout(), lines)
}

func otherKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
}
