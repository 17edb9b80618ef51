package ssh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"cronium.dev/executor"
)

// Waits between two tries to open what could not be opened, before jitter.
const (
	firstBackoff = 500 * time.Millisecond
	longBackoff  = 8 * time.Second
)

var errClosed = fmt.Errorf("%w: this server is being stopped", executor.ErrUnavailable)

// keeper keeps one of something: it is opened when it is first asked for, given
// to all who ask, opened anew when it has died, and closed when nobody has used
// it for a while. Tries follow one another with growing waits, however many ask.
type keeper[T any] struct {
	ctx    context.Context // of all: its end fails who waits
	open   func(ctx context.Context) (T, error)
	shut   func(T)
	alive  func(T) bool
	idle   time.Duration
	worker *sync.WaitGroup

	mu       sync.Mutex
	has      *kept[T]
	try      *try // under way
	failures int
	next     time.Time     // no try before it
	wake     chan struct{} // ends the wait of the present try; nil: it does not wait
}

// kept is one that is open.
type kept[T any] struct {
	value  T
	users  int
	timer  *time.Timer // closes it; set while there are no users
	orphan bool        // another one has taken its place: the last user closes it
}

// try is one opening.
type try struct {
	done chan struct{}
	err  error
}

// get gives what is open, or waits for it. release gives it back, once.
func (k *keeper[T]) get(ctx context.Context) (value T, release func(), err error) {
	for {
		k.mu.Lock()
		if k.has != nil && k.alive(k.has.value) {
			defer k.mu.Unlock()
			return k.has.value, k.use(k.has), nil
		}
		k.leave()
		t := k.try
		if t == nil {
			if k.ctx.Err() != nil {
				k.mu.Unlock()
				return value, nil, errClosed
			}
			t = &try{done: make(chan struct{})}
			k.try = t
			k.worker.Go(func() { k.run(t) })
		}
		k.mu.Unlock()
		select {
		case <-t.done:
			if t.err != nil {
				return value, nil, t.err
			}
		case <-ctx.Done():
			return value, nil, context.Cause(ctx)
		}
	}
}

// peek tells whether something is open and alive.
func (k *keeper[T]) peek() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.has != nil && k.alive(k.has.value)
}

// use counts a user. k.mu is held.
func (k *keeper[T]) use(one *kept[T]) (release func()) {
	one.users++
	if one.timer != nil {
		one.timer.Stop()
		one.timer = nil
	}
	return sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if one.users--; one.users > 0 {
			return
		}
		switch {
		case one.orphan:
			k.close(one)
		case k.ctx.Err() == nil:
			k.rest(one)
		}
	})
}

// leave forgets what is open: its last user closes it. k.mu is held.
func (k *keeper[T]) leave() {
	one := k.has
	k.has = nil
	if one == nil {
		return
	}
	one.orphan = true
	if one.timer != nil {
		one.timer.Stop()
		one.timer = nil
	}
	if one.users == 0 {
		k.close(one)
	}
}

func (k *keeper[T]) close(one *kept[T]) { k.worker.Go(func() { k.shut(one.value) }) }

func (k *keeper[T]) closeIdle(one *kept[T]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.has == one && one.users == 0 && k.ctx.Err() == nil {
		k.leave()
	}
}

// drop has what is open replaced: its users keep it, others get a new one, at
// once.
func (k *keeper[T]) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leave()
	k.failures, k.next = 0, time.Time{}
	if k.wake != nil {
		close(k.wake)
		k.wake = nil
	}
}

// run makes one try, after the wait that earlier ones have earned.
func (k *keeper[T]) run(t *try) {
	value, err := k.attempt()
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(t.done)
	k.try, k.wake = nil, nil
	if t.err = err; err != nil {
		wait := min(firstBackoff<<min(k.failures, 10), longBackoff)
		k.next = time.Now().Add(wait/2 + rand.N(wait/2))
		k.failures++
		return
	}
	k.failures = 0
	one := &kept[T]{value: value}
	if k.ctx.Err() != nil {
		k.shut(value)
		t.err = errClosed
		return
	}
	k.has = one
	k.rest(one)
}

// rest closes it when nobody uses it for a while. k.mu is held.
func (k *keeper[T]) rest(one *kept[T]) {
	one.timer = time.AfterFunc(k.idle, func() { k.closeIdle(one) })
}

func (k *keeper[T]) attempt() (value T, err error) {
	k.mu.Lock()
	wait, wake := time.Until(k.next), make(chan struct{})
	if wait > 0 {
		k.wake = wake
	}
	k.mu.Unlock()
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-wake:
		case <-k.ctx.Done():
			return value, errClosed
		}
	}
	return k.open(k.ctx)
}

// end closes what is open, whoever uses it. The keeper's context has ended.
func (k *keeper[T]) end() {
	k.mu.Lock()
	one := k.has
	k.has = nil
	k.mu.Unlock()
	if one == nil {
		return
	}
	if one.timer != nil {
		one.timer.Stop()
	}
	k.shut(one.value)
}
