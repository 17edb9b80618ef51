package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cronium.dev/internal/testenv"
)

// begun is a command that runs on, with what it prints.
type begun struct {
	*exec.Cmd
	out, said lockedBuffer
}

func (s *shell) begin(c *exec.Cmd) *begun {
	s.Helper()
	b := &begun{Cmd: c}
	c.Stdout, c.Stderr = &b.out, &b.said
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = c.Process.Kill() })
	return b
}

// prints waits until a text is among what it has printed.
func (b *begun) prints(t *testing.T, text string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !strings.Contains(b.out.String(), text) {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it prints no %q but %q, %q", text, b.out.String(), b.said.String())
		}
	}
}

// ends waits for the end and gives the exit code.
func (b *begun) ends() int {
	_ = b.Wait() // the exit code says it
	return b.ProcessState.ExitCode()
}

// line is a way to the server that can be cut.
func (s *shell) line() *testenv.Line {
	s.Helper()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s.server.Address, "http://"))
	if err != nil {
		s.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		s.Fatal(err)
	}
	return testenv.NewLine(s, host, number)
}

// Who stops a follower stops no run, and a run that is stopped says so.
func TestFollowersAndRunsAreStoppedApart(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.signIn()
	s.event("long", "echo begun; sleep 300\n", nil)
	first := s.begin(s.command("run", "long", "-f"))
	first.prints(t, "begun")
	if err := first.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code := first.ends()
	_, job, _ := strings.Cut(first.said.String(), "cronium cancel ")
	if job = strings.TrimSpace(job); code != exitCancelled || job == "" {
		t.Fatalf("after Ctrl-C: %d, %s", code, first.said.String())
	}
	if list := s.must("ps"); !strings.Contains(list, job) || !strings.Contains(list, "RUNNING") {
		t.Errorf("after Ctrl-C the run is not there any more:\n%s", list)
	}
	logs := s.begin(s.command("logs", "-f", job))
	logs.prints(t, "begun")
	if out := s.must("logs", job); out != "begun\n" {
		t.Errorf("the log of a job that runs: %q", out)
	}
	second := s.begin(s.command("run", "long", "--follow"))
	second.prints(t, "begun")
	_, other, _ := strings.Cut(second.said.String(), "job ")
	s.must("cancel", strings.TrimSpace(other))
	s.must("cancel", job)
	if code := second.ends(); code != exitCancelled || !strings.Contains(second.said.String(), "cancelled") {
		t.Errorf("a run that was cancelled ends with %d, %s", code, second.said.String())
	}
	if code := logs.ends(); code != 0 || logs.out.String() != "begun\n" {
		t.Errorf("its log ends with %d, %q", code, logs.out.String())
	}
}

// A line that is cut or refuses loses and repeats nothing.
func TestFollowingOverABadLine(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.signIn()
	s.event("count", "for i in $(seq 60); do echo $i; sleep 0.05; done\n", nil)
	line := s.line()
	c := s.command("run", "count", "-f", "--server", "http://127.0.0.1:"+strconv.Itoa(line.Port))
	c.Env = append(c.Env, "CRONIUM_TOKEN="+s.token)
	run := s.begin(c)
	for _, at := range []string{"5\n", "15\n", "30\n", "45\n"} {
		run.prints(t, "\n"+at)
		line.Cut()
	}
	code := run.ends()
	var want strings.Builder
	for i := range 60 {
		want.WriteString(strconv.Itoa(i+1) + "\n")
	}
	if code != 0 || run.out.String() != want.String() {
		t.Errorf("it ends with %d and printed %q, %q", code, run.out.String(), run.said.String())
	}
}

