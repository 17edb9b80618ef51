package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
)

// shell is a person's command line beside a whole installation that lets events
// run as processes and has one installed agent.
type shell struct {
	*testing.T
	site   instance.Site
	server *instance.Server
	home   string
	token  string
	api    *instance.Client
}

func newShell(t *testing.T) *shell {
	t.Helper()
	dir, err := os.MkdirTemp("", "cronium-shell-") // not t.TempDir: PostgreSQL's user enters it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binaries, err := instance.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{T: t, home: filepath.Join(dir, "home"), site: instance.Site{
		Binaries: binaries, Data: filepath.Join(dir, "data"), Logs: dir, Flags: []string{"--pool", "0", "--process-target"},
	}}
	s.start()
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.server.Stop(stop); err != nil {
			t.Error(err)
		}
	})
	if s.token, err = s.site.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.api = instance.NewClient(s.token, func() string { return s.server.Address })
	t.Cleanup(s.api.Close)
	return s
}

func (s *shell) start() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	var err error
	if s.server, err = s.site.Start(ctx); err != nil {
		s.Fatal(err)
	}
}

// command is `cronium ARGS` of the person.
func (s *shell) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(string(s.site.Binaries), "cronium"), args...)
	c.Env = []string{"PATH=" + string(s.site.Binaries) + ":" + os.Getenv("PATH"), "XDG_CONFIG_HOME=" + s.home, "HOME=" + s.home}
	return c
}

// run gives what a command printed and its exit code.
func (s *shell) run(args ...string) (stdout, stderr string, code int) {
	s.Helper()
	c := s.command(args...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	err := c.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		s.Fatal(err)
	}
	return out.String(), said.String(), c.ProcessState.ExitCode()
}

func (s *shell) must(args ...string) string {
	s.Helper()
	out, said, code := s.run(args...)
	if code != 0 {
		s.Fatalf("cronium %s ended with %d: %s", strings.Join(args, " "), code, said)
	}
	return out
}

func (s *shell) event(name, script string, change func(*cronium.Content)) {
	s.Helper()
	content := cronium.NewContent(cronium.EventBash)
	content.Files[0].Content, content.Target = script, cronium.TargetProcess
	if change != nil {
		change(&content)
	}
	if _, err := s.api.CreateEvent(s.Context(), name, cronium.EventBash, content); err != nil {
		s.Fatal(err)
	}
}

// signIn is cronium login, with the token where no list of processes shows it.
func (s *shell) signIn() {
	s.Helper()
	login := s.command("login", s.server.Address)
	login.Stdin = strings.NewReader(s.token + "\n")
	if said, err := login.CombinedOutput(); err != nil || bytes.Contains(said, []byte(s.token)) {
		s.Fatalf("login: %v\n%s", err, said)
	}
}

func TestTheCommandLineIsAClient(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	if _, said, code := s.run("ps"); code != 1 || !strings.Contains(said, "cronium login") {
		t.Errorf("without a login: %d, %s", code, said)
	}
	s.signIn()
	info, err := os.Stat(filepath.Join(s.home, "cronium", "logins.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the login is stored with mode %v, %v", info.Mode(), err)
	}

	s.event("greet", "source cronium.sh\necho hello $(cronium_input .who)\necho oops >&2\n", nil)
	s.event("fails", "echo bad; exit 3\n", nil)
	s.event("slow", "sleep 60\n", func(c *cronium.Content) { c.Limits.TimeoutSeconds = 1 })
	s.event("long", "echo begun; sleep 300\n", nil)

	out, said, code := s.run("run", "GREET", "--follow", "--input", `{"who": "@/etc/passwd"}`)
	if code != 0 || out != "hello @/etc/passwd\n" || !strings.Contains(said, "oops") {
		t.Errorf("run: %d\n%s\n%s", code, out, said)
	}
	if out, said, code := s.run("run", "fails", "-f"); code != 3 || out != "bad\n" {
		t.Errorf("a script that fails: %d\n%s\n%s", code, out, said)
	}
	if _, said, code := s.run("run", "slow", "--wait"); code != exitTimeout || !strings.Contains(said, "limit") {
		t.Errorf("a script that runs too long: %d, %s", code, said)
	}
	if _, said, code := s.run("run", "greet", "--input", "{"); code != 1 || !strings.Contains(said, "not JSON") {
		t.Errorf("a wrong input: %d, %s", code, said)
	}
	if _, said, code := s.run("run", "nobody knows it"); code != 1 || !strings.Contains(said, "cronium events") {
		t.Errorf("an unknown event: %d, %s", code, said)
	}

	job := strings.TrimSpace(s.must("run", "long"))
	if list := s.must("ps"); !strings.Contains(list, job) {
		t.Errorf("ps does not show %s:\n%s", job, list)
	}
	s.must("cancel", job)
	if _, _, code := s.run("logs", "-f", job); code != 0 {
		t.Errorf("logs of a cancelled job end with %d", code)
	}
	if list := s.must("ps", "--json", "--all", "--event", "long"); !strings.Contains(list, `"CANCELLED"`) {
		t.Errorf("ps --json:\n%s", list)
	}
	for shell, want := range map[string]string{"bash": "complete ", "zsh": "compdef ", "fish": "complete "} {
		if script := s.must("completion", shell); !strings.Contains(script, want) {
			t.Errorf("completion of %s:\n%s", shell, script)
		}
	}
	complete := exec.Command("bash", "-c", `source <(cronium completion bash); COMP_WORDS=(cronium run gr); COMP_CWORD=2; _cronium; printf '%s\n' "${COMPREPLY[@]}"`)
	complete.Env = s.command().Env
	if words, err := complete.CombinedOutput(); err != nil || string(words) != "greet\n" {
		t.Errorf("bash completes an event's name to %q, %v", words, err)
	}
	s.must("logout")
	if _, _, code := s.run("ps"); code != 1 {
		t.Error("after logout the token is still used")
	}
}

// A run that is followed goes on where it was when its server dies and another
// comes in its place.
func TestFollowingSurvivesTheServer(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.site.Flags = append(s.site.Flags, "--listen", strings.TrimPrefix(s.server.Address, "http://"))
	s.signIn()
	s.event("count", "for i in $(seq 100); do echo $i; sleep 0.05; done\n", nil)
	c := s.command("run", "count", "-f")
	var out lockedBuffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.After(30 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(out.String(), "\n10\n") {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it printed %q", out.String())
		}
	}
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start()
	if err := c.Wait(); err != nil {
		t.Fatalf("it ended with %v:\n%s", err, out.String())
	}
	_, printed, _ := strings.Cut(out.String(), "\n") // after the job's id
	var want strings.Builder
	for i := 1; i <= 100; i++ {
		want.WriteString(strconv.Itoa(i) + "\n")
	}
	if printed != want.String() {
		t.Errorf("it printed %q", printed)
	}
}

// lockedBuffer is written by a command and read meanwhile.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// take reads until an error.
func (l *lockedBuffer) take(r io.Reader) {
	buf := make([]byte, 4096)
	for {
		got, err := r.Read(buf)
		_, _ = l.Write(buf[:got]) // never fails
		if err != nil {
			return
		}
	}
}
