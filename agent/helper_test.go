package agent_test

import (
	"strings"
	"testing"

	agentproto "cronium.dev/agent/proto"
)

// askers are scripts in each language that use every call of the helper API.
var askers = map[string]struct{ interpreter, entry, text string }{
	"Python": {"python3", "main.py", `
import asyncio, cronium
assert cronium.input() == {"who": "wörld", "list": [1, 2]}, cronium.input()
print("hello", cronium.input()["who"], cronium.event()["name"])
cronium.output({"first": True})
cronium.output({"sum": 3, "text": "ü"})
cronium.set_condition(True)
print(cronium.call("double", {"n": 21}))
try:
    cronium.call("nothing")
except cronium.CroniumAPIError as error:
    print(error.status_code, error)
assert issubclass(cronium.CroniumAPIError, cronium.CroniumError)
try:
    cronium.output(float("nan"))
except cronium.CroniumError as error:
    print("refused")
async def main():
    c = cronium.AsyncCronium()
    assert (await c.input())["who"] == "wörld"
    print(await c.call("double", {"n": 2}))
asyncio.run(main())
try:
    cronium.call("silence", timeout=0.05)
except cronium.CroniumTimeoutError:
    print("late")
`},
	"Node.js, CommonJS": {"node", "main.js", `
const cronium = require("cronium");
(async () => {
  console.log("hello", cronium.input().who, cronium.event().name);
  cronium.output({ first: true });
  cronium.output({ sum: 3, text: "ü" });
  cronium.setCondition(true);
  console.log(await cronium.call("double", { n: 21 }));
  await cronium.call("nothing").catch((e) => {
    if (!(e instanceof cronium.CroniumAPIError && e instanceof cronium.CroniumError)) throw e;
    console.log(e.statusCode, e.message);
  });
  try { cronium.output(undefined); } catch (e) { console.log("refused"); }
  console.log((await cronium.call("double", { n: 2 })));
  await cronium.call("silence", null, { timeout: 50 }).catch((e) => {
    if (!(e instanceof cronium.CroniumTimeoutError)) throw e;
    console.log("late");
  });
})();
`},
	"Node.js, ESM": {"node", "main.mjs", `
import cronium, { input, event, output, setCondition, call, CroniumAPIError, CroniumTimeoutError } from "cronium";
console.log("hello", input().who, event().name);
output({ first: true });
cronium.output({ sum: 3, text: "ü" });
setCondition(true);
console.log(await call("double", { n: 21 }));
await call("nothing").catch((e) => {
  if (!(e instanceof CroniumAPIError)) throw e;
  console.log(e.statusCode, e.message);
});
try { output(() => 1); } catch { console.log("refused"); }
console.log(await call("double", { n: 2 }));
await call("silence", null, { timeout: 50 }).catch((e) => {
  if (!(e instanceof CroniumTimeoutError)) throw e;
  console.log("late");
});
`},
	"Bash": {"bash", "main.sh", `
set -e
source cronium.sh
echo hello $(cronium_input .who) $(cronium_event .name)
cronium_output '{"first": true}'
echo '{"sum":3,"text":"ü"}' | cronium_output -
cronium_set_condition true
cronium_call double '{"n":21}'
cronium_call nothing 2>&1 | sed 's/^cronium: //; s/\(.*\) (status \(.*\))/\2 \1/' || true
cronium_output 'not json' 2>/dev/null || echo refused
cronium call double '{"n":2}'
cronium get-variable x 2>/dev/null || echo late
`},
}

func TestHelperCallsWorkInEveryLanguage(t *testing.T) {
	t.Parallel()
	for name, asker := range askers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			client := m.client()
			j := script(asker.interpreter, "")
			j.Files, j.Entry = nil, asker.entry
			j.add(asker.entry, asker.text)
			j.Input, j.Event = []byte(`{"who":"wörld","list":[1,2]}`), []byte(`{"name":"nightly"}`)
			m.mustStart(client, j)
			f := follow(t, client, j.ExecutionId, 0)
			f.answer = answerTestCall
			f.end()
			f.wantExit(0)
			if want := "hello wörld nightly\n42\n404 There is no nothing.\nrefused\n4\nlate\n"; string(f.output) != want {
				t.Errorf("output is\n%s\nwant\n%s", f.output, want)
			}
			got := strings.ReplaceAll(string(f.finish.GetOutput()), " ", "")
			got = strings.ReplaceAll(got, `\u00fc`, "ü")
			if got != `{"sum":3,"text":"ü"}` || f.finish.Condition == nil || !f.finish.GetCondition() {
				t.Errorf("end is %v", f.finish)
			}
		})
	}
}

// answerTestCall is a server that knows one call.
func answerTestCall(call *agentproto.HelperCall) *agentproto.HelperAnswer {
	a := &agentproto.HelperAnswer{Number: call.GetNumber()}
	switch {
	case call.GetMethod() == "silence":
		return nil
	case call.GetMethod() != "double":
		a.Error = &agentproto.HelperError{Status: 404, Message: "There is no " + call.GetMethod() + "."}
	case strings.Contains(string(call.GetParams()), "21"):
		a.Result = []byte("42")
	default:
		a.Result = []byte("4")
	}
	return a
}

