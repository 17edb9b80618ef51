package container

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// frontDoor is a socket before the engine's that can be shut, as if the engine
// had gone away.
type frontDoor struct {
	path string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
}

func newFrontDoor(t *testing.T) *frontDoor {
	t.Helper()
	d := &frontDoor{path: filepath.Join(t.TempDir(), "engine.sock"), open: map[net.Conn]bool{}}
	d.unlock(t)
	t.Cleanup(d.shut)
	return d
}

func (d *frontDoor) unlock(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", d.path)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.pass(c)
		}
	}()
}

func (d *frontDoor) pass(client net.Conn) {
	engine, err := net.Dial("unix", "/var/run/docker.sock")
	if err != nil {
		client.Close()
		return
	}
	d.mu.Lock()
	d.open[client], d.open[engine] = true, true
	d.mu.Unlock()
	go func() {
		_, _ = io.Copy(engine, client)
		engine.Close()
	}()
	_, _ = io.Copy(client, engine)
	client.Close()
	engine.Close()
}

func (d *frontDoor) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener.Close()
	for c := range d.open {
		c.Close()
	}
	clear(d.open)
}

func TestScriptRunsOnWhileTheEngineIsAway(t *testing.T) {
	t.Parallel()
	door := newFrontDoor(t)
	b := newBench(t, func(c *Config) { c.Host = "unix://" + door.path })
	t.Cleanup(func() { door.shut(); door.unlock(t) })
	place, sink := b.target(specOf(cronium.NetworkNone)).Place(t), conformance.NewRecorder(t)
	done := make(chan conformance.Result, 1)
	go func() {
		finish, err := executor.Drive(conformance.Context(t), place,
			conformance.Bash("for i in $(seq 40); do echo $i; sleep 0.05; done").Run(b.key), sink)
		done <- conformance.Result{Finish: finish, Err: err, Sink: sink}
	}()
	sink.Wait(conformance.Context(t), "5\n")
	door.shut()
	if _, err := b.Find(t.Context(), place.Ref()); !errors.Is(err, executor.ErrUnavailable) {
		t.Errorf("find while the engine is away: %v, want ErrUnavailable", err)
	}
	if _, err := place.Dial(t.Context()); !errors.Is(err, executor.ErrUnavailable) {
		t.Errorf("dial while the engine is away: %v, want ErrUnavailable", err)
	}
	door.unlock(t)
	(<-done).Exited(t, 0)
	if lines := strings.Fields(sink.Stdout()); len(lines) != 40 || lines[39] != "40" {
		t.Errorf("the script's output is %q", sink.Stdout())
	}
}

func TestPoolLivesThroughAnEngineThatWasAway(t *testing.T) {
	t.Parallel()
	door := newFrontDoor(t)
	b := newBench(t, func(c *Config) {
		c.Host, c.PoolSize = "unix://"+door.path, 1
	})
	b.run(t)
	eventually(t, "a container is warm", func() bool { return len(b.pool.ids()) == 1 })
	old := b.pool.ids()
	door.shut()
	eventually(t, "the broken container is not given out", func() bool {
		p := b.Warm(specOf(cronium.NetworkNone))
		if p != nil {
			_ = p.Destroy(t.Context()) // the engine is away
		}
		return p == nil
	})
	door.unlock(t)
	eventually(t, "another container is warm", func() bool {
		for id := range b.pool.ids() {
			return !old[id]
		}
		return false
	})
}

func TestContainerThatCouldNotBeRemovedIsSweptNext(t *testing.T) {
	t.Parallel()
	door := newFrontDoor(t)
	b := newBench(t, func(c *Config) { c.Host = "unix://" + door.path })
	t.Cleanup(func() { door.shut(); door.unlock(t) })
	place := b.target(specOf(cronium.NetworkNone)).Place(t)
	alive := func(string) bool { return true }
	open := func(string) bool { return false }
	if n, err := b.Sweep(t.Context(), alive, open); n != 0 || err != nil {
		t.Fatalf("a new container: %d were swept (%v), want none", n, err)
	}
	door.shut()
	if err := place.Destroy(t.Context()); err == nil {
		t.Fatal("a container was destroyed while the engine was away")
	}
	door.unlock(t)
	if n, err := b.Sweep(t.Context(), alive, open); n != 1 || err != nil {
		t.Errorf("a container that was to be destroyed: %d were swept (%v), want it", n, err)
	}
}
