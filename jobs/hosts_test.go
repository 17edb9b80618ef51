package jobs

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/live"
)

// host is a server of tests: a real agent, which any process may reach while the
// host is up.
type host struct {
	id     cronium.ID
	name   string
	kind   cronium.ServerKind
	dir    string
	agent  *exec.Cmd
	down   atomic.Bool
	holder atomic.Pointer[cronium.ID] // of kind agent: the process that it is connected to
}

// fleet is a site with hosts.
type fleet struct {
	*site
	mu    sync.Mutex
	hosts map[cronium.ID]*host
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{site: newSite(t), hosts: map[cronium.ID]*host{}}
}

// host adds a server with an agent. tags are like "role=web".
func (f *fleet) host(name string, kind cronium.ServerKind, tags ...string) *host {
	f.Helper()
	h := &host{id: cronium.NewID(), name: name, kind: kind}
	h.start(f.site)
	byKey := map[string]string{}
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		byKey[key] = value
	}
	f.exec(`INSERT INTO servers (id, workspace_id, name, kind, environment, tags) VALUES ($1, $2, $3, $4, 'test', $5)`, h.id, f.workspace, name, string(kind), byKey)
	f.exec(`INSERT INTO server_states (server_id, workspace_id, state) VALUES ($1, $2, 'ONLINE')`, h.id, f.workspace)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts[h.id] = h
	return h
}

func (f *fleet) exec(sql string, args ...any) {
	f.Helper()
	if _, err := f.store.WorkerPool().Exec(f.Context(), sql, args...); err != nil {
		f.Fatal(err)
	}
}

// start starts the host's agent on a disk of its own.
func (h *host) start(s *site) {
	s.Helper()
	dir, err := os.MkdirTemp("/tmp", "h") // short: the path of a script's socket in it has at most 107 bytes
	if err != nil {
		s.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "w"), 0o700); err != nil {
		s.Fatal(err)
	}
	h.dir = dir
	h.agent = exec.Command(agentFile(s.T), "serve", "--target", h.id.String(),
		"--public-key", base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey)),
		"--spool", filepath.Join(dir, "spool"), "--work", filepath.Join(dir, "w"), "--socket", "agent.sock")
	h.agent.Dir, h.agent.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	if err := h.agent.Start(); err != nil {
		s.Fatal(err)
	}
	agent := h.agent
	s.Cleanup(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		os.RemoveAll(dir)
	})
}

// hostsBackend reaches hosts as one server process does.
type hostsBackend struct {
	fleet   *fleet
	process cronium.ID
	mu      sync.Mutex
	links   map[cronium.ID]*executor.Link
}

func away(name string) error {
	return &cronium.Error{Code: cronium.CodeUnavailable, Message: name + " cannot be reached.", Err: executor.ErrUnavailable}
}

func (b *hostsBackend) find(id cronium.ID) (*host, error) {
	b.fleet.mu.Lock()
	defer b.fleet.mu.Unlock()
	h := b.fleet.hosts[id]
	if h == nil {
		return nil, cronium.Errorf(cronium.CodeNotFound, "there is no such host")
	}
	return h, nil
}

// link gives the one connection of this process to the host.
func (b *hostsBackend) link(ctx context.Context, id cronium.ID) (*executor.Link, error) {
	h, err := b.find(id)
	if err != nil {
		return nil, err
	}
	if h.down.Load() {
		return nil, away(h.name)
	}
	if h.kind == cronium.ServerAgent && !b.Holds(id) {
		return nil, away(h.name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.links[id]
	if l == nil || !l.Alive() {
		stream, err := dialHost(ctx, h)
		if err != nil {
			return nil, err
		}
		if l, err = executor.Connect(ctx, stream); err != nil {
			return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
		}
		b.links[id] = l
	}
	return l.Share(func() {}), nil
}

func dialHost(ctx context.Context, h *host) (net.Conn, error) {
	var d net.Dialer
	for {
		stream, err := d.DialContext(ctx, "unix", filepath.Join(h.dir, "agent.sock"))
		if err == nil {
			return stream, nil
		}
		if !pause(ctx, 5*time.Millisecond) { // it is still starting
			return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
		}
	}
}

// cut breaks the line of this process to a host.
func (b *hostsBackend) cut(h *host) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.links[h.id]; l != nil {
		l.Close()
		delete(b.links, h.id)
	}
}

func (b *hostsBackend) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, l := range b.links {
		l.Close()
		delete(b.links, id)
	}
}