func TestValuesHaveArrivedWhenTheCallReturnsEvenIfTheScriptThenCrashes(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	for name, j := range map[string]*job{
		"Python": script("python3", "import cronium, os\ncronium.output([1])\ncronium.set_condition(False)\nos.kill(os.getpid(), 9)"),
		"Bash":   script("bash", "cronium output '[1]'; cronium set-condition false; kill -9 $$"),
		"Node":   script("node", "const c = require('cronium'); c.output([1]); c.setCondition(false); process.kill(process.pid, 'SIGKILL')"),
	} {
		f := m.run(j)
		wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_SIGNALED)
		if string(f.finish.GetOutput()) != "[1]" || f.finish.Condition == nil || f.finish.GetCondition() {
			t.Errorf("%s: end is %v", name, f.finish)
		}
	}
}

func TestValuesThatAreNotValidAreLeftOutAndTold(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	for name, text := range map[string]string{
		"not JSON":       `echo '{"a":' >$CRONIUM_DIR/output.json`,
		"too large":      `head -c 4000000 /dev/zero | tr '\0' 1 >$CRONIUM_DIR/output.json`,
		"a pipe":         `mkfifo $CRONIUM_DIR/output.json`,
		"a link":         `ln -s /etc/hostname $CRONIUM_DIR/output.json`,
		"a directory":    `mkdir $CRONIUM_DIR/output.json`,
		"odd condition":  `echo maybe >$CRONIUM_DIR/condition.json`,
		"no box at all ": `rm -rf $CRONIUM_DIR; mkdir $CRONIUM_DIR; chmod 000 $CRONIUM_DIR; ln -s x $CRONIUM_DIR/output.json`,
	} {
		f := m.run(script("bash", text))
		f.wantExit(0)
		if f.finish.Output != nil || f.finish.Condition != nil || !strings.Contains(f.finish.GetMessage(), "value it gave is missing") {
			t.Errorf("%s: end is %v", name, f.finish)
		}
	}
}

// TestCallsWaitForAServerAndAreAnsweredOnce attaches a server that takes a call
// and dies, and another one that gets the same call with the same number.
func TestCallsWaitForAServerAndAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("python3", `
import cronium
for n in range(3):
    print(cronium.call("number", {"n": n}), flush=True)
`)
	m.mustStart(client, j)
	var seen []uint64
	first := follow(t, client, j.ExecutionId, 0)
	first.answer = func(call *agentproto.HelperCall) *agentproto.HelperAnswer {
		seen = append(seen, call.GetNumber())
		return nil
	}
	first.until("a call", func() bool { return len(seen) == 1 })
	first.cancel()

	second := follow(t, client, j.ExecutionId, 0)
	second.answer = func(call *agentproto.HelperCall) *agentproto.HelperAnswer {
		seen = append(seen, call.GetNumber())
		answer := &agentproto.HelperAnswer{Number: call.GetNumber(), Result: call.GetParams()}
		second.stream.Send(&agentproto.AttachRequest{Part: &agentproto.AttachRequest_Answer{Answer: answer}})
		return answer // a second time
	}
	second.end()
	second.wantExit(0)
	if got := string(second.output); got != "{'n': 0}\n{'n': 1}\n{'n': 2}\n" {
		t.Errorf("output is %q", got)
	}
	if len(seen) != 4 || seen[0] != 1 || seen[1] != 1 || seen[2] != 2 || seen[3] != 3 {
		t.Errorf("calls came with the numbers %v", seen)
	}
}

func TestPythonPrintsLineByLine(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("python3", `
import os, time
print("one", 2, "three")
print("held", end=" ")
while not os.path.exists("go"):
    time.sleep(0.02)
print("back")
`)
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("\n") // comes while the script waits
	if got := string(f.output); got != "one 2 three\n" {
		t.Errorf("before its end, %q was printed", got)
	}
	m.touch(j, "go")
	f.end()
	f.wantExit(0)
	if got := string(f.output); got != "one 2 three\nheld back\n" {
		t.Errorf("printed %q", got)
	}
}

func TestEnvironmentIsWhatTheManifestSaysAndLittleElse(t *testing.T) {
	t.Setenv("AGENT_SECRET", "must not be seen")
	m := newMachine(t)
	j := script("bash", "env | sort; pwd")
	j.Environment["GREETING"] = "hello  world"
	j.Environment["PYTHONPATH"] = "/mine"
	f := m.run(j)
	f.wantExit(0)
	home := m.path("work/" + j.ExecutionId)
	for _, want := range []string{
		"GREETING=hello  world\n", "HOME=" + home + "\n", "LANG=C.UTF-8\n",
		"PATH=" + m.path("work/bin:"), "PYTHONPATH=" + m.path("work/python") + ":/mine\n", "\n" + home + "\n",
	} {
		if !strings.Contains(string(f.output), want) {
			t.Errorf("%q is missing in %s", want, f.output)
		}
	}
	if strings.Contains(string(f.output), "AGENT_SECRET") {
		t.Errorf("the agent's own environment is there: %s", f.output)
	}
}
