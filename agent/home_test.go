package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"cronium.dev/agent"
)

// newHome is a directory for an agent, whose path is short enough for sockets.
func newHome(t *testing.T) agent.Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := agent.Home{
		Dir: dir, Target: "home", Idle: time.Minute, Program: program,
		PublicKey: base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize)),
	}
	t.Cleanup(func() {
		if err := h.Remove(context.Background(), 10*time.Second); err != nil && !os.IsNotExist(err) {
			os.RemoveAll(dir)
		}
	})
	return h
}

// join joins the agent and gives what it said first.
func join(t *testing.T, h agent.Home) string {
	t.Helper()
	in, end := io.Pipe()
	var out bytes.Buffer
	time.AfterFunc(0, func() { end.Close() })
	if err := h.Join(t.Context(), 10*time.Second, in, &out); err != nil {
		t.Fatalf("join: %v", err)
	}
	return out.String()
}

func TestWhoeverJoinsAHomeStartsItsAgentOnce(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	said := make(chan string, 4)
	for range cap(said) {
		go func() { said <- join(t, h) }()
	}
	for range cap(said) {
		if got := <-said; !strings.HasPrefix(got, agent.Joined) {
			t.Errorf("the stream begins with %q", got)
		}
	}
	log, err := os.ReadFile(filepath.Join(h.Dir, "agent.log"))
	if err != nil || bytes.Contains(log, []byte("another agent uses it")) {
		t.Errorf("the agent was started more than once: %s (%v)", log, err)
	}
	if err := h.Remove(t.Context(), 10*time.Second); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if _, err := os.Stat(h.Dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestAHomeThatOthersMayEnterIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	if err := os.Chmod(h.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := h.Join(t.Context(), time.Second, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "0700") {
		t.Errorf("join: %v", err)
	}
	link := h
	link.Dir = filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.Dir, link.Dir); err != nil {
		t.Fatal(err)
	}
	if err := link.Join(t.Context(), time.Second, strings.NewReader(""), io.Discard); err == nil {
		t.Error("a symbolic link was followed")
	}
}

func TestAnAgentOfAnotherUserIsNotJoined(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("this test makes a process of another user and needs root")
	}
	h := newHome(t)
	socket := filepath.Join(h.Dir, "agent.sock")
	if err := os.Chmod(h.Dir, 0o777); err != nil {
		t.Fatal(err)
	}
	listenAs(t, 65532, socket)
	if err := os.Chmod(h.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatalf("the socket of another user: %v", err)
	}
	conn.Close()
	if got := join(t, h); !strings.HasPrefix(got, agent.Joined) {
		t.Errorf("the stream begins with %q", got)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the agent's own socket is not in its place: %v", err)
	}
}

// listenAs listens on a Unix socket as another user, until the test ends.
func listenAs(t *testing.T, user int, path string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become := func(user int) { // this thread alone, unlike syscall.Setresuid
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(user), ^uintptr(0)); e != 0 {
			t.Fatalf("become user %d: %v", user, e)
		}
	}
	become(user)
	l, err := net.Listen("unix", path)
	become(0)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // by then the agent's is there
	t.Cleanup(func() { l.Close() })
}

func TestAnAgentOfAHomeThatCannotStartTellsWhy(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.PublicKey = "none" // serve refuses it
	if err := h.Join(t.Context(), 300*time.Millisecond, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "--public-key must be") {
		t.Errorf("join: %v, want what the agent said", err)
	}
}
