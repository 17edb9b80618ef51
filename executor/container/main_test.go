package container

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"os"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

const runtimeImage = "cronium-runtime:latest"

// agentFile is the agent, built once for all tests of the package.
var agentFile string

func TestMain(m *testing.M) {
	os.Exit(conformance.Main(m, func(agent string) { agentFile = agent }))
}

// bench is a backend with a key of its own.
type bench struct {
	*Backend
	key ed25519.PrivateKey
}

// newBench makes a backend of an installation that this test alone has, and
// removes its containers when the test ends.
func newBench(t *testing.T, change func(*Config)) bench {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Instance: "test-" + cronium.NewID().String(),
		Process:  cronium.NewID().String(),
		Image:    runtimeImage,
		Agent:    agentFile,
		Key:      public,
		Prewarm:  specOf(cronium.NetworkNone),
		Log:      slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&config)
	}
	b, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, b) })
	return bench{b, private}
}

func removeAll(t *testing.T, b *Backend) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, c := range containersOf(t, b) {
		if err := b.engine.remove(ctx, c.id); err != nil {
			t.Errorf("remove what a test left: %v", err)
		}
	}
	b.engine.close()
}

// containersOf lists all containers of the backend's installation.
func containersOf(t *testing.T, b *Backend) []state {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	found, err := b.engine.list(ctx, labelInstance, b.config.Instance)
	if err != nil {
		t.Fatalf("list containers: %v", err)
	}
	return found
}

func specOf(network cronium.Network) executor.Spec {
	return executor.Spec{Network: network, Limits: cronium.DefaultLimits()}
}

// target is the bench for conformance's runners.
func (b bench) target(spec executor.Spec) conformance.Target {
	return conformance.Target{Backend: b.Backend, Key: b.key, Spec: spec, Kill: func(t *testing.T, place executor.Place) {
		t.Helper()
		kill(t, b.Backend, idOf(place.Ref()))
	}}
}

func idOf(ref string) string { return ref[:64] }

// kill removes a container as a person with the docker command would.
func kill(t *testing.T, b *Backend, id string) {
	t.Helper()
	if err := b.engine.remove(t.Context(), id); err != nil {
		t.Fatalf("kill container: %v", err)
	}
}

// run starts Run and gives what ends it and waits.
func (b bench) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
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
