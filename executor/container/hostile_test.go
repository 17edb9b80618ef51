package container

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// prints runs a script on a fresh container and gives its stdout. The script
// must exit with 0.
func prints(t *testing.T, spec executor.Spec, s conformance.Script) string {
	t.Helper()
	b := newBench(t, nil)
	r := b.target(spec).Execute(t, s)
	r.Exited(t, 0)
	return r.Sink.Stdout()
}

func TestScriptIsNobodyWithoutAnyRight(t *testing.T) {
	t.Parallel()
	got := prints(t, specOf(cronium.NetworkNone), conformance.Bash(`
		id -u; id -g; id -G
		grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\t'`))
	want := "65532\n65532\n65532\n" +
		"CapInh:0000000000000000\nCapPrm:0000000000000000\nCapEff:0000000000000000\nCapBnd:0000000000000000\nCapAmb:0000000000000000\n" +
		"NoNewPrivs:1\nSeccomp:2\n"
	if got != want {
		t.Errorf("the script is\n%swant\n%s", got, want)
	}
}

func TestScriptCanGainNothing(t *testing.T) {
	t.Parallel()
	got := prints(t, specOf(cronium.NetworkNone), conformance.Python(`
import ctypes, os, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def tried(what, done):
    print(what, "DONE" if done else "refused")
for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)):
    tried("unshare " + name, libc.unshare(flag) == 0)
tried("mount", libc.mount(b"none", b"/work", b"tmpfs", 0, None) == 0)
tried("chroot", libc.chroot(b"/work") == 0)
tried("setuid 0", libc.setuid(0) == 0)
tried("mknod", libc.mknod(b"/work/disk", 0o60666, os.makedev(8, 0)) == 0)
tried("ptrace agent", libc.ptrace(16, 1, 0, 0) == 0)
try:
    tried("agent's streams", os.listdir("/proc/1/fd"))
except OSError:
    tried("agent's streams", False)
tried("nice", libc.setpriority(0, 0, -5) == 0)
tried("hostname", libc.sethostname(b"x", 1) == 0)
os.kill(1, 9)   # PID 1 of a namespace is not killed from within
print("agent lives", os.path.exists("/proc/1"))
`))
	if strings.Contains(got, "DONE") || strings.Count(got, "refused") != 12 || !strings.Contains(got, "agent lives True") {
		t.Errorf("of what a script must not do, it did:\n%s", got)
	}
}

func TestNothingIsWritableButBoundedMemory(t *testing.T) {
	t.Parallel()
	got := prints(t, specOf(cronium.NetworkNone), conformance.Python(`
import os
writable = set()
for root, dirs, files in os.walk("/"):
    if root in ("/proc", "/sys", "/dev"):
        dirs[:] = [d for d in dirs if d in ("shm", "mqueue")] if root == "/dev" else []
        continue
    if os.access(root, os.W_OK):
        writable.add("/" + root.strip("/").split("/")[0] if not root.startswith("/dev/") else root)
print(*sorted(writable))
`))
	for _, path := range strings.Fields(got) {
		switch path {
		case "/work", "/spool", "/tmp", "/dev/shm", "/dev/mqueue":
		default:
			t.Errorf("%s is writable", path)
		}
	}
	if !strings.Contains(got, "/work") {
		t.Errorf("the work directory is not writable: %s", got)
	}
}

func TestNoEngineNoHostPathNoDevice(t *testing.T) {
	t.Parallel()
	got := prints(t, specOf(cronium.NetworkNone), conformance.Bash(`
		for f in /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock; do
			[ -e "$f" ] && echo "socket $f"
		done
		awk '{print "mount", $5}' /proc/self/mountinfo
		find /dev -type b -printf 'device %p\n'`))
	allowed := map[string]bool{
		"/": true, "/proc": true, "/dev": true, "/dev/pts": true, "/dev/shm": true, "/dev/mqueue": true, "/sys": true,
		"/work": true, "/spool": true, "/tmp": true, agentDir: true,
		"/etc/resolv.conf": true, "/etc/hostname": true, "/etc/hosts": true, // the engine's own
	}
	for line := range strings.Lines(got) {
		kind, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "mount" || !allowed[path] && !strings.HasPrefix(path, "/proc/") && !strings.HasPrefix(path, "/sys/") {
			t.Errorf("there is a %s %s", kind, path)
		}
	}
}

