package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
)

// load asks for jobs through the API, as a program that does not give up would.
type load struct {
	client *instance.Client
	kinds  []*kind
	random *rand.Rand
	asking sync.WaitGroup

	mu     sync.Mutex
	jobs   map[cronium.ID]*kind // all that were accepted
	failed []error
}

func newLoad(t *testing.T, client *instance.Client, random *rand.Rand, s *starts) *load {
	t.Helper()
	l := &load{client: client, kinds: kinds(), random: random, jobs: map[cronium.ID]*kind{}}
	for _, k := range l.kinds {
		id, err := client.CreateEvent(t.Context(), k.name, k.event, k.content(gateway, s.port))
		if err != nil {
			t.Fatal(err)
		}
		k.id = id
	}
	return l
}

// ask asks for n jobs within the next seconds, and returns at once.
func (l *load) ask(ctx context.Context, n int) {
	for range n {
		kind := l.kinds[l.random.IntN(len(l.kinds))]
		key := fmt.Sprintf("%016x", l.random.Uint64())
		before := time.Duration(l.random.IntN(2000)) * time.Millisecond
		cancelAfter := time.Duration(l.random.IntN(3000)) * time.Millisecond
		l.asking.Go(func() {
			if pause(ctx, before) {
				l.run(ctx, kind, key, cancelAfter)
			}
		})
	}
}

func (l *load) run(ctx context.Context, k *kind, key string, cancelAfter time.Duration) {
	job, err := l.client.Run(ctx, k.id, key)
	l.mu.Lock()
	if err == nil {
		if l.jobs[job] != nil {
			err = fmt.Errorf("job %s was given to two requests", job)
		}
		l.jobs[job] = k
	}
	if err != nil {
		l.failed = append(l.failed, fmt.Errorf("run %q: %w", k.name, err))
	}
	l.mu.Unlock()
	if err != nil || !k.cancel || !pause(ctx, cancelAfter) {
		return
	}
	if err := l.client.Cancel(ctx, job); err != nil {
		l.mu.Lock()
		l.failed = append(l.failed, fmt.Errorf("cancel %q: %w", k.name, err))
		l.mu.Unlock()
	}
}
