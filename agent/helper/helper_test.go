package helper_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"cronium.dev/agent/helper"
	agentproto "cronium.dev/agent/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newBox is a box in a directory short enough for a socket.
func newBox(t *testing.T, input string) (*helper.Box, string) {
	t.Helper()
	parent, err := os.MkdirTemp("", "box")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	dir := filepath.Join(parent, "box")
	box, err := helper.NewBox(dir, []byte(input), nil)
	if err != nil {
		t.Fatal(err)
	}
	return box, dir
}

func TestCommandShowsPartsOfTheInput(t *testing.T) {
	t.Parallel()
	_, dir := newBox(t, `{"user":{"names":["Ada","Lovelace"],"age":36,"none":null},"a b":1}`)
	command := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := helper.Command(args, func(name string) string {
			return map[string]string{"CRONIUM_DIR": dir}[name]
		}, strings.NewReader(""), &out)
		return strings.TrimSuffix(out.String(), "\n"), err
	}
	for path, want := range map[string]string{
		".":              `{"user":{"names":["Ada","Lovelace"],"age":36,"none":null},"a b":1}`,
		".user.names[1]": "Lovelace", ".user.names": `["Ada","Lovelace"]`, ".user.age": "36", ".user.none": "null", ".a b": "1",
	} {
		if got, err := command("input", path); err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for _, path := range []string{"user", ".nobody", ".user.names[2]", ".user.names[-1]", ".user.names[x]", ".user[0]", ".user.names.x", ".user.names[0"} {
		if got, err := command("input", path); err == nil {
			t.Errorf("%s: %q", path, got)
		}
	}
	if got, err := command("event"); err != nil || got != "null" {
		t.Errorf("event: %q, %v", got, err)
	}
	for _, args := range [][]string{{"get-variable", "x"}, {"output"}, {"output", "{"}, {"set-condition", "maybe"}, {"input", ".", "."}, {"call"}, {"call", "x", "{"}} {
		if _, err := command(args...); err == nil {
			t.Errorf("%v succeeded", args)
		}
	}
	if out, err := command(); err != nil || !strings.Contains(out, "set-condition") {
		t.Errorf("without arguments: %q, %v", out, err)
	}
	if err := helper.Command([]string{"input"}, func(string) string { return "" }, nil, nil); err == nil {
		t.Error("it works outside of Cronium")
	}
}

