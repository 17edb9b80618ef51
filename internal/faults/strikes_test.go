package faults

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pauseLength is longer than a server's lease.
const pauseLength = 14 * time.Second

// strikes makes faults.
type strikes struct {
	fleet    *fleet
	engine   *engine
	database database
	random   *rand.Rand

	mu      sync.Mutex
	outages []outage        // of the engine
	killed  map[string]bool // containers
}

// outage is a time in which containers died with their engine.
type outage struct{ from, to time.Time }

// strike is one fault, from its beginning until everything runs again.
type strike struct {
	name string
	do   func(*strikes, context.Context) error
}

func allStrikes() []strike {
	return []strike{
		{"one server restarted", (*strikes).restartOne},
		{"one server killed", (*strikes).killOne},
		{"both servers killed", (*strikes).killBoth},
		{"a server stopped for longer than its lease", (*strikes).stopOne},
		{"PostgreSQL killed", (*strikes).killPostgres},
		{"PostgreSQL shut down at once", (*strikes).shutPostgres},
		{"database connections cut", (*strikes).cutConnections},
		{"engine restarted", (*strikes).restartEngine},
		{"engine killed", (*strikes).killEngine},
		{"a container killed", (*strikes).killContainer},
	}
}

// moment is a random time below d.
func (s *strikes) moment(d time.Duration) time.Duration {
	return time.Duration(s.random.Int64N(int64(d)))
}

// restartOne stops a server as an operator does: it hands over what runs.
func (s *strikes) restartOne(ctx context.Context) error {
	i := s.random.IntN(2)
	stopping, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.fleet.both()[i].Stop(stopping); err != nil {
		return err
	}
	return s.fleet.start(ctx, i)
}

func (s *strikes) killOne(ctx context.Context) error {
	i, down := s.random.IntN(2), s.moment(3*time.Second)
	if err := s.fleet.both()[i].Kill(); err != nil {
		return err
	}
	pause(ctx, down)
	return s.fleet.start(ctx, i)
}

func (s *strikes) killBoth(ctx context.Context) error {
	down := s.moment(2 * time.Second)
	for _, server := range s.fleet.both() {
		if err := server.Kill(); err != nil {
			return err
		}
	}
	pause(ctx, down)
	for i := range s.fleet.both() {
		if err := s.fleet.start(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// stopOne has a server sleep while the other takes over what it had, and wake
// up believing that no time has passed.
func (s *strikes) stopOne(ctx context.Context) error {
	server := s.fleet.both()[s.random.IntN(2)]
	if err := server.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(ctx, pauseLength)
	return server.Signal(syscall.SIGCONT)
}

func (s *strikes) killPostgres(context.Context) error { return s.signalPostgres(syscall.SIGKILL) }
func (s *strikes) shutPostgres(context.Context) error { return s.signalPostgres(syscall.SIGQUIT) }

func (s *strikes) signalPostgres(signal syscall.Signal) error {
	pid, err := s.database.site.Postmaster()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, signal)
}

func (s *strikes) cutConnections(ctx context.Context) error { return s.database.cut(ctx) }

func (s *strikes) restartEngine(ctx context.Context) error { return s.endEngine(ctx, syscall.SIGTERM) }
func (s *strikes) killEngine(ctx context.Context) error    { return s.endEngine(ctx, syscall.SIGKILL) }

func (s *strikes) endEngine(ctx context.Context, signal syscall.Signal) error {
	from, down := time.Now(), s.moment(time.Second)
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.outages = append(s.outages, outage{from, time.Now()})
	}()
	if err := s.engine.signal(signal); err != nil {
		return err
	}
	pause(ctx, down)
	return s.engine.start(ctx)
}

// killContainer kills the container of a script that runs; where none does,
// nothing happens.
func (s *strikes) killContainer(ctx context.Context) error {
	id, err := s.database.runningContainer(ctx, s.random.IntN(1000))
	if err != nil || id == "" {
		return err
	}
	s.mu.Lock()
	s.killed[id] = true
	s.mu.Unlock()
	_, err = s.engine.docker(ctx, "kill", id)
	if err != nil && (strings.Contains(err.Error(), "No such container") || strings.Contains(err.Error(), "is not running")) {
		return nil // the script had just ended
	}
	return err
}

// excuses tells whether a fault took the container of an execution away, so
// that its script may have been lost.
func (s *strikes) excuses(e execution) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, _ := strings.Cut(e.TargetRef, "/")
	if s.killed[id] {
		return true
	}
	for _, o := range s.outages {
		if e.created().Before(o.to) && (e.FinishedAt == nil || e.FinishedAt.After(o.from)) {
			return true
		}
	}
	return false
}