// What names a server, an event and a person, and what is said where there is none.
func TestWaysToNameThings(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.event("greet", "source cronium.sh\necho hello $(cronium_input .who)\n", nil)

	file := filepath.Join(s.home, "token")
	if err := os.MkdirAll(s.home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(s.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.must("login", s.server.Address, "--token-file", file, "--name", "here"); !strings.Contains(out, "admin@example.com") {
		t.Errorf("login: %s", out)
	}
	if out := s.must("whoami", "--server", "here"); !strings.Contains(out, "ADMIN") || !strings.Contains(out, s.server.Address) {
		t.Errorf("whoami: %s", out)
	}
	if _, said, code := s.run("whoami", "--server", "there"); code != 1 || !strings.Contains(said, `no login has the name "there"`) {
		t.Errorf("an unknown name: %d, %s", code, said)
	}
	var events []struct{ ID string }
	if err := json.Unmarshal([]byte(s.must("events", "--json")), &events); err != nil || len(events) != 1 {
		t.Fatalf("events: %v, %v", events, err)
	}
	wait := s.command("run", events[0].ID[:13], "--wait", "--json", "--input-file", "-", "--idempotency-key", "once")
	wait.Stdin = strings.NewReader(`{"who": "you"}`)
	var job struct {
		ID, Result string
		Input      map[string]string
	}
	if out, err := wait.Output(); err != nil || json.Unmarshal(out, &job) != nil || job.Result != "SUCCESS" || job.Input["who"] != "you" {
		t.Errorf("run --wait --json: %v\n%s", err, out)
	}
	if again := s.must("run", "greet", "--input", `{"who": "you"}`, "--idempotency-key", "once"); strings.TrimSpace(again) != job.ID {
		t.Errorf("the same key ran it again: %s and %s", job.ID, again)
	}
	if out := s.must("logs", job.ID); out != "hello you\n" {
		t.Errorf("logs: %q", out)
	}
	if out := s.must("logs", job.ID[:23]); out != "hello you\n" {
		t.Errorf("logs of the beginning of an id: %q", out)
	}
	for wanted, args := range map[string][]string{
		"would mix":           {"run", "greet", "-f", "--json"},
		"no job's id":         {"logs", "../events"},
		"or more characters":  {"cancel", job.ID[:5]},
		"no job whose id":     {"cancel", "ffffffff-ff"},
		"no time for --since": {"logs", job.ID, "--since", "then"},
		"selector cannot be":  {"servers", "env=="},
		"no event named":      {"run", "0199"},
		"no address":          {"login", "cronium.example"},
	} {
		if _, said, code := s.run(args...); code != 1 || !strings.Contains(said, wanted) || strings.Count(said, "\n") != 1 {
			t.Errorf("cronium %s: %d, %s", strings.Join(args, " "), code, said)
		}
	}

	wrong := s.command("ps")
	wrong.Env = append(wrong.Env, "CRONIUM_TOKEN=crn_wrong")
	if said, err := wrong.CombinedOutput(); err == nil || !bytes.Contains(said, []byte("cronium login")) {
		t.Errorf("a wrong token: %v, %s", err, said)
	}
	gone := s.command("ps", "--server", "http://127.0.0.1:1")
	gone.Env = append(gone.Env, "CRONIUM_TOKEN=crn_any")
	if said, _ := gone.CombinedOutput(); gone.ProcessState.ExitCode() != exitUnreachable || !bytes.Contains(said, []byte("does not answer")) {
		t.Errorf("a server that is not there: %d, %s", gone.ProcessState.ExitCode(), said)
	}
	if log, err := os.ReadFile(s.server.Log); err != nil || bytes.Contains(log, []byte(s.token)) {
		t.Errorf("the server's log has the token, %v", err)
	}
}

// Nothing that the server names reaches a terminal as a command to it.
func TestPrintable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"web-1":                     "web-1",
		"Übung 日本 🙂":                "Übung 日本 🙂",
		"\x1b]0;evil\a\x1b[31mred":  "]0;evil[31mred",
		"a\tb\r\nc\x00\u009b31md":   "abc31md",
		"abc\u202etxt.exe\u200bend": "abctxt.exeend",
		"bad\xffbyte":               "badbyte",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q", text, got)
		}
	}
}
