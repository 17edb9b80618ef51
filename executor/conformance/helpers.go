package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cronium.dev/executor"
)

// Each language does the same and prints the same. The scripts are in
// helperscripts.go.

func (target Target) testHelpers(t *testing.T) {
	cases := map[string]func(*testing.T){}
	for language, scripts := range helperScripts() {
		cases[language+": values"] = func(t *testing.T) { target.testValues(t, scripts.values) }
		cases[language+": variables"] = func(t *testing.T) { target.testVariables(t, scripts.variables) }
		cases[language+": artifacts"] = func(t *testing.T) { target.testArtifacts(t, scripts.artifacts) }
		cases[language+": refusals"] = func(t *testing.T) { target.testRefusals(t, scripts.refusals) }
	}
	cases["calls over streams that break are done once"] = target.testCallsOverCuts
	cases["a file arrives whole over streams that break"] = target.testArtifactOverCuts
	each(t, cases)
}

// ask runs a script whose calls are answered.
func (target Target) ask(t *testing.T, script Script, answers *Answers) Result {
	t.Helper()
	script.Input = `{"name": "Ada", "n": 40}`
	script.Event = `{"name": "Nightly report"}`
	run := script.Run(target.Key)
	place := target.PlaceFor(t, run)
	sink := NewRecorder(t)
	sink.Answer = answers.Answer
	finish, err := executor.Drive(Context(t), place, run, sink)
	r := Result{Finish: finish, Err: err, Sink: sink}
	r.Exited(t, 0)
	return r
}

func (target Target) testValues(t *testing.T, script Script) {
	r := target.ask(t, script, NewAnswers(nil))
	equal(t, "stdout", r.Sink.Stdout(), "Ada 41 Nightly report\n")
	var out struct {
		Sum  int
		Text string
	}
	if err := json.Unmarshal(r.Finish.GetOutput(), &out); err != nil {
		t.Fatalf("output %q: %v", r.Finish.GetOutput(), err)
	}
	equal(t, "sum", out.Sum, 42)
	equal(t, "text", out.Text, "ü\n\"q\"")
	equal(t, "condition", r.Finish.GetCondition(), true)
}

func (target Target) testVariables(t *testing.T, script Script) {
	large := strings.Repeat("0123456789abcdeü", 60_000)
	r := target.ask(t, script, NewAnswers(map[string]any{"GREETING": "hällo\n\"wörld\"", "LARGE": large}))
	sum := sha256.Sum256([]byte(large))
	digest := hex.EncodeToString(sum[:])
	equal(t, "stdout", r.Sink.Stdout(), strings.Join([]string{
		"hällo", `"wörld"`,
		"fallback",
		"404",
		`{"a":[1,true,null]}`,
		"-5 text",
		"yes", "no",
		"3.5", "4.5",
		"1", "2",
		`["x",{"y":1}]`,
		"true", "false",
		"won", "lost", "made",
		"K_COUNT K_JSON K_LIST K_NEW K_TEXT",
		digest, digest,
	}, "\n")+"\n")
	equal(t, "stderr", r.Sink.Stderr(), "")
}

func (target Target) testArtifacts(t *testing.T, script Script) {
	answers := NewAnswers(nil)
	r := target.ask(t, script, answers)
	report := strings.Repeat("line of a report\n", 80_000) // more than two parts
	sum := sha256.Sum256([]byte(report))
	equal(t, "stdout", r.Sink.Stdout(), fmt.Sprintf("report ü.txt %d %s\n0\n", len(report), hex.EncodeToString(sum[:])))
	for name, want := range map[string]string{"report ü.txt": report, "piped.txt": report, "empty": ""} {
		if got := answers.Artifact(name); got == nil || string(got) != want {
			t.Errorf("%s has %d bytes, want %d", name, len(got), len(want))
		}
	}
}

func (target Target) testRefusals(t *testing.T, script Script) {
	r := target.ask(t, script, NewAnswers(nil))
	equal(t, "stdout", r.Sink.Stdout(), "404 There is no call nothing.\nlate\n413\nno such file\nnot JSON\n")
}

// testCallsOverCuts counts with a script whose server is cut off again and again.
func (target Target) testCallsOverCuts(t *testing.T) {
	const calls = 300
	place, cuts := target.cut(t, 4, 1_000, 6_000)
	answers, sink := NewAnswers(nil), NewRecorder(t)
	sink.Answer = answers.Answer
	run := Python(fmt.Sprintf(`
import cronium
for _ in range(%d):
    n = cronium.increment_variable("N")
print(n)
`, calls)).Run(target.Key)
	finish, err := executor.Drive(Context(t), place, run, sink)
	Result{finish, err, sink}.Exited(t, 0)
	equal(t, "stdout", sink.Stdout(), fmt.Sprintf("%d\n", calls))
	if cuts() < 5 {
		t.Errorf("there were only %d cuts", cuts())
	}
}

// testArtifactOverCuts keeps a file of many parts while the streams that carry them
// break, mostly in the middle of a part.
func (target Target) testArtifactOverCuts(t *testing.T) {
	place, cuts := target.cut(t, 5, 600_000, 2_000_000)
	answers, sink := NewAnswers(nil), NewRecorder(t)
	sink.Answer = answers.Answer
	run := Bash(`yes 'line of a report' | head -c 8000000 | cronium save-artifact - report >/dev/null`).Run(target.Key)
	finish, err := executor.Drive(Context(t), place, run, sink)
	Result{finish, err, sink}.Exited(t, 0)
	want := strings.Repeat("line of a report\n", 8_000_000/17+1)[:8_000_000]
	if got := answers.Artifact("report"); string(got) != want {
		t.Errorf("%d bytes arrived, want %d as they were", len(got), len(want))
	}
	if cuts() < 3 {
		t.Errorf("there were only %d cuts", cuts())
	}
}
