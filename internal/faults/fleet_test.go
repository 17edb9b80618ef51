package faults

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"cronium.dev/internal/instance"
)

// startLimit is how long a server may take from its start to its address,
// with its database to be recovered and a busy machine.
const startLimit = time.Minute

// fleet is the two servers.
type fleet struct {
	site *instance.Site

	mu      sync.Mutex
	servers [2]*instance.Server
	logs    []string // of all processes there have been
	turn    int
}

func newFleet(t *testing.T, site *instance.Site) *fleet {
	t.Helper()
	f := &fleet{site: site}
	t.Cleanup(func() {
		if err := f.stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for i := range f.servers {
		if err := f.start(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// start starts the server of a place, whose process has ended.
func (f *fleet) start(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	server, err := f.site.Start(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[i], f.logs = server, append(f.logs, server.Log)
	return nil
}

func (f *fleet) both() [2]*instance.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers
}

// address takes turns between the servers: a call that failed at one is tried
// at the other.
func (f *fleet) address() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
	for i := range f.servers {
		if s := f.servers[(f.turn+i)%2]; s != nil && s.Alive() {
			return s.Address
		}
	}
	return "http://127.0.0.1:1" // nobody listens there
}

// stop stops both gracefully.
func (f *fleet) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var failed error
	for _, s := range f.both() {
		if s != nil {
			failed = errors.Join(failed, s.Stop(ctx))
		}
	}
	return failed
}
