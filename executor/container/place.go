package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"cronium.dev/executor"
)

// place is one running container with its agent.
type place struct {
	backend  *Backend
	id       string // of the container
	instance string // of the agent
	target   string
	shape    shape
	image    string // digest of the image
	warm     bool

	mu   sync.Mutex
	link *executor.Link // made ahead; nil once taken
}

// Ref is the container's id and the agent's instance.
func (p *place) Ref() string { return p.id + "/" + p.instance }

// Warm tells whether the place came from the pool.
func (p *place) Warm() bool { return p.warm }

// Fresh tells that the agent has no file of any script: it runs one, and has
// not begun.
func (p *place) Fresh() bool { return true }

// TargetID is a name that this container alone was given.
func (p *place) TargetID() string { return p.target }

// Instance is the agent's when the container was made.
func (p *place) Instance() string { return p.instance }

// TakeLink gives the connection over the standard streams of PID 1, once.
func (p *place) TakeLink() *executor.Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.link
	p.link = nil
	if l != nil && !l.Alive() {
		l.Close()
		return nil
	}
	return l
}

// alive tells whether nothing is known to be wrong with a place in the pool.
func (p *place) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil && p.link.Alive()
}

// Dial opens a new stream to the agent: a command in the container that
// connects to the agent's socket.
func (p *place) Dial(ctx context.Context) (net.Conn, error) {
	s, err := p.backend.engine.exec(ctx, p.id, connectCommand())
	if err == nil {
		return s, nil
	}
	if errors.Is(err, executor.ErrUnavailable) {
		return nil, err
	}
	return nil, p.backend.gone(ctx, p.id, err)
}

// gone tells why a container could not be reached: ErrGone when it does not
// run any more, ErrUnavailable when it or the engine may answer later.
func (b *Backend) gone(ctx context.Context, id string, cause error) error {
	s, err := b.engine.inspect(ctx, id)
	switch {
	case errors.Is(err, errAbsent):
		return fmt.Errorf("%w: container %.12s was removed", executor.ErrGone, id)
	case err != nil:
		return fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
	case !s.running:
		return fmt.Errorf("%w: container %.12s ended (%s)", executor.ErrGone, id, s.ending())
	case s.paused:
		return fmt.Errorf("%w: container %.12s is paused", executor.ErrUnavailable, id)
	}
	return fmt.Errorf("%w: %w", executor.ErrUnavailable, cause)
}

// ending says how a container ended, for a log.
func (s state) ending() string {
	text := fmt.Sprintf("exit code %d", s.exitCode)
	if s.oom {
		text = "out of memory, " + text
	}
	if s.message != "" {
		text += ", " + s.message
	}
	return text
}

// Destroy kills and removes the container. If it fails, the next sweep does it.
func (p *place) Destroy(ctx context.Context) error {
	if l := p.TakeLink(); l != nil {
		l.Close()
	}
	if err := p.backend.engine.remove(ctx, p.id); err != nil {
		p.backend.leave(p.id)
		return err
	}
	p.backend.forget(p.id)
	return nil
}
