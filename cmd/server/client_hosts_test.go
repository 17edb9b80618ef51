package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cronium.dev/agent/process"
	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
)

// machine adds an SSH host as the server of that name, on which user logs in.
func (s *shell) machine(name, user string, host *testenv.SSHHost) {
	s.Helper()
	server := map[string]any{
		"name": name, "address": host.Address, "port": host.Port, "user": user, "private_key": string(host.PrivateKey),
		"host_key": "ssh-ed25519 " + base64.StdEncoding.EncodeToString(host.HostKey), "tags": map[string]string{"role": "web"},
	}
	if err := s.api.Try(s.Context(), http.MethodPost, "/api/v1/servers", nil, server, nil); err != nil {
		s.Fatal(err)
	}
}

// Of several servers every line is shown, once, after the name of its server.
func TestRunsOnServersAreFollowed(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.signIn()
	host := testenv.SharedSSH(t)
	s.machine("web-1", "bash", host)
	s.machine("web-2", "dash", host)
	s.event("deploy", "for i in $(seq 50); do echo line $i; sleep 0.02; done\necho oops >&2\nprintf half\n[ $(id -un) = bash ] || exit 4\n",
		func(c *cronium.Content) {
			c.Target, c.On = cronium.TargetServers, &cronium.Fleet{Selector: "name=web-1", Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
		})

	out, said, code := s.run("run", "deploy", "--on", "role=web", "--follow")
	for _, name := range []string{"web-1", "web-2"} {
		var want strings.Builder
		for i := range 50 {
			fmt.Fprintf(&want, "%s | line %d\n", name, i+1)
		}
		want.WriteString(name + " | half\n")
		if got := linesWith(out, name); got != want.String() {
			t.Errorf("of %s it shows:\n%s", name, got)
		}
		if !strings.Contains(said, name+" | oops\n") || strings.Contains(out, "oops") {
			t.Errorf("stderr of %s is not on stderr:\n%s", name, said)
		}
	}
	if code != 1 || !strings.Contains(said, "web-2: FAILURE, exit code 4") || strings.Contains(said, "web-1: ") {
		t.Errorf("it ends with %d and says:\n%s", code, said)
	}
	_, job, _ := strings.Cut(said, "job ")
	job, _, _ = strings.Cut(job, "\n")

	line := s.line() // the same over one that is cut
	c := s.command("run", "deploy", "--on", "role=web", "-f", "--server", "http://127.0.0.1:"+strconv.Itoa(line.Port))
	c.Env = append(c.Env, "CRONIUM_TOKEN="+s.token)
	cut := s.begin(c)
	for _, at := range []string{"line 2\n", "line 15\n", "line 30\n"} {
		cut.prints(t, at)
		line.Cut()
	}
	if code := cut.ends(); code != 1 || linesWith(cut.out.String(), "web-1") != linesWith(out, "web-1") || linesWith(cut.out.String(), "web-2") != linesWith(out, "web-2") {
		t.Errorf("over a line that is cut: %d\n%s\n%s", code, cut.out.String(), cut.said.String())
	}

	if out, said, code := s.run("run", "deploy", "--on-names", "WEB-2", "-f"); code != 4 || !strings.HasPrefix(out, "line 1\n") {
		t.Errorf("on one server: %d\n%s\n%s", code, out, said)
	}
	if logs := s.must("logs", job); strings.Count(logs, " | ") != 2*52 || !strings.Contains(logs, "web-2 | line 50\n") {
		t.Errorf("the log of all servers:\n%s", logs)
	}
	if logs := s.must("logs", job, "--since", "1h"); strings.Count(logs, " | ") != 2*51 {
		t.Errorf("the log since an hour ago:\n%s", logs)
	}
	if logs := s.must("logs", job, "--since", "2100-01-01T00:00:00Z"); logs != "" {
		t.Errorf("the log since some time to come:\n%s", logs)
	}
	if logs := s.must("logs", job, "--host", "web-1"); !strings.HasPrefix(logs, "line 1\n") || !strings.HasSuffix(logs, "half") {
		t.Errorf("the log of one server:\n%s", logs)
	}
	if list := s.must("servers", "name=web-2"); !strings.Contains(list, "web-2") || strings.Contains(list, "web-1") {
		t.Errorf("servers that match:\n%s", list)
	}
	if _, said, code := s.run("run", "deploy", "--on-names", "web-3"); code != 1 || !strings.Contains(said, "cronium servers") {
		t.Errorf("on an unknown server: %d, %s", code, said)
	}
}

func linesWith(text, part string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool { return !strings.Contains(line, part) })
	return strings.Join(lines, "")
}

