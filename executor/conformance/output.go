package conformance

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/executor"
)

func (target Target) testOutput(t *testing.T) {
	each(t, map[string]func(*testing.T){
		"both streams arrive byte for byte": func(t *testing.T) {
			r := target.Execute(t, Bash(`printf 'one\ntwo'; printf 'e\x00\xff\xfe\n' >&2; printf '\x1b[31mred\n'`))
			r.Exited(t, 0)
			equal(t, "stdout", r.Sink.Stdout(), "one\ntwo\x1b[31mred\n")
			equal(t, "stderr", r.Sink.Stderr(), "e\x00\xff\xfe\n")
			equal(t, "output bytes", r.Finish.GetOutputBytes(), r.Sink.Offset())
			if r.Sink.Starts() == 0 {
				t.Error("the sink was not told of the start")
			}
		},
		"a script without output ends": func(t *testing.T) {
			r := target.Execute(t, Bash(`true`))
			r.Exited(t, 0)
			equal(t, "offset", r.Sink.Offset(), 0)
		},
		"one long line without a line feed": func(t *testing.T) {
			r := target.Execute(t, Python(`import sys; sys.stdout.write("x" * 3_000_000)`))
			r.Exited(t, 0)
			equal(t, "length", len(r.Sink.Stdout()), 3_000_000)
		},
		"a script that closed its streams runs on": func(t *testing.T) {
			r := target.Execute(t, Bash(`echo before; exec >&- 2>&-; sleep 0.2; exit 9`))
			r.Exited(t, 9)
			equal(t, "stdout", r.Sink.Stdout(), "before\n")
		},
		"the first line is there while the script runs": func(t *testing.T) {
			place, sink := target.Place(t), NewRecorder(t)
			cancel := make(chan struct{})
			run := Bash(`echo first; sleep 30`).Run(target.Key)
			run.Cancel = cancel
			done := drive(Context(t), place, run, sink)
			sink.Wait(Context(t), "first\n")
			close(cancel)
			(<-done).Ended(t, proto.Outcome_OUTCOME_CANCELLED)
		},
		"beyond the output limit all is counted and dropped": func(t *testing.T) {
			r := target.Execute(t, Bash(`yes 0123456789abcde | head -c 200000000`).Limited(&proto.Limits{OutputBytes: 1 << 20}))
			r.Exited(t, 0)
			equal(t, "stored", len(r.Sink.Stdout()), 1<<20)
			equal(t, "kept", r.Finish.GetOutputBytes(), 1<<20)
			equal(t, "dropped", r.Finish.GetOutputDropped(), 200_000_000-1<<20)
		},
		"a slow sink slows the script and loses nothing": target.testSlowSink,
	})
}

// testSlowSink has a script print more than spool, windows and queue hold
// together, while nothing is stored for a while.
func (target Target) testSlowSink(t *testing.T) {
	const bytes = 24_000_000
	place, sink := target.Place(t), NewRecorder(t)
	first := true
	sink.Before = func([]*proto.Output) error {
		if first {
			first = false
			time.Sleep(700 * time.Millisecond) // the database is slow
		}
		return nil
	}
	run := Python(fmt.Sprintf(`
import sys
for i in range(0, %d, 1000):
    sys.stdout.buffer.write(b"".join(b"%%07d\n" %% n for n in range(i, i + 1000)))
sys.stdout.buffer.flush()
`, bytes/8)).Run(target.Key)
	finish, err := executor.Drive(Context(t), place, run, sink)
	Result{finish, err, sink}.Exited(t, 0)
	numbered(t, sink.Stdout(), bytes/8)
}

// numbered checks lines of seven digits from 0 to n-1.
func numbered(t *testing.T, text string, n int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines {
		if got, err := strconv.Atoi(line); got != i || err != nil || len(line) != 7 {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	equal(t, "lines", len(lines), n)
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// drive runs Drive in the background.
func drive(ctx context.Context, place executor.Place, run executor.Run, sink *Recorder) <-chan Result {
	done := make(chan Result, 1)
	go func() {
		finish, err := executor.Drive(ctx, place, run, sink)
		done <- Result{finish, err, sink}
	}()
	return done
}
