package container

import (
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

func TestPoolGivesEachContainerOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.PoolSize = 2 })
	stop := b.run(t)
	spec := specOf(cronium.NetworkNone)
	warm := func() (p executor.Place) {
		eventually(t, "a container is warm", func() bool {
			p = b.Warm(spec)
			return p != nil
		})
		return p
	}
	first, second := warm(), warm()
	if first.Ref() == second.Ref() {
		t.Error("one container was given out twice")
	}
	for _, p := range []executor.Place{first, second} {
		if !p.Warm() {
			t.Error("a container of the pool does not say so")
		}
		sink := conformance.NewRecorder(t)
		finish, err := executor.Drive(conformance.Context(t), p, conformance.Bash("echo $PPID").Run(b.key), sink)
		conformance.Result{Finish: finish, Err: err, Sink: sink}.Exited(t, 0)
		if err := p.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	other := spec
	other.Limits.MemoryMiB++
	if p := b.Warm(other); p != nil {
		t.Error("a container with other limits was given out")
	}
	eventually(t, "the new kind is made ahead as well", func() bool { return len(b.pool.ids()) == 2 })
	stop()
	if left := containersOf(t, b.Backend); len(left) > 0 {
		t.Errorf("after the end %d containers are left", len(left))
	}
}

func TestDeadContainersLeaveThePool(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.PoolSize = 1 })
	b.run(t)
	ids := func() map[string]bool { return b.pool.ids() }
	eventually(t, "a container is warm", func() bool { return len(ids()) == 1 })
	old := ids()
	for id := range old {
		kill(t, b.Backend, id)
	}
	eventually(t, "another is warm", func() bool {
		for id := range ids() {
			return !old[id]
		}
		return false
	})
}

func TestPoolKeepsToItsSize(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.PoolSize = 3 })
	now := b.pool.lastTake
	spec := specOf(cronium.NetworkNone)
	for memory := range 5 {
		spec.Limits.MemoryMiB = 100 + memory
		for range 4 {
			b.Warm(spec)
			now = b.pool.lastTake
		}
	}
	b.pool.mu.Lock()
	defer b.pool.mu.Unlock()
	targets := b.pool.targets(now)
	sum := 0
	for _, n := range targets {
		sum += n
	}
	if sum != 3 || targets[b.shapeOf(spec)] != 1 {
		t.Errorf("targets are %v, want the three kinds used last", targets)
	}
}
