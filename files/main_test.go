package files

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"cronium.dev/agent/program"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/internal/testenv"
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

var web = &cronium.Server{Name: "web-1"}

// newService moves files to and from a real agent, whose target is "web". The
// grants are for named.
func newService(t *testing.T, named string) *Service {
	t.Helper()
	dir, err := os.MkdirTemp("", "files") // short: a socket is in it
	if err != nil {
		t.Fatal(err)
	}
	public, key, _ := ed25519.GenerateKey(nil)
	socket := filepath.Join(dir, "agent.sock")
	agent := exec.Command(os.Args[0], "serve", "--spool", filepath.Join(dir, "spool"), "--work", filepath.Join(dir, "work"),
		"--socket", socket, "--target", "web", "--public-key", base64.StdEncoding.EncodeToString(public), "--idle-exit", "2m")
	agent.Env = []string{"PATH=" + os.Getenv("PATH")}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agent.Process.Kill()
		agent.Wait()
		os.RemoveAll(dir)
	})
	return New(Config{Key: key, Agent: func(ctx context.Context, _ *cronium.Server) (*executor.Link, string, error) {
		conn, err := dial(ctx, socket)
		if err != nil {
			return nil, "", err
		}
		link, err := executor.Connect(ctx, conn)
		return link, named, err
	}})
}

// dial waits until the agent listens.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, err
		}
	}
}
