package conformance

import (
	"cronium.dev/cronium"
)

// languageScripts are one script for each test of the helper API.
type languageScripts struct {
	values, variables, artifacts, refusals Script
}

func helperScripts() map[string]languageScripts {
	return map[string]languageScripts{
		"Python":          {Python(pythonValues), Python(pythonVariables), Python(pythonArtifacts), Python(pythonRefusals)},
		"Python, asyncio": {Python(asyncValues), Python(asyncVariables), Python(asyncArtifacts), Python(asyncRefusals)},
		"Node.js":         {Node(nodeValues), Node(nodeVariables), Node(nodeArtifacts), Node(nodeRefusals)},
		"Node.js, ESM":    {module(esmValues), module(esmVariables), module(esmArtifacts), module(esmRefusals)},
		"Bash":            {Bash(bashValues), Bash(bashVariables), Bash(bashArtifacts), Bash(bashRefusals)},
	}
}

// module is a script of Node.js that imports.
func module(text string) Script { return oneFile("script.mjs", text, cronium.EventNode) }

const nodeValues = `
const cronium = require("cronium");
const i = cronium.input();
console.log(i.name, i.n + 1, cronium.event().name);
cronium.output({sum: i.n + 2, text: "ü\n\"q\""});
cronium.setCondition(true);
`

const esmValues = `
import cronium, { input, event, setCondition } from "cronium";
const i = input();
console.log(i.name, i.n + 1, event().name);
cronium.output({sum: i.n + 2, text: "ü\n\"q\""});
setCondition(true);
`

const bashValues = `
source cronium.sh
n=$(cronium_input .n)
echo "$(cronium_input .name) $((n + 1)) $(cronium_event .name)"
cronium_output "{\"sum\": $((n + 2)), \"text\": \"ü\\n\\\"q\\\"\"}"
cronium_set_condition true
`

// nodeUses is the same for both kinds of modules.
const nodeUses = `
const digest = (text) => crypto.createHash("sha256").update(text).digest("hex");
async function main() {
  console.log(await cronium.getVariable("GREETING"));
  console.log(await cronium.getVariable("MISSING", { default: "fallback" }));
  await cronium.getVariable("MISSING").catch((error) => {
    if (!(error instanceof cronium.CroniumAPIError)) throw error;
    console.log(error.statusCode);
  });
  await cronium.setVariable("K_JSON", { a: [1, true, null] });
  console.log(JSON.stringify(await cronium.getVariable("K_JSON")));
  await cronium.setVariable("K_TEXT", "-5 text");
  console.log(await cronium.getVariable("K_TEXT"));
  console.log((await cronium.variableExists("K_TEXT")) ? "yes" : "no");
  console.log((await cronium.variableExists("MISSING")) ? "yes" : "no");
  console.log(await cronium.incrementVariable("K_COUNT", 3.5));
  console.log(await cronium.incrementVariable("K_COUNT"));
  console.log(await cronium.appendVariable("K_LIST", "x"));
  console.log(await cronium.appendVariable("K_LIST", { y: 1 }));
  console.log(JSON.stringify(await cronium.getVariable("K_LIST")));
  await cronium.setVariable("GONE", null);
  console.log(await cronium.deleteVariable("GONE"));
  console.log(await cronium.deleteVariable("GONE"));
  console.log((await cronium.compareAndSet("K_TEXT", "-5 text", "b")) ? "won" : "lost");
  console.log((await cronium.compareAndSet("K_TEXT", "-5 text", "c")) ? "won" : "lost");
  console.log((await cronium.compareAndSetVariable("K_NEW", null, 1)) ? "made" : "lost");
  console.log((await cronium.listVariables("K_")).map((v) => v.key).join(" "));
  const large = await cronium.getVariable("LARGE");
  console.log(digest(large));
  await cronium.setVariable("LARGER", large);
  console.log(digest(await cronium.getVariable("LARGER")));
}
main();
`

const nodeVariables = `
const cronium = require("cronium");
const crypto = require("crypto");
` + nodeUses

const esmVariables = `
import cronium from "cronium";
import crypto from "node:crypto";
` + nodeUses

