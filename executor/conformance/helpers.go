package conformance

import (
	"encoding/json"
	"testing"
)

// helperScripts do the same in each language: read input and event, give an
// output and a condition, and meet a call that does not exist.
var helperScripts = map[string]Script{
	"Python": Python(`
import cronium
i = cronium.input()
print(i["name"], i["n"] + 1, cronium.event()["name"])
cronium.output({"sum": i["n"] + 2, "text": "ü\n\"q\""})
cronium.set_condition(True)
`),
	"Node.js": Node(`
const cronium = require("cronium");
const i = cronium.input();
console.log(i.name, i.n + 1, cronium.event().name);
cronium.output({sum: i.n + 2, text: "ü\n\"q\""});
cronium.setCondition(true);
`),
	"Bash": Bash(`
source cronium.sh
n=$(cronium_input .n)
echo "$(cronium_input .name) $((n + 1)) $(cronium_event .name)"
cronium_output "{\"sum\": $((n + 2)), \"text\": \"ü\\n\\\"q\\\"\"}"
cronium_set_condition true
`),
}

func (target Target) testHelpers(t *testing.T) {
	cases := map[string]func(*testing.T){}
	for language, script := range helperScripts {
		cases[language] = func(t *testing.T) {
			script.Input = `{"name": "Ada", "n": 40}`
			script.Event = `{"name": "Nightly report"}`
			r := target.Execute(t, script)
			r.Exited(t, 0)
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
	}
	each(t, cases)
}
