package calls

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

// Fifty scripts at the same time count up by one each.
func TestFiftyScriptsThatCountUpGiveFifty(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	engine := s.engine(16)
	event := s.newEvent(cronium.EventBash, "cronium increment-variable count")
	var all []cronium.ID
	for range 50 {
		all = append(all, s.run(engine, event))
	}
	given := map[string]bool{}
	for _, job := range all {
		row, printed := s.final(job)
		if row.Result != cronium.ResultSuccess || given[printed] {
			t.Errorf("a script ended with %s and got %q", row.Result, printed)
		}
		given[printed] = true
	}
	s.wants("get", `{"key":"count"}`, `{"value":50}`)
}

// A secret gets into an environment where a script asks for it, of that program
// alone.
func TestASecretIsInTheEnvironmentOfWhomItWasAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.secret("PASSWORD", "", `"tall-giraffe-77"`)
	job := s.run(s.engine(1), s.newEvent(cronium.EventBash, `
cronium with-variables DB=PASSWORD PASSWORD -- sh -c 'echo "in it: ${#DB} $PASSWORD"; exit 3'
echo "code $?, outside: ${#DB}${#PASSWORD}"
tr -d -c g < <(cronium get-variable PASSWORD); echo
cronium with-variables X=NONE -- true || echo "none"
`))
	row, printed := s.final(job)
	if want := "in it: 15 ***************\ncode 3, outside: 00\ng\n"; row.Result != cronium.ResultSuccess || !strings.HasPrefix(printed, want) || !strings.HasSuffix(printed, "none\n") {
		t.Errorf("it ended with %s and printed:\n%s", row.Result, printed)
	}
}

// A secret that a script reads, changes and gives out in many ways is readable
// nowhere: in no table, no log, and no argument or environment of any process.
func TestAPlantedSecretIsFoundNowhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const canary, next = "canary-Zk4+q/9", "canary-next-8dR"
	s.secret("PLANTED", "", `"`+canary+`"`)
	engine := s.engine(2)
	job := s.run(engine, s.newEvent(cronium.EventPython, `
import base64, cronium, time, urllib.parse
s = cronium.get_variable("PLANTED")
print("got", len(s), s)
print(base64.b64encode(("x" + s).encode()).decode(), urllib.parse.quote(s, safe=""), s.encode().hex())
cronium.set_variable("READ", True)
while not cronium.variable_exists("LOOKED"):
    time.sleep(0.02)
new = s[:7] + "next-8dR"
cronium.set_variable("PLANTED", new)
cronium.output({"token": s, s: [new]})
try:
    cronium.set_variable("PLANTED", "no")
except cronium.CroniumAPIError as e:
    print(e.status_code)
raise SystemExit("failed with " + s + " and " + new)
`))
	for s.ask("exists", `{"key":"READ"}`) != `{"exists":true}` {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the script has not read the secret")
		}
	}
	// This machine's processes are those of the container too.
	for _, file := range []string{"cmdline", "environ"} {
		paths, err := filepath.Glob("/proc/[0-9]*/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), canary) {
				t.Errorf("it is in %s", path)
			}
		}
	}
	s.wants("set", `{"key":"LOOKED","value":true}`, `{"version":1}`)
	row, printed := s.final(job)
	if row.Result != cronium.ResultFailure || !strings.Contains(printed, "got 14 **************\n") || !strings.Contains(printed, "422\n") {
		t.Errorf("it ended with %s and printed:\n%s", row.Result, printed)
	}
	s.stop()
	all := dump(s) + s.log.String()
	for _, value := range []string{canary, next} {
		for _, form := range []string{value, hex.EncodeToString([]byte(value)), "Y2FuYXJ5", "hbmFyeS", "jYW5hcnkt"} {
			if strings.Contains(printed+string(row.Output)+row.Error, form) {
				t.Errorf("%q is in what the run gave out", form)
			}
			// Bytes of the output's blocks and of what is sealed are in hexadecimal.
			if strings.Contains(all, form) {
				t.Errorf("%q is in the database or a log", form)
			}
		}
	}
}
