package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

// startIn starts the agent in new namespaces, after shell commands that set the
// place up. It is process 1 there when flags hold CLONE_NEWPID.
func (m *machine) startIn(flags uintptr, setup string) {
	m.t.Helper()
	m.process = exec.Command("sh", append([]string{"-c", setup + ` && exec "$0" "$@"`, os.Args[0]}, m.arguments()...)...)
	m.stderr = &bytes.Buffer{}
	m.process.Stderr = m.stderr
	attr := &syscall.SysProcAttr{Cloneflags: flags | syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	m.process.SysProcAttr = attr
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.ended = make(chan error, 1)
	go func(p *exec.Cmd, ended chan error) { ended <- p.Wait() }(m.process, m.ended)
}

func TestAsProcessOneItReapsAndKillsAllButTheStreamsFromOutside(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.kill()
	m.startIn(syscall.CLONE_NEWPID, "mount -t proc proc /proc")
	m.client().Info(t.Context(), &agentproto.InfoRequest{})

	// As an engine would: a stream by a process that comes in from outside.
	bridge := exec.Command("nsenter", "--target", strconv.Itoa(m.process.Process.Pid), "--pid", "--mount", "--",
		os.Args[0], "connect", "--socket", m.path("agent.sock"))
	if os.Getuid() != 0 {
		bridge.Args = append([]string{"nsenter", "--user", "--preserve-credentials"}, bridge.Args[1:]...)
	}
	client := dialPipes(t, withPipes(t, bridge))

	word := secretWord()
	j := script("bash", `
echo $PPID $(tr '\0' ' ' </proc/1/cmdline | grep -c serve)
for i in 1 2 3 4 5; do (setsid env -i bash nap >/dev/null 2>&1 &); (true &); done
while [ $(grep -c . /proc/[0-9]*/comm | wc -l) -lt 9 ]; do :; done
for i in $(seq 500); do
	zombies=$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l)
	[ $zombies = 0 ] && break
	sleep 0.02
done
echo zombies $zombies
`)
	j.add("nap", "exec -a "+word+" sleep 300")
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
	if !strings.HasPrefix(string(f.output), "1 1\n") || !strings.Contains(string(f.output), "zombies 0\n") {
		t.Errorf("output is %q", f.output)
	}
	if running(word) {
		t.Error("a process is left")
	}
	if m.state(client, j.ExecutionId) == nil {
		t.Error("the stream from outside was cut")
	}
	m.terminate()
	if err := <-m.ended; err != nil {
		t.Errorf("it ended with %v after SIGTERM", err)
	}
	m.ended <- nil
}

func TestFullSpoolDiskLosesNoOutputAndRefusesNewScripts(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.kill()
	if err := os.RemoveAll(m.path("spool")); err != nil {
		t.Fatal(err)
	}
	spool := m.path("spool")
	m.startIn(0, fmt.Sprintf("mkdir %[1]s && mount -t tmpfs -o size=600k none %[1]s", spool))
	client := m.client()
	const size = 5_000_000
	j := script("bash", fmt.Sprintf("head -c %d /dev/zero; echo end", size))
	m.mustStart(client, j)
	eventually(t, "the disk to be full", func() bool {
		var disk unix.Statfs_t
		err := unix.Statfs(fmt.Sprintf("/proc/%d/root%s", m.process.Process.Pid, spool), &disk)
		return err == nil && disk.Bavail == 0
	})
	other := script("bash", "echo hello")
	_, err := m.startJob(client, other)
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("start on a full disk: %v", err)
	}
	if m.state(client, other.ExecutionId) != nil {
		t.Error("what was refused is in the list")
	}
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
	if len(f.output) != size+4 || !strings.Contains(f.finish.GetMessage(), "no space left") {
		t.Errorf("%d bytes came of %d; %v", len(f.output), size+4, f.finish)
	}
	m.mustStart(client, other)
	f = follow(t, client, other.ExecutionId, 0)
	f.end()
	f.wantExit(0)
}

