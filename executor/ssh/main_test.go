package ssh_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"flag"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/ssh"
	"cronium.dev/internal/testenv"
)

// agentFile is the agent's binary, built once for all tests of this package.
var agentFile string

func TestMain(m *testing.M) {
	// Most of the time these tests wait for a machine.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(conformance.MainWith(func() int { return testenv.Run(m) }, func(agent string) { agentFile = agent }))
}

// directory is what a test knows of servers. Ids that it does not know are
// other names of its host.
type directory struct {
	mu      sync.Mutex
	servers map[cronium.ID]ssh.Connection
	usual   *ssh.Connection
	offered map[cronium.ID][]byte
	asked   int
}

func (d *directory) Connection(_ context.Context, server cronium.ID) (*ssh.Connection, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	c, ok := d.servers[server]
	if !ok {
		if d.usual == nil {
			return nil, cronium.ErrNotFound
		}
		c = *d.usual
		c.Server = server
	}
	return secretsCopied(c), nil
}

func secretsCopied(c ssh.Connection) *ssh.Connection {
	c.Password, c.PrivateKey, c.Passphrase = slices.Clone(c.Password), slices.Clone(c.PrivateKey), slices.Clone(c.Passphrase)
	c.Jumps = slices.Clone(c.Jumps)
	for i := range c.Jumps {
		c.Jumps[i] = *secretsCopied(c.Jumps[i])
	}
	return &c
}

func (d *directory) OfferHostKey(_ context.Context, server cronium.ID, key []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.offered == nil {
		d.offered = map[cronium.ID][]byte{}
	}
	d.offered[server] = key
	return nil
}

// add makes a server of a connection.
func (d *directory) add(c ssh.Connection) cronium.ID {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.servers == nil {
		d.servers = map[cronium.ID]ssh.Connection{}
	}
	if c.Server == (cronium.ID{}) {
		c.Server = cronium.NewID()
	}
	d.servers[c.Server] = c
	return c.Server
}

// to is a connection to a host as a user, by key.
func to(h *testenv.SSHHost, user string) ssh.Connection {
	return ssh.Connection{
		Name: "web-01", Address: h.Address, Port: h.Port, Login: user,
		PrivateKey: h.PrivateKey, HostKey: h.HostKey,
	}
}

// bench is a backend, its directory, and the key whose manifests agents take.
type bench struct {
	*ssh.Backend
	servers *directory
	key     ed25519.PrivateKey
}

func newBench(t testing.TB) *bench {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{servers: &directory{}, key: private}
	b.Backend = b.process(t, public)
	return b
}

// process makes another backend that shares the directory: that of a second
// server process.
func (b *bench) process(t testing.TB, public crypto.PublicKey) *ssh.Backend {
	t.Helper()
	backend, err := ssh.New(ssh.Config{
		Servers: b.servers, Agents: map[string]string{runtime.GOARCH: agentFile}, Key: public.(ed25519.PublicKey),
		Idle: time.Minute, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatalf("make a backend: %v", err)
	}
	t.Cleanup(backend.Close)
	return backend
}

// on is the bench for conformance's runners, on one server.
func (b *bench) on(server cronium.ID) conformance.Target {
	return conformance.Target{Backend: b.Backend, Key: b.key, Spec: executor.Spec{ServerID: server}}
}

// as has scripts run as another user.
func (b *bench) as(server cronium.ID, user string) conformance.Target {
	target := b.on(server)
	target.Spec.RunAs = user
	return target
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx := conformance.Context(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came to be that %s", what)
		}
	}
}
