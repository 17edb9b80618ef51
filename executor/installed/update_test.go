package installed_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// released builds the agent as a version, once a test run.
var released = struct {
	sync.Mutex
	files map[string]string
}{files: map[string]string{}}

func release(t testing.TB, version string) string {
	t.Helper()
	released.Lock()
	defer released.Unlock()
	if file, ok := released.files[version]; ok {
		return file
	}
	file := filepath.Join(filepath.Dir(agentFile), "cronium-agent-"+version)
	build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w -X main.version="+version, "-o", file, "cronium.dev/cmd/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v: %s", err, said)
	}
	released.files[version] = file
	return file
}

// installRelease installs a machine whose agent has a version and a file of its
// own.
func (h *hub) installRelease(t testing.TB, p *process, version string) *machine {
	t.Helper()
	m := newMachine(t)
	raw, err := os.ReadFile(release(t, version))
	if err != nil {
		t.Fatal(err)
	}
	m.program = stateFile(m, "cronium-agent")
	writeProgram(t, m.program, raw)
	if said, err := m.join(p.server.URL, h.code(t).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	m.server = h.serverOf(t, m)
	m.start()
	p.waitFor(t, m.server)
	return m
}

// writeProgram writes what is run next. No other test starts a process meanwhile:
// that would keep the file open for writing, and it could not be run.
func writeProgram(t testing.TB, path string, content []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// version is that of the agent that takes what is new on a server.
func version(t testing.TB, p *process, server cronium.ID) string {
	t.Helper()
	link, err := p.Agent(t.Context(), server)
	if err != nil {
		return ""
	}
	defer link.Close()
	return link.Info.GetVersion()
}

// kick has the process take the next step now.
func (p *process) kick() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func TestUpdateLeavesRunningScriptsAlone(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	h.version, h.binary = "v1.1.0", release(t, "v1.1.0")
	h.settle = time.Millisecond
	p := h.process(t, "")
	m := h.installRelease(t, p, "v1.0.0")
	place, run := h.order(t, p, m, "echo ready; while [ ! -e go ]; do sleep 0.05; done; echo more; exit 6")
	sink := conformance.NewRecorder(t)
	var err error
	var finish *proto.Finish
	done := make(chan struct{})
	go func() {
		defer close(done)
		finish, err = executor.Drive(conformance.Context(t), place, run, sink)
	}()
	sink.Wait(conformance.Context(t), "ready\n")
	eventually(t, "the new agent takes what is new", func() bool {
		p.kick()
		return version(t, p, m.server) == "v1.1.0"
	})
	// New scripts run on the new agent, while the old one still runs its own.
	h.runAs(t, p, m, `print("new")`, "").Exited(t, 0)
	touch(t, m, run.ExecutionID)
	<-done
	conformance.Result{Finish: finish, Err: err, Sink: sink}.Exited(t, 6)
	if sink.Stdout() != "ready\nmore\n" {
		t.Errorf("it said %q", sink.Stdout())
	}
	if err := place.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
	if sameFile(t, m.program, h.binary) != true {
		t.Error("the new program has not taken the place of the old one")
	}
	eventually(t, "the old agent is gone with its directory", func() bool {
		_, err := os.Stat(stateFile(m, "run-1"))
		return os.IsNotExist(err)
	})
	eventually(t, "what was made on the old agent is gone", func() bool {
		_, err := p.Find(t.Context(), place.Ref())
		return isGone(err)
	})
}

func sameFile(t testing.TB, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}

func TestProgramThatDoesNotReportIsTakenBack(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	broken := filepath.Join(t.TempDir(), "agent")
	writeProgram(t, broken, []byte("#!/bin/sh\nexit 9\n"))
	h.version, h.binary, h.settle = "v1.1.0", broken, time.Millisecond
	p := h.process(t, "")
	m := h.installRelease(t, p, "v1.0.0")
	eventually(t, "the agent says that it goes on", func() bool {
		p.kick()
		return m.log.has("the old one goes on")
	})
	if got := version(t, p, m.server); got != "v1.0.0" {
		t.Errorf("the agent has the version %q", got)
	}
	eventually(t, "nothing is left of it", func() bool {
		left, _ := filepath.Glob(m.program + ".update-*")
		_, err := os.Stat(stateFile(m, "run-2"))
		return len(left) == 0 && os.IsNotExist(err)
	})
	if !sameFile(t, m.program, release(t, "v1.0.0")) {
		t.Error("the agent's file was changed")
	}
}

func TestRollOutBeginsWithATenthAndStopsAtAFailure(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	broken := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\nexit 9\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	h.version, h.binary, h.settle, h.report = "v1.1.0", broken, time.Millisecond, time.Second
	p := h.process(t, "")
	machines := []*machine{h.installRelease(t, p, "v1.0.0"), h.installRelease(t, p, "v1.0.0"), h.installRelease(t, p, "v1.0.0")}
	tried := func() (n int) {
		for _, m := range machines {
			if m.log.has("a new program has come") {
				n++
			}
		}
		return n
	}
	eventually(t, "one is tried", func() bool { p.kick(); return tried() == 1 })
	eventually(t, "it goes on as it was", func() bool {
		for _, m := range machines {
			if m.log.has("the old one goes on") {
				return true
			}
		}
		return false
	})
	for range 100 { // each a step that could try another
		p.kick()
		if n := tried(); n != 1 {
			t.Fatalf("%d machines were tried", n)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func TestUpdateThatTheServerHasNotSignedIsRefused(t *testing.T) {
	t.Parallel()
	h, other := newHub(t), newHub(t)
	p := h.process(t, "")
	m := h.installRelease(t, p, "v1.0.0")
	program := []byte("#!/bin/sh\ntouch " + stateFile(m, "ran") + "\n")
	sum := sha256.Sum256(program)
	digest := hex.EncodeToString(sum[:])
	target, soon := m.server.String(), time.Now().Add(time.Minute)
	good, _ := manifest.SignGrant(h.key, target, manifest.ActionUpdate, digest, soon)
	foreign, _ := manifest.SignGrant(other.key, target, manifest.ActionUpdate, digest, soon)
	elsewhere, _ := manifest.SignGrant(h.key, cronium.NewID().String(), manifest.ActionUpdate, digest, soon)
	late, _ := manifest.SignGrant(h.key, target, manifest.ActionUpdate, digest, time.Now().Add(-time.Minute))
	shell, _ := manifest.SignGrant(h.key, target, manifest.ActionShell, digest, soon)
	for name, test := range map[string]struct {
		grant *proto.SignedGrant
		data  []byte
		size  int64
	}{
		"another instance's signature": {foreign, program, int64(len(program))},
		"for another server":           {elsewhere, program, int64(len(program))},
		"expired":                      {late, program, int64(len(program))},
		"for something else":           {shell, program, int64(len(program))},
		"altered on the way":           {good, append([]byte("#!/bin/sh\nexit\n"), program[15:]...), int64(len(program))},
		"longer than said":             {good, append(program, 'x'), int64(len(program))},
		"shorter than said":            {good, program[:20], int64(len(program))},
		"endless":                      {good, program, 1 << 40},
		"without a signature":          {nil, program, int64(len(program))},
	} {
		link, err := p.Agent(t.Context(), m.server)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := link.Client().Update(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&proto.UpdateRequest{Part: &proto.UpdateRequest_Offer{Offer: &proto.UpdateOffer{Grant: test.grant, Version: "v9.0.0", Size: test.size}}})
		_ = stream.Send(&proto.UpdateRequest{Part: &proto.UpdateRequest_Data{Data: test.data}})
		if _, err := stream.CloseAndRecv(); err == nil {
			t.Errorf("an update that is %s was taken", name)
		}
		link.Close()
	}
	if _, err := os.Stat(stateFile(m, "ran")); err == nil || m.log.has("a new program has come") {
		t.Error("one of them was run")
	}
	if left, _ := filepath.Glob(m.program + ".update-*"); len(left) > 0 {
		t.Errorf("there is left %v", left)
	}
}

func TestAFailedUpdateIsTriedAgainWhenSomebodyWantsIt(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	good, err := os.ReadFile(release(t, "v1.1.0"))
	if err != nil {
		t.Fatal(err)
	}
	h.version, h.binary, h.settle = "v1.1.0", filepath.Join(t.TempDir(), "agent"), time.Millisecond
	write := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(h.binary, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(good)
	p := h.process(t, "")
	if _, err := p.Binary(runtime.GOARCH); err != nil {
		t.Fatal(err)
	}
	write(append([]byte("#"), good[1:]...)) // not what the server has signed
	m := h.installRelease(t, p, "v1.0.0")
	fault := func() string {
		t.Helper()
		text, err := h.store.AgentUpdate(t.Context(), h.workspace, m.server)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if err := h.store.RetryAgentUpdate(t.Context(), h.workspace, m.server); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("what has not failed is tried again: %v", err)
	}
	eventually(t, "the failure is noted", func() bool { p.kick(); return strings.Contains(fault(), "could not be brought") })
	write(good)
	for range 50 { // each a step that could try it
		p.kick()
		if got := version(t, p, m.server); got != "v1.0.0" || fault() == "" {
			t.Fatalf("it was tried again unasked: %s", got)
		}
	}
	if err := h.store.RetryAgentUpdate(t.Context(), h.workspace, m.server); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new agent has come", func() bool { p.kick(); return version(t, p, m.server) == "v1.1.0" })
	if text := fault(); text != "" {
		t.Error(text)
	}
}