func TestScriptThatFillsItsDiskCanStillSaySo(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "--single")
	m.kill()
	if err := os.RemoveAll(m.path("spool")); err != nil {
		t.Fatal(err)
	}
	// Spool and work directory share one small disk.
	m.spool = m.path("work/.spool")
	m.startIn(0, fmt.Sprintf("mkdir -p %[1]s && mount -t tmpfs -o size=3m none %[1]s", m.path("work")))
	client := m.client()
	j := script("python3", `
try:
    with open("big", "wb") as f:
        while True: f.write(b"x" * 65536)
except OSError as error:
    for i in range(2000): print(error, flush=False)
`)
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
	if n := bytes.Count(f.output, []byte("No space left on device\n")); n != 2000 {
		t.Errorf("%d lines came; %v", n, f.finish)
	}
}

func TestOutOfMemoryIsRecognized(t *testing.T) {
	t.Parallel()
	group := controlGroup(t, "memory", "memory.limit_in_bytes", "memory.max", 64<<20)
	m := newMachine(t)
	m.kill()
	m.startIn(0, "echo $$ >"+filepath.Join(group, "cgroup.procs"))
	client := m.client()
	eat := "x = []\nwhile True: x.append(bytearray(1 << 20))"
	// Left to itself the kernel now and then takes the shell as well.
	spared := "echo 0 >/proc/$$/oom_score_adj; "
	for name, c := range map[string]struct {
		j    *job
		want agentproto.Outcome
	}{
		"the main process":           {script("python3", eat), agentproto.Outcome_OUTCOME_OUT_OF_MEMORY},
		"a child of Bash":            {script("bash", `python3 -c "$EAT"`), agentproto.Outcome_OUTCOME_OUT_OF_MEMORY},
		"a child that is not needed": {script("bash", spared+`(echo 1000 >/proc/self/oom_score_adj; exec python3 -c "$EAT"); exit 0`), agentproto.Outcome_OUTCOME_EXITED},
	} {
		c.j.Environment["EAT"] = eat
		m.mustStart(client, c.j)
		f := follow(t, client, c.j.ExecutionId, 0)
		f.end()
		if f.finish.GetOutcome() != c.want || !strings.Contains(f.finish.GetMessage(), "memory") {
			t.Errorf("%s: ended with %v", name, f.finish)
		}
	}
}

// controlGroup makes a control group with a limit: of controller, a file of
// version 1 and one of version 2. It needs root.
func controlGroup(t *testing.T, controller, file1, file2 string, limit int) string {
	t.Helper()
	root, file := filepath.Join("/sys/fs/cgroup", controller), file1
	if _, err := os.Stat(root); err != nil {
		root, file = "/sys/fs/cgroup", file2
		err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if err != nil && !errors.Is(err, syscall.EBUSY) {
			t.Fatal(err)
		}
	}
	group, err := os.MkdirTemp(root, "cronium-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the control group to be empty", func() bool { return os.Remove(group) == nil })
	})
	if err := os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(limit)), 0); err != nil {
		t.Fatal(err)
	}
	return group
}

// TestForkBombTakesNothingFromTheAgent fills the limit of processes, which the
// agent's own threads count in as well.
func TestForkBombTakesNothingFromTheAgent(t *testing.T) {
	t.Parallel()
	group := controlGroup(t, "pids", "pids.max", "pids.max", 64)
	m := newMachine(t, "--single")
	m.kill()
	m.startIn(syscall.CLONE_NEWPID, "mount -t proc proc /proc && echo $$ >"+filepath.Join(group, "cgroup.procs"))
	client := m.client()
	m.info(client)
	threads := threadCount(t, m.process.Process.Pid)
	j := script("bash", `bomb() { bomb | bomb & }; bomb; echo lit; sleep 300`)
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("lit")
	eventually(t, "the limit to be reached", func() bool {
		count, err := os.ReadFile(filepath.Join(group, "pids.current"))
		return err == nil && strings.TrimSpace(string(count)) == "64"
	})
	for range 20 {
		m.state(m.client(), j.ExecutionId)
	}
	if now := threadCount(t, m.process.Process.Pid); threads < 16 || now > threads {
		t.Errorf("the agent had %d threads before and has %d", threads, now)
	}
	m.signal(j.ExecutionId, agentproto.Stop_STOP_CANCEL)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
	m.info(client)
}

func threadCount(t *testing.T, pid int) int {
	t.Helper()
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(threads)
}
