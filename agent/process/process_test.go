package process_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"cronium.dev/agent/process"
)

// host is the one that may be in a program.
var host *process.Host

func TestMain(m *testing.M) {
	var err error
	if host, err = process.NewHost(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	host.Close()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// bash starts a script. What it prints goes to the returned file.
func bash(t *testing.T, script string, env ...string) (*process.Tree, *os.File) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	mark := "TEST_MARK=" + t.Name() + strconv.Itoa(len(script))
	tree, err := host.Start(process.Command{
		Path: "/bin/bash", Args: []string{"bash", "-c", script},
		Env: append([]string{"PATH=/usr/bin:/bin", mark}, env...), Dir: t.TempDir(),
		Stdout: out, Stderr: out, Mark: mark,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		tree.Kill(context.Background())
		tree.Close()
	})
	return tree, out
}

// printed waits for lines in the output.
func printed(t *testing.T, out *os.File, lines int) []string {
	t.Helper()
	text := printedWhen(t, out, func(text string) bool { return strings.Count(text, "\n") >= lines })
	return strings.Fields(text)
}

func printedWhen(t *testing.T, out *os.File, enough func(string) bool) string {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		text, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		if enough(string(text)) {
			return string(text)
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-deadline:
			t.Fatalf("only %q was printed", text)
		}
	}
}

// wantGone waits until a process that has been killed is no zombie any more.
func wantGone(t *testing.T, pid string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for alive(t, pid) {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			t.Errorf("process %s lives", pid)
			return
		}
	}
}

func alive(t *testing.T, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	return unix.Kill(n, 0) == nil
}

func TestStatusIsThatOfTheMainProcess(t *testing.T) {
	t.Parallel()
	tree, _ := bash(t, "exit 7")
	<-tree.Exited()
	if s := tree.Status(); !s.Exited() || s.ExitStatus() != 7 {
		t.Errorf("status %v", s)
	}
	tree, _ = bash(t, "kill -USR1 $$")
	<-tree.Exited()
	if s := tree.Status(); !s.Signaled() || s.Signal() != unix.SIGUSR1 {
		t.Errorf("status %v", s)
	}
}

