package terminal

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cronium.dev/agent/program"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/internal/testenv"
	"cronium.dev/secrets"
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

const target = "web-1"

// desk is an installation with one machine, whose agent is a real process.
type desk struct {
	*testing.T
	service   *Service
	store     *store.Store
	workspace cronium.ID
	socket    string
	agent     *exec.Cmd
	process   cronium.ID // this server process, as containers name it
}

func newDesk(t *testing.T, idle time.Duration) *desk {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	public, key, _ := ed25519.GenerateKey(nil)
	w := &cronium.Workspace{ID: cronium.NewID(), Slug: "test", Name: "Test"}
	if err := s.AddWorkspace(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	master, err := secrets.LoadMaster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.InitMasterKey(t.Context(), master.Newest()); err != nil {
		t.Fatal(err)
	}
	d := &desk{T: t, store: s, workspace: w.ID, process: cronium.NewID()}
	d.service = New(Config{
		Store: s, Secrets: secrets.NewBox(s, master), Key: key, Agent: d.dial, Idle: idle,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	d.startAgent(public)
	return d
}

func (d *desk) startAgent(public ed25519.PublicKey) {
	d.Helper()
	dir, err := os.MkdirTemp("", "desk") // short: a socket is in it
	if err != nil {
		d.Fatal(err)
	}
	d.socket = filepath.Join(dir, "agent.sock")
	d.agent = exec.Command(os.Args[0], "serve", "--spool", filepath.Join(dir, "spool"), "--work", filepath.Join(dir, "work"),
		"--socket", d.socket, "--target", target, "--public-key", base64.StdEncoding.EncodeToString(public), "--idle-exit", "2m")
	d.agent.Env = []string{"PATH=" + os.Getenv("PATH"), "PS1=$ "}
	if err := d.agent.Start(); err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		d.agent.Process.Kill()
		d.agent.Wait()
		os.RemoveAll(dir)
	})
	d.eventually("the agent listens", func() bool {
		conn, err := net.Dial("unix", d.socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (d *desk) dial(ctx context.Context, _ *cronium.Terminal) (*executor.Link, string, error) {
	conn, err := net.Dial("unix", d.socket)
	if err != nil {
		return nil, "", err
	}
	link, err := executor.Connect(ctx, conn)
	return link, target, err
}

// exec changes the database as time would.
func (d *desk) exec(sql string, args ...any) {
	d.Helper()
	if _, err := d.store.WorkerPool().Exec(d.Context(), sql, args...); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) eventually(what string, condition func() bool) {
	d.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(15 * time.Second)
	for !condition() {
		select {
		case <-tick.C:
		case <-limit:
			d.Fatalf("waited in vain until %s", what)
		}
	}
}

func (d *desk) open() *cronium.Terminal {
	d.Helper()
	t := &cronium.Terminal{
		ID: cronium.NewID(), WorkspaceID: d.workspace, Target: "web-1", UserID: cronium.NewID(), UserName: "Ada", Width: 90, Height: 30,
	}
	if err := d.store.CreateTerminal(d.Context(), t); err != nil {
		d.Fatal(err)
	}
	return t
}

// again reads a terminal anew.
func (d *desk) again(t *cronium.Terminal) *cronium.Terminal {
	d.Helper()
	found, err := d.store.Terminal(d.Context(), d.workspace, t.ID)
	if err != nil {
		d.Fatal(err)
	}
	return found
}

func (d *desk) cast(t *cronium.Terminal) string {
	d.Helper()
	var text strings.Builder
	if err := d.service.Cast(d.Context(), t, &text); err != nil {
		d.Fatal(err)
	}
	return text.String()
}

// browser is a person's connection.
type browser struct {
	*testing.T
	typed chan Message
	ended chan error // what Attach gave

	mu     sync.Mutex
	screen strings.Builder
	opened *Message
	end    string
	cut    context.CancelFunc
}

func (d *desk) attach(t *cronium.Terminal) *browser {
	d.Helper()
	ctx, cut := context.WithCancel(d.Context())
	b := &browser{T: d.T, typed: make(chan Message), ended: make(chan error, 1), cut: cut}
	go func() { b.ended <- d.service.Attach(ctx, t, b) }()
	return b
}

func (b *browser) Send(_ context.Context, m Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.screen.Write(m.Data)
	if m.Opened {
		b.opened = &m
	}
	if m.End != "" {
		b.end = m.End
	}
	return nil
}

func (b *browser) Receive(ctx context.Context) (Message, error) {
	select {
	case m := <-b.typed:
		return m, nil
	case <-ctx.Done():
		return Message{}, io.EOF
	}
}

func (b *browser) kind(text string) { b.typed <- Message{Data: []byte(text)} }

func (b *browser) shows(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.screen.String(), text)
}