// Holds makes it a Holder.
func (b *hostsBackend) Holds(id cronium.ID) bool {
	h, err := b.find(id)
	if err != nil || h.down.Load() {
		return false
	}
	holder := h.holder.Load()
	return holder != nil && *holder == b.process
}

func (b *hostsBackend) Held() []cronium.ID {
	b.fleet.mu.Lock()
	hosts := b.fleet.hosts
	var ids []cronium.ID
	for id := range hosts {
		ids = append(ids, id)
	}
	b.fleet.mu.Unlock()
	held := ids[:0]
	for _, id := range ids {
		if b.Holds(id) {
			held = append(held, id)
		}
	}
	return held
}

func (b *hostsBackend) Warm(executor.Spec) executor.Place { return nil }

func (b *hostsBackend) Create(ctx context.Context, spec executor.Spec, _ func(string)) (executor.Place, error) {
	l, err := b.link(ctx, spec.ServerID)
	if err != nil {
		return nil, err
	}
	return &hostPlace{backend: b, server: spec.ServerID, execution: spec.ExecutionID, instance: l.Info.GetInstance()}, nil
}

func (b *hostsBackend) Find(ctx context.Context, ref string) (executor.Place, error) {
	parts := strings.Split(ref, "/")
	server, _ := cronium.ParseID(parts[0])
	execution, _ := cronium.ParseID(parts[1])
	if _, err := b.link(ctx, server); err != nil {
		return nil, err
	}
	return &hostPlace{backend: b, server: server, execution: execution, instance: parts[2]}, nil
}

type hostPlace struct {
	backend           *hostsBackend
	server, execution cronium.ID
	instance          string
}

func (p *hostPlace) Ref() string {
	return p.server.String() + "/" + p.execution.String() + "/" + p.instance
}
func (p *hostPlace) Warm() bool               { return false }
func (p *hostPlace) TargetID() string         { return p.server.String() }
func (p *hostPlace) Instance() string         { return p.instance }
func (p *hostPlace) TakeLink() *executor.Link { return nil }
func (p *hostPlace) Dial(context.Context) (net.Conn, error) {
	return nil, errors.New("its connection is shared")
}
func (p *hostPlace) Link(ctx context.Context) (*executor.Link, error) {
	return p.backend.link(ctx, p.server)
}
func (p *hostPlace) Destroy(ctx context.Context) error {
	return executor.Forget(ctx, p, p.execution)
}

// process is one server process of a fleet.
type fleetProcess struct {
	*Engine
	hosts *hostsBackend
	stop  func() // gracefully; once
	crash func() // as if killed; once
}

func (f *fleet) start() *fleetProcess {
	f.Helper()
	id := cronium.NewID()
	log := slog.New(slog.NewTextHandler(f.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	hub := live.New(f.store.Pool(), log)
	b := &hostsBackend{fleet: f, process: id, links: map[cronium.ID]*executor.Link{}}
	engine, err := New(Config{ID: id, Store: f.store, Hub: hub, Key: f.key, Log: log, Version: "test", MaxRuns: f.maxRuns, MaxRemoteRuns: 100,
		Backends: map[cronium.TargetKind]executor.Backend{cronium.TargetSSH: sshHosts{b}, cronium.TargetAgent: b}, LockDir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	hub.Start(ctx)
	if err := engine.Start(ctx); err != nil {
		f.Fatal(err)
	}
	p := &fleetProcess{Engine: engine, hosts: b}
	var once sync.Once
	end := func(last func()) func() {
		return func() {
			once.Do(func() {
				last()
				cancel()
				hub.Stop()
				b.close()
			})
		}
	}
	p.stop = end(func() {
		if err := engine.Stop(context.Background()); err != nil {
			f.Error(err)
		}
	})
	p.crash = end(func() {
		engine.end()
		if err := engine.queue.StopAndCancel(context.Background()); err != nil {
			f.Error(err)
		}
		engine.loops.Wait()
		if err := f.store.EndLease(context.Background(), id); err != nil {
			f.Error(err)
		}
	})
	f.Cleanup(p.stop)
	return p
}

// hold connects the agent of a host to a process.
func (f *fleet) hold(p *fleetProcess, hosts ...*host) {
	for _, h := range hosts {
		h.holder.Store(&p.id)
		f.exec(`UPDATE server_states SET holder = $2 WHERE server_id = $1`, h.id, p.id)
	}
}

// sshHosts is a backend that any process can use: it holds nothing.
type sshHosts struct{ *hostsBackend }

func (sshHosts) Holds() {}