func TestErrorOfAStartIsTheSystems(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("not a program"), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{"/nowhere": unix.ENOENT, text: unix.EACCES, program: unix.ENOEXEC} {
		_, err := host.Start(process.Command{Path: path, Args: []string{"x"}, Stdout: os.Stdout, Stderr: os.Stderr})
		if err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestKillReachesWhatHasLeftGroupSessionAndParentAndNothingElse(t *testing.T) {
	t.Parallel()
	_, others := bash(t, "(setsid sleep 300 & echo $!); echo $$; sleep 300")
	tree, out := bash(t, `
sleep 300 & echo $!
setsid sleep 300 & echo $!
(setsid bash -c 'sleep 300 & echo $!; sleep 300' &)
(setsid bash -c 'trap "" TERM HUP INT; sleep 300 & echo $!; while :; do wait; done' &)
`)
	pids := printed(t, out, 4)
	<-tree.Exited()
	if left := tree.Left(); left < 4 {
		t.Errorf("%d are left before", left)
	}
	if left := tree.Kill(t.Context()); left != 0 {
		t.Errorf("%d could not be ended", left)
	}
	for _, pid := range pids {
		wantGone(t, pid)
	}
	for _, pid := range printed(t, others, 2) {
		if !alive(t, pid) {
			t.Errorf("process %s of another tree was killed", pid)
		}
	}
}

// TestOrphanWithoutItsMarkIsKnownFromBefore clears the environment of a child and
// lets its parents end after it was seen once.
func TestOrphanWithoutItsMarkIsKnownFromBefore(t *testing.T) {
	t.Parallel()
	bash(t, "sleep 300") // so that an orphan could be of either
	seen := filepath.Join(t.TempDir(), "seen")
	tree, out := bash(t, `(setsid env -i sleep 300 & echo $!; while [ ! -e "$SEEN" ]; do sleep 0.01; done) & wait`, "SEEN="+seen)
	pid := printed(t, out, 1)[0]
	tree.Sample()
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-tree.Exited()
	if left := tree.Kill(t.Context()); left != 0 {
		t.Errorf("%d could not be ended", left)
	}
	wantGone(t, pid)
}

func TestSignalReachesTheWholeTree(t *testing.T) {
	t.Parallel()
	tree, out := bash(t, `
trap 'echo main; exit' USR1
setsid bash -c 'trap "echo child; exit" USR1; echo ready; while :; do sleep 0.01; done' &
while :; do sleep 0.01; done`)
	printed(t, out, 1)
	tree.Signal(unix.SIGUSR1)
	printedWhen(t, out, func(text string) bool { return strings.Contains(text, "main\n") && strings.Contains(text, "child\n") })
}

func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	tree, out := bash(t, `for i in 1 2 3; do (bash -c 'echo $$' &); done; sleep 300`)
	for _, pid := range printed(t, out, 3) {
		wantGone(t, pid)
	}
	tree.Kill(t.Context())
}

func TestUsageCountsTheWholeTree(t *testing.T) {
	t.Parallel()
	tree, out := bash(t, `
python3 -c 'x = bytearray(50 << 20)
import time
end = time.process_time() + 0.2
while time.process_time() < end: pass
print("done", flush=True)
time.sleep(300)' & wait`)
	printed(t, out, 1)
	u := tree.Sample()
	if u.CPU < 150*time.Millisecond || u.Memory < 50<<20 || u.Peak < u.Memory {
		t.Errorf("while it runs: %+v", u)
	}
	tree.Kill(t.Context())
	if total := tree.Total(); total.CPU < 150*time.Millisecond || total.Peak < 50<<20 {
		t.Errorf("afterwards: %+v", total)
	}
}

func TestScriptIsTheFirstToGoWhenMemoryRunsOut(t *testing.T) {
	t.Parallel()
	tree, out := bash(t, "sleep 0.1; cat /proc/self/oom_score_adj")
	<-tree.Exited()
	if got := printed(t, out, 1)[0]; got != "1000" {
		t.Errorf("oom_score_adj is %s", got)
	}
}

func TestSweepEndsWhatAnotherAgentHasLeft(t *testing.T) {
	t.Parallel()
	bystander, _ := bash(t, "sleep 300")
	tree, out := bash(t, `(setsid sleep 300 & echo $!); env -i bash -c 'echo $$; sleep 300'`, "OTHER=1")
	pids := printed(t, out, 2)
	mark := "TEST_MARK=" + t.Name() + strconv.Itoa(len(`(setsid sleep 300 & echo $!); env -i bash -c 'echo $$; sleep 300'`))
	if left := host.Sweep(t.Context(), process.Identity(tree.PID()), mark); left != 0 {
		t.Errorf("%d could not be ended", left)
	}
	for _, pid := range pids {
		wantGone(t, pid)
	}
	// An identity that is not true any more ends nothing.
	if host.Sweep(t.Context(), strings.Replace(process.Identity(bystander.PID()), " ", " 9", 1), "") != 0 || bystander.Left() == 0 {
		t.Error("a process with a used-again id was killed")
	}
}

// TestScriptsThatEndDoNotTakeThoseThatStart has trees cleaned up while others
// are being started.
func TestScriptsThatEndDoNotTakeThoseThatStart(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var all sync.WaitGroup
	for worker := range 3 {
		all.Go(func() {
			for range 60 {
				tree, err := host.Start(process.Command{
					Path: "/bin/true", Args: []string{"true"}, Stdout: null, Stderr: null,
					Mark: fmt.Sprint("WORKER=", worker),
				})
				if err != nil {
					t.Error(err)
					return
				}
				<-tree.Exited()
				if s := tree.Status(); !s.Exited() || s.ExitStatus() != 0 {
					t.Errorf("it ended with %v", s)
				}
				tree.Kill(context.Background())
				tree.Close()
			}
		})
	}
	all.Wait()
}
