package installed_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/store"
)

// fresh is the target with an agent of its own for each place, so that what a
// test does to one disturbs no other.
type fresh struct {
	*process
	t   *testing.T
	hub *hub

	mu       sync.Mutex
	machines map[cronium.ID]*machine
}

// allOpen is a registry for executions that are driven without a job.
type allOpen struct{ *store.Store }

// OpenExecutions says that none has ended.
func (allOpen) OpenExecutions(_ context.Context, ids []cronium.ID) ([]cronium.ID, error) {
	return ids, nil
}

// Create installs an agent and makes a place on it.
func (f *fresh) Create(ctx context.Context, spec executor.Spec, progress func(string)) (executor.Place, error) {
	m := f.hub.installBehind(f.t, f.process, newGate(f.t, f.process.server.Listener.Addr().String()))
	f.mu.Lock()
	f.machines[m.server] = m
	f.mu.Unlock()
	spec.ServerID = m.server
	return f.process.Create(ctx, spec, progress)
}

func (f *fresh) machineOf(place executor.Place) *machine {
	server, _ := cronium.ParseID(place.TargetID())
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.machines[server]
}

func TestConformance(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	f := &fresh{t: t, hub: h, process: h.process(t, ""), machines: map[cronium.ID]*machine{}}
	conformance.Run(t, conformance.Target{
		Backend: f, Key: h.key, Spec: executor.Spec{Limits: cronium.DefaultLimits()},
		// The machine is set up anew: the same identity, and nothing of what it
		// had.
		Kill: func(t *testing.T, place executor.Place) {
			t.Helper()
			m := f.machineOf(place)
			m.kill()
			if err := os.RemoveAll(stateFile(m, "run-1")); err != nil {
				t.Fatal(err)
			}
			m.start()
		},
		// What it takes to get in is not counted, or nothing ever would.
		Cut: func(t *testing.T, place executor.Place, seed uint64, least, most int) func() int64 {
			return f.machineOf(place).gate.cut(seed, handshakeBytes+least, handshakeBytes+most)
		},
	})
}
