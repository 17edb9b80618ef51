package conformance

import (
	"fmt"
	"strings"
	"testing"

	"cronium.dev/agent/proto"
)

func (target Target) testEnds(t *testing.T) {
	cases := map[string]func(*testing.T){
		"killed by a signal of its own": func(t *testing.T) {
			r := target.Execute(t, Bash(`kill -SEGV $$`))
			r.Ended(t, proto.Outcome_OUTCOME_SIGNALED)
			equal(t, "signal", r.Finish.GetSignal(), 11)
		},
		"an interpreter that is not there": func(t *testing.T) {
			s := Bash(`true`)
			s.Command = []string{"no-such-interpreter", "{entry}"}
			r := target.Execute(t, s)
			r.Ended(t, proto.Outcome_OUTCOME_NOT_STARTED)
			if !strings.Contains(r.Finish.GetMessage(), "no-such-interpreter") {
				t.Errorf("the message does not name the interpreter: %q", r.Finish.GetMessage())
			}
		},
		"several files, oddly named": func(t *testing.T) {
			s := Python("import sys\nsys.path.insert(0, 'lib')\nimport words\nprint(words.text, open(\"it's \\\"quoted\\\" $HOME `x`.txt\").read())")
			s.Files["lib/words.py"] = "text = 'héllo'"
			s.Files["it's \"quoted\" $HOME `x`.txt"] = "odd"
			s.Files["a folder/naïve — name (1).py"] = s.Files["script.py"]
			s.Entry = "a folder/naïve — name (1).py"
			r := target.Execute(t, s)
			r.Exited(t, 0)
			equal(t, "stdout", r.Sink.Stdout(), "héllo odd\n")
		},
		"its environment and nothing of the server's": func(t *testing.T) {
			s := Bash(`echo "$GREETING|${CRONIUM_LISTEN-}|${DATABASE_URL-}"`)
			s.Env = map[string]string{"GREETING": "a b\n$c"}
			r := target.Execute(t, s)
			r.Exited(t, 0)
			equal(t, "stdout", r.Sink.Stdout(), "a b\n$c||\n")
		},
		"children that it left behind end with it": func(t *testing.T) {
			r := target.Execute(t, Bash(`
				(trap '' TERM HUP; setsid sleep 300) &
				sleep 300 & disown
				echo started; exit 4`))
			r.Exited(t, 4)
			equal(t, "stdout", r.Sink.Stdout(), "started\n")
		},
		"its time and processor use are told": func(t *testing.T) {
			r := target.Execute(t, Python("import time\nx = b'x' * 40_000_000\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass"))
			r.Exited(t, 0)
			if us := r.Finish.GetRunUs(); us < 200_000 {
				t.Errorf("run time is %d µs, want at least 200000", us)
			}
			if us := r.Finish.GetCpuUs(); us < 200_000 {
				t.Errorf("processor time is %d µs, want at least 200000", us)
			}
			if b := r.Finish.GetPeakMemoryBytes(); b < 40_000_000 {
				t.Errorf("peak memory is %d bytes, want at least 40000000", b)
			}
		},
	}
	for _, code := range []int32{0, 1, 75, 255} {
		cases[fmt.Sprintf("exit code %d", code)] = func(t *testing.T) {
			target.Execute(t, Bash(fmt.Sprintf("exit %d", code))).Exited(t, code)
		}
	}
	each(t, cases)
}