func TestProcTricks(t *testing.T) {
	t.Parallel()
	got := prints(t, specOf(cronium.NetworkNone), conformance.Python(`
import os
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/proc/1/mem", "/proc/1/oom_score_adj",
             "/proc/sys/kernel/modprobe", "/proc/irq/0/smp_affinity", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
             "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/devices/devices.allow", "/sys/fs/cgroup/pids.max",
             "/sys/fs/cgroup/memory/release_agent", "/sys/kernel/uevent_helper", "/opt/cronium/cronium-agent", "/proc/1/exe"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        print("WRITABLE", path)
    except OSError:
        pass
for path in ("/proc/kcore", "/proc/timer_list", "/proc/keys"):
    try:
        if open(path, "rb").read(1):
            print("READABLE", path)
    except OSError:
        pass
for path in ("/proc/1/root/../etc/shadow", "/proc/self/cwd/../../../../etc/shadow"):
    try:
        open(path).read()
        print("READABLE", path)
    except OSError:
        pass
print("parents", *[p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()])
`))
	if want := "parents 1\n"; got != want {
		t.Errorf("the script found\n%swant %s", got, want)
	}
}

func TestDiskFillerStaysInItsMemory(t *testing.T) {
	t.Parallel()
	spec := specOf(cronium.NetworkNone)
	spec.Limits.DiskMiB, spec.Limits.MemoryMiB = 24, 256
	got := prints(t, spec, conformance.Bash(`
		for d in /work /tmp /dev/shm /; do
			head -c 400M /dev/zero >"$d/fill" 2>/dev/null && echo "$d took all"
			echo "$d $(stat -c %s "$d/fill" 2>/dev/null || echo 0)"
			rm -f "$d/fill"
		done`))
	limits := map[string]int{"/work": 24<<20 + overheadDisk, "/tmp": tempBytes, "/dev/shm": sharedBytes, "/": 0}
	for line := range strings.Lines(got) {
		words := strings.Fields(line)
		bytes, err := strconv.Atoi(words[1])
		if most, known := limits[words[0]]; err != nil || !known || bytes > most {
			t.Errorf("%s: %s bytes were written, at most %d may be", words[0], words[1], most)
		}
	}
	if n := strings.Count(got, "\n"); n != 4 {
		t.Errorf("the script printed %q", got)
	}
}

func TestForkBombIsBoundedAndEndsWithItsLimit(t *testing.T) {
	t.Parallel()
	spec := specOf(cronium.NetworkNone)
	spec.Limits.Processes = 40
	b := newBench(t, nil)
	bomb := conformance.Python(`
import os, time
n = 0
print("ready", flush=True)
while True:
    try:
        if os.fork() == 0:
            time.sleep(300)
        n += 1
    except BlockingIOError:
        break
print(n, flush=True)
while True:
    try:
        if os.fork() == 0: pass
    except BlockingIOError:
        time.sleep(0.001)
`).Limited(&proto.Limits{RunMs: 2000, GraceMs: 200})
	r := b.target(spec).Execute(t, bomb)
	r.Ended(t, proto.Outcome_OUTCOME_TIMEOUT)
	var n int
	if _, err := fmt.Sscanf(r.Sink.Stdout(), "ready\n%d\n", &n); err != nil || n < 20 || n > 40+overheadProcesses {
		t.Errorf("it could make %d children (%q, %v), want about 40", n, r.Sink.Stdout(), err)
	}
}

func TestWithoutNetworkThereIsNone(t *testing.T) {
	t.Parallel()
	got := prints(t, specOf(cronium.NetworkNone), conformance.Python(`
import os, socket
print(*sorted(os.listdir("/sys/class/net")))
for a in ("1.1.1.1", "172.17.0.1", "169.254.169.254"):
    try:
        socket.create_connection((a, 53), 1)
        print("REACHED", a)
    except OSError:
        pass
`))
	if got != "lo\n" {
		t.Errorf("the script sees %q, want lo alone", got)
	}
}

// The script is the agent's user and may put a socket in the place of the
// agent's. What it said there would be taken for the agent's word.
func TestAScriptCannotAnswerInPlaceOfTheAgent(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	made, err := b.Create(t.Context(), specOf(cronium.NetworkNone), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	made.(*place).TakeLink().Close() // as after a restart of the server
	impostor, err := b.engine.exec(t.Context(), idOf(made.Ref()), []string{"python3", "-uc", `
import os, socket
os.rename("` + socketPath + `", "` + socketPath + `.old")
s = socket.socket(socket.AF_UNIX)
s.bind("` + socketPath + `")
s.listen()
print("ready")
print("was sent", len(s.accept()[0].recv(100)))
`})
	if err != nil {
		t.Fatal(err)
	}
	defer impostor.Close()
	_ = impostor.SetReadDeadline(time.Now().Add(30 * time.Second))
	said := bufio.NewScanner(impostor)
	if !said.Scan() || said.Text() != "ready" {
		t.Fatalf("%q, %v", said.Text(), said.Err())
	}
	stream, err := made.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	go io.WriteString(stream, "for the agent alone")
	if !said.Scan() || said.Text() != "was sent 0" {
		t.Errorf("a script in the agent's place %s bytes, %v", said.Text(), said.Err())
	}
}
