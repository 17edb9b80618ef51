package installed_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/installed"
	"cronium.dev/internal/testenv"
	"cronium.dev/store"
)

// agentFile is the agent, built once for all tests of the package.
var agentFile string

func TestMain(m *testing.M) {
	os.Exit(conformance.MainWith(func() int { return testenv.Run(m) }, func(agent string) {
		agentFile = agent
		if err := os.Chmod(filepath.Dir(agent), 0o755); err != nil { // for agents of other users
			panic(err)
		}
	}))
}

// hub is an instance of Cronium as agents see it: a database, a key and server
// processes.
type hub struct {
	store     *store.Store
	registry  installed.Registry // the store, unless a test has executions that are not in it
	key       ed25519.PrivateKey
	workspace cronium.ID

	version        string // of its processes
	binary         string // file of the agent that they give away
	settle, report time.Duration
}

func newHub(t testing.TB) *hub {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{store: s, registry: s, key: key, workspace: cronium.NewID()}
	if err := s.AddWorkspace(t.Context(), &cronium.Workspace{ID: h.workspace, Slug: "test", Name: "Test"}); err != nil {
		t.Fatal(err)
	}
	return h
}

// process is one server process of a hub.
type process struct {
	*installed.Backend
	id     cronium.ID
	server *httptest.Server
	wake   chan struct{}
	stop   func() // as a stopping server does it; may be called again
}

// process starts a server process. listen is an address that it shall have, or
// "" for any.
func (h *hub) process(t testing.TB, listen string) *process {
	t.Helper()
	p := &process{id: cronium.NewID(), wake: make(chan struct{}, 1)}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	err := h.store.RenewLease(t.Context(), store.Process{ID: p.id, Hostname: "h", PID: 1, Version: h.version})
	if err != nil {
		t.Fatal(err)
	}
	p.Backend, err = installed.New(installed.Config{Registry: h.registry, Updates: h.store, Tries: h.store, Process: p.id, Key: h.key, Log: log,
		Version: h.version, Binaries: map[string]string{runtime.GOARCH: h.binary}, UpdateSettle: h.settle, UpdateReport: h.report})
	if err != nil {
		t.Fatal(err)
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != tunnel.Path {
			http.NotFound(w, r)
			return
		}
		if err := p.Accept(w, r, netip.MustParseAddrPort(r.RemoteAddr).Addr()); err != nil {
			http.Error(w, err.Error(), cronium.CodeOf(err).Status())
		}
	}))
	if listen != "" {
		p.server.Listener.Close()
		p.server.Listener = listenAt(t, listen)
	}
	p.server.Start()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx, p.wake) })
	p.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		p.server.CloseClientConnections()
		p.server.Close()
		p.Backend.Close()
	})
	t.Cleanup(p.stop)
	return p
}

// code makes a code for one agent.
func (h *hub) code(t testing.TB, change ...func(*cronium.AgentCode)) tunnel.Code {
	t.Helper()
	code := tunnel.NewCode(h.key.Public().(ed25519.PublicKey))
	c := &cronium.AgentCode{ID: cronium.NewID(), WorkspaceID: h.workspace, Uses: 1, CreatedBy: "Mira", ExpiresAt: time.Now().Add(time.Hour)}
	for _, f := range change {
		f(c)
	}
	if err := h.store.CreateAgentCode(t.Context(), c, code.Hash()); err != nil {
		t.Fatal(err)
	}
	return code
}

// machine is where an agent is installed.
type machine struct {
	t       testing.TB
	program string // file of its agent
	state   string
	env     []string
	log     *buffer
	server  cronium.ID // once joined
	gate    *gate      // that it comes through, if it does

	as   *syscall.Credential // of the agent; nil: of the test
	cmd  *exec.Cmd
	done chan struct{}
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "cra") // shorter than t.TempDir: the path of a socket has its limit
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, program: agentFile, state: dir, log: &buffer{}, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
	t.Cleanup(func() {
		m.kill()
		os.RemoveAll(dir)
		if t.Failed() {
			t.Logf("the agent said:\n%s", m.log.String())
		}
	})
	return m
}

// join runs `cronium-agent join` and gives what it said.
func (m *machine) join(url, code string, flags ...string) (string, error) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), m.program, append([]string{"join", url, "--state", m.state}, flags...)...)
	cmd.Env = append(m.env, "CRONIUM_JOIN_CODE="+code)
	said, err := cmd.CombinedOutput()
	return string(said), err
}

// start runs the agent.
func (m *machine) start() {
	m.t.Helper()
	m.cmd = exec.Command(m.program, "run", "--state", m.state, "--reconnect", "100ms")
	m.cmd.Env = m.env
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: m.as}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	done := make(chan struct{})
	m.done = done
	go func() {
		defer close(done)
		m.cmd.Wait()
	}()
}

// kill ends the agent as a fault would.
func (m *machine) kill() {
	if m.cmd == nil {
		return
	}
	syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL)
	<-m.done
	m.cmd = nil
}

// install joins and starts a machine and waits until the process holds it.
func (h *hub) install(t testing.TB, p *process) *machine {
	t.Helper()
	return h.installBehind(t, p, nil)
}

// installBehind installs a machine that comes through the gate.
func (h *hub) installBehind(t testing.TB, p *process, g *gate) *machine {
	t.Helper()
	m, url := newMachine(t), p.server.URL
	if m.gate = g; g != nil {
		url = g.url()
	}
	if said, err := m.join(url, h.code(t).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	m.server = h.serverOf(t, m)
	m.start()
	p.waitFor(t, m.server)
	return m
}

// waitFor waits until the process holds the server's agent.
func (p *process) waitFor(t testing.TB, server cronium.ID) {
	t.Helper()
	eventually(t, "the agent is connected", func() bool { return p.Holds(server) })
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !true() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the test is over")
		}
	}
}

// buffer collects what a process says.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) has(text string) bool { return strings.Contains(b.String(), text) }

func stateFile(m *machine, name string) string { return filepath.Join(m.state, name) }

// folders are those of the scripts that run on the machine.
func folders(t testing.TB, m *machine) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(m.state, "run-*", "work", "*-*-*-*-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// touch makes the file "go" for which a script waits in its directory.
func touch(t testing.TB, m *machine, execution cronium.ID) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(m.state, "run-*", "work", execution.String()))
	if err != nil || len(found) != 1 {
		t.Fatalf("the execution's directory: %v, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(found[0], "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func isGone(err error) bool { return errors.Is(err, executor.ErrGone) }

func isUnavailable(err error) bool { return errors.Is(err, executor.ErrUnavailable) }