const bashVariables = `
set -e
source cronium.sh
cronium_get_variable GREETING
cronium_get_variable MISSING fallback
cronium_get_variable MISSING 2>&1 | sed 's/.*status \([0-9]*\).*/\1/'
cronium_set_variable --json K_JSON '{"a":[1,true,null]}'
cronium_get_variable K_JSON
cronium_set_variable K_TEXT '-5 text'
cronium_get_variable K_TEXT
if cronium_variable_exists K_TEXT; then echo yes; else echo no; fi
if cronium_variable_exists MISSING; then echo yes; else echo no; fi
cronium_increment_variable K_COUNT 3.5
cronium_increment_variable K_COUNT
cronium_append_variable K_LIST x
cronium_append_variable --json K_LIST '{"y":1}'
cronium_get_variable K_LIST
cronium_set_variable --json GONE null
cronium_delete_variable GONE
cronium_delete_variable GONE
if cronium_compare_and_set_variable K_TEXT '-5 text' b; then echo won; else echo lost; fi
if cronium_compare_and_set K_TEXT '-5 text' c; then echo won; else echo lost; fi
if cronium_compare_and_set_variable --json K_NEW null 1; then echo made; else echo lost; fi
echo $(cronium_list_variables K_)
cronium_get_variable LARGE | tr -d '\n' | sha256sum | cut -d ' ' -f 1
cronium_get_variable LARGE | tr -d '\n' | cronium_set_variable LARGER -
cronium_get_variable LARGER | tr -d '\n' | sha256sum | cut -d ' ' -f 1
`

const nodeArtifacts = `
const cronium = require("cronium");
const fs = require("fs");
const { Readable } = require("stream");
(async () => {
  fs.writeFileSync("report ü.txt", "line of a report\n".repeat(80_000));
  const kept = await cronium.saveArtifact("report ü.txt");
  console.log(kept.name, kept.size, kept.sha256);
  await cronium.saveArtifact(fs.createReadStream("report ü.txt"), "piped.txt");
  console.log((await cronium.saveArtifact(Readable.from([]), "empty")).size);
})();
`

const esmArtifacts = `
import { saveArtifact } from "cronium";
import fs from "node:fs";
fs.writeFileSync("report ü.txt", "line of a report\n".repeat(80_000));
const kept = await saveArtifact("report ü.txt");
console.log(kept.name, kept.size, kept.sha256);
async function* lines() {
  for (let n = 0; n < 80_000; n += 1000) yield "line of a report\n".repeat(1000);
}
await saveArtifact(lines(), "piped.txt");
console.log((await saveArtifact("/dev/null", "empty")).size);
`

const bashArtifacts = `
set -e
source cronium.sh
yes 'line of a report' | head -n 80000 >'report ü.txt'
size=$(stat -c %s 'report ü.txt')
sum=$(sha256sum 'report ü.txt' | cut -d ' ' -f 1)
kept=$(cronium_save_artifact 'report ü.txt')
[[ $kept == *"\"name\":\"report ü.txt\""*"\"sha256\":\"$sum\""*"\"size\":$size"* ]]
echo "report ü.txt $size $sum"
cat 'report ü.txt' | cronium_save_artifact - piped.txt >kept.json
: | cronium save-artifact - empty | sed 's/.*"size":\([0-9]*\).*/\1/'
`

// nodeFails is the same for both kinds of modules.
const nodeFails = `
async function main() {
  await cronium.call("nothing").catch((e) => console.log(e.statusCode, e.message));
  await cronium.call("silence", null, { timeout: 50 }).catch((e) => {
    if (!(e instanceof cronium.CroniumTimeoutError)) throw e;
    console.log("late");
  });
  await cronium.setVariable("K", "x".repeat(3 << 20)).catch((e) => console.log(e.statusCode));
  await cronium.saveArtifact("missing.txt").catch((e) => console.log(e.code === "ENOENT" ? "no such file" : e));
  const loop = {};
  loop.loop = loop;
  await cronium.setVariable("K", loop).catch((e) => {
    if (!(e instanceof cronium.CroniumError)) throw e;
    console.log("not JSON");
  });
}
main();
`

const nodeRefusals = `
const cronium = require("cronium");
` + nodeFails

const esmRefusals = `
import cronium from "cronium";
` + nodeFails

const bashRefusals = `
source cronium.sh
cronium_call nothing 2>&1 | sed 's/^cronium: //; s/\(.*\) (status \(.*\))/\2 \1/'
CRONIUM_TIMEOUT=0.05 cronium_call silence 2>&1 | grep -q 'no answer to "silence" within 50ms' && echo late
head -c 3145727 /dev/zero | tr '\0' x | cronium_set_variable K - 2>&1 | sed 's/.*status \([0-9]*\).*/\1/'
cronium_save_artifact missing.txt 2>&1 | grep -o 'no such file'
cronium_set_variable --json K '{' 2>&1 | grep -o 'not JSON'
`
