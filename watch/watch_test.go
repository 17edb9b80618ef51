package watch

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"cronium.dev/agent/program"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/internal/testenv"
	"cronium.dev/live"
	"cronium.dev/store"
)

// TestMain makes the test binary the agent when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := program.Run(ctx, os.Args, "test"); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Main(m)
}

// machine is a real agent behind a cable that can be pulled.
type machine struct {
	socket string

	mu     sync.Mutex
	pulled bool
	conns  []net.Conn
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "watch") // short: a socket is in it
	if err != nil {
		t.Fatal(err)
	}
	public, _, _ := ed25519.GenerateKey(nil)
	m := &machine{socket: filepath.Join(dir, "agent.sock")}
	agent := exec.Command(os.Args[0], "serve", "--spool", filepath.Join(dir, "spool"), "--work", filepath.Join(dir, "work"),
		"--socket", m.socket, "--target", "t", "--public-key", base64.StdEncoding.EncodeToString(public), "--idle-exit", "2m")
	agent.Env = []string{"PATH=" + os.Getenv("PATH")}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agent.Process.Kill()
		agent.Wait()
		os.RemoveAll(dir)
	})
	return m
}

func (m *machine) agent(ctx context.Context, _ cronium.ID) (*executor.Link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pulled {
		return nil, &cronium.Error{Code: cronium.CodeUnavailable, Message: "Nobody answers at 192.0.2.7.", Err: errors.New("no route")}
	}
	conn, err := net.Dial("unix", m.socket)
	if err != nil {
		return nil, err
	}
	m.conns = append(m.conns, conn)
	return executor.Connect(ctx, conn)
}

func (m *machine) pull(pulled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pulled = pulled
	for _, conn := range m.conns {
		conn.Close()
	}
	m.conns = nil
}

// room is a workspace with one server.
type room struct {
	*testing.T
	store  *store.Store
	server *cronium.Server
}

func newRoom(t *testing.T) *room {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := &cronium.Workspace{ID: cronium.NewID(), Slug: "test", Name: "Test"}
	if err := s.AddWorkspace(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	r := &room{T: t, store: s, server: &cronium.Server{
		ID: cronium.NewID(), WorkspaceID: w.ID, Name: "web-1", Kind: cronium.ServerSSH, Address: "192.0.2.7", Port: 22, Login: "ops",
	}}
	if err := s.CreateServer(t.Context(), r.server, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// watch starts a server process that watches.
func (r *room) watch(m *machine) (stop func()) {
	r.Helper()
	id := cronium.NewID()
	if err := r.store.RenewLease(r.Context(), store.Process{ID: id, Hostname: "h", PID: 1, Version: "test"}); err != nil {
		r.Fatal(err)
	}
	w := New(Config{
		Process: id, Registry: r.store, Publish: func(...live.Topic) {}, Log: slog.New(slog.NewTextHandler(r.Output(), nil)),
		Agents: map[cronium.ServerKind]func(context.Context, cronium.ID) (*executor.Link, error){cronium.ServerSSH: m.agent},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	stop = func() { cancel(); <-done }
	r.Cleanup(stop)
	return stop
}

func (r *room) row() *store.ServerRow {
	r.Helper()
	row, err := r.store.ServerRow(r.Context(), r.server.WorkspaceID, r.server.ID)
	if err != nil {
		r.Fatal(err)
	}
	return row
}

func (r *room) status() cronium.ServerStatus { return r.row().Status }

func (r *room) eventually(what string, condition func(cronium.ServerStatus) bool) {
	r.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(45 * time.Second)
	for !condition(r.status()) {
		select {
		case <-tick.C:
		case <-limit:
			r.Fatalf("waited in vain until %s: %+v", what, r.status())
		}
	}
}

func TestAServerIsOnlineAndOfflineAsItIs(t *testing.T) {
	t.Parallel()
	r, m := newRoom(t), newMachine(t)
	r.watch(m)
	r.eventually("it is online with its figures", func(s cronium.ServerStatus) bool {
		return s.State == cronium.ServerOnline && s.MemoryTotal > 0 && s.DiskTotal > s.DiskUsed && s.CPUs > 0 && s.AgentVersion == "test" && s.Latency > 0
	})
	if skew := r.status().ClockSkew.Abs(); skew > time.Second {
		t.Errorf("the machine's clock, which is ours, is off by %s", skew)
	}
	since := r.status().Since

	// A connection that only breaks is no loss.
	m.pull(false)
	seen := r.status().SeenAt
	r.eventually("it is seen again", func(s cronium.ServerStatus) bool {
		if s.State != cronium.ServerOnline {
			t.Errorf("a broken connection makes it %s", s.State)
		}
		return s.SeenAt.After(*seen)
	})
	if !r.status().Since.Equal(since) {
		t.Error("it was taken for lost meanwhile")
	}

	m.pull(true)
	r.eventually("it is offline with the reason", func(s cronium.ServerStatus) bool {
		return s.State == cronium.ServerOffline && s.Error == "Nobody answers at 192.0.2.7."
	})
	m.pull(false)
	r.eventually("it is online again", func(s cronium.ServerStatus) bool { return s.State == cronium.ServerOnline && s.Error == "" })
}

func TestServersOfAProcessThatEndsAreTakenByAnother(t *testing.T) {
	t.Parallel()
	r, m := newRoom(t), newMachine(t)
	stop := r.watch(m)
	r.eventually("it is watched", func(s cronium.ServerStatus) bool { return s.State == cronium.ServerOnline })
	first := r.status().Holder
	r.watch(m)
	stop()
	r.eventually("another watches it", func(s cronium.ServerStatus) bool { return s.Holder != nil && *s.Holder != *first })
	if row := r.row(); len(row.Samples) == 0 || row.Samples[0].Up != 1 {
		t.Errorf("the history has %+v", row.Samples)
	}
}

func TestHistoryTellsTheShareOfTimeThatAServerWasUp(t *testing.T) {
	t.Parallel()
	b := book{statuses: map[cronium.ID]*entry{}}
	server := store.Watched{ID: cronium.NewID(), WorkspaceID: cronium.NewID()}
	up := cronium.ServerStatus{ServerID: server.ID, State: cronium.ServerOnline, Load1: 3, MemoryTotal: 4, MemoryUsed: 1, Latency: time.Second}
	b.note(server, up)
	b.note(server, cronium.ServerStatus{ServerID: server.ID, State: cronium.ServerOffline})
	got := b.takeSamples(time.Now())
	if len(got) != 1 || got[0].Samples != 4 || got[0].Up != 0.25 || got[0].Load != 3 || got[0].Memory != 0.25 || got[0].Latency != time.Second {
		t.Errorf("a quarter of a minute up: %+v", got)
	}
	if got = b.takeSamples(time.Now()); len(got) != 1 || got[0].Up != 0 || got[0].Samples != 4 {
		t.Errorf("a minute down: %+v", got)
	}
	b.forget(server.ID)
	if got = b.takeSamples(time.Now()); len(got) != 0 {
		t.Errorf("another's server: %+v", got)
	}
}
