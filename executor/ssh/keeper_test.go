package ssh

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// thing is what a keeper of these tests keeps.
type thing struct {
	number     int
	dead, shut atomic.Bool
}

// things opens them, and fails while broken is set.
type things struct {
	keeper[*thing]
	mu     sync.Mutex
	opened []*thing
	tries  []time.Time
	broken error
	takes  time.Duration
}

func newThings(ctx context.Context) *things {
	s := &things{}
	s.keeper = keeper[*thing]{
		ctx: ctx, idle: time.Minute, worker: &sync.WaitGroup{},
		open: func(context.Context) (*thing, error) {
			time.Sleep(s.takes) // of a bubble's clock
			s.mu.Lock()
			defer s.mu.Unlock()
			s.tries = append(s.tries, time.Now())
			if s.broken != nil {
				return nil, s.broken
			}
			one := &thing{number: len(s.opened)}
			s.opened = append(s.opened, one)
			return one, nil
		},
		shut:  func(one *thing) { one.shut.Store(true) },
		alive: func(one *thing) bool { return !one.dead.Load() },
	}
	return s
}

func TestOneIsOpenedForAllWhoAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t.Context())
		s.takes = time.Second
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				one, release, err := s.get(t.Context())
				if err != nil || one.number != 0 {
					t.Errorf("got %v, %v", one, err)
					return
				}
				release()
				release() // once is enough
			})
		}
		all.Wait()
		time.Sleep(59 * time.Second)
		if s.opened[0].shut.Load() {
			t.Error("it was closed before its time")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !s.opened[0].shut.Load() {
			t.Error("it was not closed though nobody used it")
		}
		if _, release, err := s.get(t.Context()); err != nil || len(s.opened) != 2 {
			t.Errorf("there are %d, %v; want a second one", len(s.opened), err)
		} else {
			release()
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestTriesFollowOneAnotherWithGrowingWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t.Context())
		s.broken = errors.New("away")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for range 20 { // they ask again at once
			all.Go(func() {
				for ctx.Err() == nil {
					_, _, _ = s.get(ctx)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if n := len(s.tries); n < 300/8 || n > 300/4+10 {
			t.Errorf("there were %d tries in five minutes", n)
		}
		for i := range s.tries[1:] {
			wait := s.tries[i+1].Sub(s.tries[i])
			most := min(firstBackoff<<min(i, 10), longBackoff)
			if wait < most/2 || wait > most+time.Millisecond {
				t.Errorf("wait %d was %s, want up to %s", i, wait, most)
			}
		}
		// Somebody has mended it: who waits need not wait longer.
		s.mu.Lock()
		s.broken = nil
		s.mu.Unlock()
		begun := time.Now()
		all.Go(func() {
			_, release, err := s.get(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			release()
		})
		synctest.Wait()
		s.drop()
		all.Wait()
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %s", took)
		}
		time.Sleep(2 * time.Minute)
	})
}

func TestOneThatDiedIsReplacedAndClosedByItsLastUser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThings(t.Context())
		first, release, err := s.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first.dead.Store(true)
		second, releaseSecond, err := s.get(t.Context())
		if err != nil || second == first {
			t.Fatalf("got the dead one again, %v", err)
		}
		if first.shut.Load() {
			t.Error("it was closed under its user")
		}
		release()
		synctest.Wait()
		if !first.shut.Load() {
			t.Error("it was not closed by its last user")
		}
		releaseSecond()
		time.Sleep(2 * time.Minute)
	})
}

func TestTheEndClosesWhatIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		s := newThings(ctx)
		one, release, err := s.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end()
		s.end()
		if !one.shut.Load() {
			t.Error("it is still open")
		}
		release()
		if _, _, err := s.get(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("another one was given: %v", err)
		}
	})
}