// A terminal on a server works as a terminal, comes back to the same shell after
// a cut, and leaves the person's own terminal as it was.
func TestTerminalOnAServer(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.machine("web-1", "bash", testenv.SharedSSH(t))
	line := s.line()
	master, slave, err := process.OpenTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	if err := process.ResizeTerminal(master, 99, 33); err != nil {
		t.Fatal(err)
	}
	mode := func() unix.Termios {
		now, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *now
	}
	before := mode()
	c := s.command("ssh", "web-1")
	c.Env = append(c.Env, "CRONIUM_TOKEN="+s.token, "CRONIUM_SERVER=http://"+line.Address+":"+strconv.Itoa(line.Port))
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	var shown lockedBuffer
	go shown.take(master)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	defer func() { _ = c.Process.Kill() }()
	says := func(text string) {
		t.Helper()
		limit := time.After(30 * time.Second)
		for !strings.Contains(shown.String(), text) {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-limit:
				t.Fatalf("it does not show %q but:\n%s", text, shown.String())
			}
		}
	}
	keys := func(text string) {
		t.Helper()
		if _, err := master.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	keys("kept=here; echo size-$(stty size | tr ' ' x)\r")
	says("size-33x99")
	if now := mode(); now.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) != 0 {
		t.Error("the terminal is not raw")
	}
	keys("until [ \"$(stty size)\" = '20 70' ]; do sleep 0.05; done; echo learned-$((1 + 1))\r")
	if err := process.ResizeTerminal(master, 70, 20); err != nil {
		t.Fatal(err)
	}
	says("learned-2")
	line.Cut()
	says("the connection was lost")
	keys("echo it-is-$kept\r")
	says("it-is-here")
	keys("\r~.")
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ends with %v:\n%s", err, shown.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end:\n%s", shown.String())
	}
	if mode() != before {
		t.Error("the terminal is not as it was")
	}

	piped := s.command("ssh", "WEB-1", "--server", s.server.Address)
	piped.Env = append(piped.Env, "CRONIUM_TOKEN="+s.token)
	piped.Stdin = strings.NewReader("echo answer-$((40 + 2))\nexit\n")
	if out, err := piped.Output(); err != nil || !bytes.Contains(out, []byte("answer-42")) {
		t.Errorf("with a pipe: %v\n%s", err, out)
	}
}

// The three shells complete commands, flags and their values.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.signIn()
	s.event("nightly backup", "exit", nil)
	s.event("nightly report", "exit", nil)

	bash := func(words ...string) string {
		t.Helper()
		script := `source <(cronium completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cronium; printf '%s\n' "${COMPREPLY[@]}"`
		c := exec.Command("bash", append([]string{"-c", script, "bash", "cronium"}, words...)...)
		c.Env = s.command().Env
		found, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("bash: %v\n%s", err, found)
		}
		return string(found)
	}
	for _, one := range []struct {
		words []string
		want  string
	}{
		{[]string{"canc"}, "cancel\n"},
		{[]string{"run", "--priority", "HIGH", "nightly"}, "nightly\\ backup\nnightly\\ report\n"},
		{[]string{"run", `nightly\ b`}, "nightly\\ backup\n"},
		{[]string{"run", `"nightly b`}, "nightly backup\n"},
		{[]string{"run", "--pri"}, "--priority\n"},
		{[]string{"run", "--priority", "H"}, "HIGH\n"},
		{[]string{"ps", "--event", "nightly r"}, "nightly\\ report\n"},
		{[]string{"completion", ""}, "bash\nzsh\nfish\n"},
		{[]string{"run", "$(touch " + s.home + "/evil)"}, "\n"},
	} {
		if got := bash(one.words...); got != one.want {
			t.Errorf("bash completes %q to %q", one.words, got)
		}
	}
	if _, err := os.Stat(s.home + "/evil"); err == nil {
		t.Error("what was typed was executed")
	}

	// The other two are on the SSH hosts.
	host := testenv.SSH(t, testenv.SSHOptions{Run: []string{"--volume", string(s.site.Binaries) + "/cronium:/usr/local/bin/cronium:ro"}})
	found := host.Exec(t, `fish -c 'cronium completion fish | source; complete -C "cronium canc"; complete -C "cronium run --pri"; complete -C "cronium run --priority H"'`)
	if !regexp.MustCompile(`(?s)^cancel.*\n--priority.*\nHIGH.*\n$`).MatchString(found) {
		t.Errorf("fish completes to:\n%s", found)
	}
	zsh := `compdef() { }; compadd() { shift; print -l -- "$@" }; _files() { print files }
source <(cronium completion zsh)
words=(cronium canc); CURRENT=2; _cronium
words=(cronium run --pri); CURRENT=3; _cronium
words=(cronium run --priority H); CURRENT=4; _cronium
words=(cronium login --token-file ""); CURRENT=4; _cronium`
	if found := host.Exec(t, "zsh -fc '"+zsh+"'"); found != "cancel\n--priority\nHIGH\nfiles\n" {
		t.Errorf("zsh completes to:\n%s", found)
	}
}