// spoil makes one file something else in the way its name tells.
func spoil(t *testing.T, path string, content []byte) {
	t.Helper()
	var err error
	switch filepath.Ext(path) {
	case ".py": // of the same size
		content[0]++
		err = os.WriteFile(path, content, 0o644)
	case ".js":
		err = os.Remove(path)
	case ".sh":
		if err = os.Remove(path); err == nil {
			err = os.Symlink("/etc/hostname", path)
		}
	default:
		err = os.Truncate(path, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestInstallRestoresWhatWasChanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	original := map[string]string{}
	for range 3 {
		if err := helper.Install(dir, "/program"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"python/cronium/__init__.py", "python/cronium/_agent.py", "python/cronium/_async.py", "python/cronium/_requests.py", "python/sitecustomize.py", "node_modules/cronium/package.json", "node_modules/cronium/index.js", "node_modules/cronium/index.mjs", "node_modules/cronium/index.d.ts", "node_modules/cronium/index.d.mts", "bin/cronium.sh"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || len(content) == 0 {
				t.Fatalf("%s: %q, %v", name, content, err)
			}
			if before, again := original[name]; again && before != string(content) {
				t.Errorf("%s is %q", name, content)
			}
			original[name] = string(content)
			spoil(t, filepath.Join(dir, name), content)
		}
		if to, err := os.Readlink(filepath.Join(dir, "bin/cronium")); err != nil || to != "/program" {
			t.Errorf("command: %q, %v", to, err)
		}
		os.Remove(filepath.Join(dir, "bin/cronium"))
	}
}

// talk serves a box and returns a function that sends a line and reads one.
func talk(t *testing.T) (calls *helper.Calls, server *helper.Server, ask func(string) map[string]any) {
	t.Helper()
	box, _ := newBox(t, `"the input"`)
	calls = helper.NewCalls(func() {})
	server, err := helper.Serve(box, calls)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	conn, err := net.Dial("unix", box.SocketPath())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	answers := bufio.NewReader(conn)
	return calls, server, func(line string) map[string]any {
		t.Helper()
		if _, err := conn.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
		text, err := answers.ReadBytes('\n')
		if err != nil {
			return nil
		}
		var answer map[string]any
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func status(answer map[string]any) any {
	e, _ := answer["error"].(map[string]any)
	return e["status"]
}

func TestSocketAnswersWhatTheAgentKnowsItself(t *testing.T) {
	t.Parallel()
	_, _, ask := talk(t)
	if a := ask(`{"id":7,"method":"input"}`); a["result"] != "the input" || a["id"] != 7.0 {
		t.Errorf("input: %v", a)
	}
	if a := ask(`{"id":"x","method":"output","params":{"a":1}}`); a["error"] != nil || a["id"] != "x" {
		t.Errorf("output: %v", a)
	}
	if a := ask(`{"id":1,"method":"setCondition","params":"yes"}`); status(a) != 400.0 {
		t.Errorf("odd condition: %v", a)
	}
	for _, line := range []string{"", "{", "[]", `{"id":1}`, "\x00"} {
		if a := ask(line); status(a) != 400.0 {
			t.Errorf("%q: %v", line, a)
		}
	}
	if a := ask(`{"id":1,"method":"event"}`); a["error"] != nil {
		t.Errorf("after nonsense: %v", a)
	}
}

func TestSocketIsOnlyForItsUser(t *testing.T) {
	t.Parallel()
	box, dir := newBox(t, "1")
	server, err := helper.Serve(box, helper.NewCalls(func() {}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, box.SocketPath(): 0o600, filepath.Join(dir, "input.json"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestCallsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	ready := make(chan struct{}, 100)
	calls := helper.NewCalls(func() { ready <- struct{}{} })
	results := make(chan error, 100)
	for range 64 {
		go func() {
			_, err := calls.Do(context.Background(), "x", nil)
			results <- err
		}()
	}
	for range 64 {
		<-ready
	}
	if a, err := calls.Do(t.Context(), "x", nil); err != nil || a.GetError().GetStatus() != 429 {
		t.Errorf("one more: %v, %v", a, err)
	}
	if a, err := calls.Do(t.Context(), "x", make([]byte, helper.MaxOutput+1)); err != nil || a.GetError().GetStatus() != 413 {
		t.Errorf("a large one: %v, %v", a, err)
	}
	for i, call := range calls.After(10) {
		if call.GetNumber() != uint64(11+i) {
			t.Errorf("call %d has number %d", i, call.GetNumber())
		}
	}
	calls.Answer(&agentproto.HelperAnswer{Number: 1})
	calls.Answer(&agentproto.HelperAnswer{Number: 1})
	calls.Answer(&agentproto.HelperAnswer{Number: 999})
	if err := <-results; err != nil {
		t.Errorf("the answered one: %v", err)
	}
	if left := calls.After(0); len(left) != 63 || left[0].GetNumber() != 2 {
		t.Errorf("%d wait, from number %d on", len(left), left[0].GetNumber())
	}
	calls.Close()
	for range 63 {
		if err := <-results; err == nil {
			t.Error("a call has an answer that nobody gave")
		}
	}
	if _, err := calls.Do(t.Context(), "x", nil); err == nil {
		t.Error("a call after the end")
	}
}

func TestScriptThatGivesUpIsForgotten(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	calls := helper.NewCalls(cancel)
	if _, err := calls.Do(ctx, "x", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left := calls.After(0); len(left) != 0 {
		t.Errorf("%v waits", left)
	}
}

func TestTooLongRequestEndsTheConnectionWithTheReason(t *testing.T) {
	t.Parallel()
	_, _, ask := talk(t)
	line := fmt.Sprintf(`{"id":1,"method":"output","params":"%s"}`, strings.Repeat("x", helper.MaxOutput-10))
	if a := ask(line); a["error"] != nil {
		t.Errorf("the largest one: %v", a)
	}
	line = fmt.Sprintf(`{"id":1,"method":"output","params":"%s"}`, strings.Repeat("x", helper.MaxOutput))
	if a := ask(line); status(a) != 400.0 {
		t.Errorf("a larger one: %v", a)
	}
	if a := ask(strings.Repeat("x", helper.MaxOutput+5000)); a != nil && status(a) != 413.0 {
		t.Errorf("one without end: %v", a)
	}
}
