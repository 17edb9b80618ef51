package dial

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"cronium.dev/agent/tunnel"
)

// Waits before the next try. Each is drawn at random below its bound, so that the
// agents of a server that was restarted come spread over some seconds.
const (
	firstWait   = 5 * time.Second // after a connection that had been good, unless told
	longestWait = time.Minute     // reached by doubling while nobody answers
	// slowWait is for an agent that is not wanted: somebody has to do something
	// before it can be.
	slowWait = 5 * time.Minute
)

// Listener accepts connections by dialling them: one at a time, for ever. It is a
// net.Listener.
type Listener struct {
	identity *Identity
	version  string
	log      *slog.Logger
	// FirstWait bounds the wait after a connection that had been good; 0 means 5 s.
	FirstWait time.Duration
	// Connected, if not nil, is called each time the server has let the agent in.
	Connected func()

	ctx    context.Context
	cancel context.CancelFunc

	// Of Accept, which one goroutine calls.
	last  *connection   // that was given out
	bound time.Duration // of the wait before the next try
	turn  int           // which of the keys is tried
	said  string        // what was logged last, so that a long outage is one line
}

// NewListener makes a listener that has not dialled yet.
func NewListener(identity *Identity, version string, log *slog.Logger) *Listener {
	l := &Listener{identity: identity, version: version, log: log}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Accept waits for the end of the connection before, dials, and gives the new
// one once the inner handshake is done.
func (l *Listener) Accept() (net.Conn, error) {
	if !l.afterLast() {
		return nil, net.ErrClosed
	}
	for {
		if !pause(l.ctx, l.wait()) {
			return nil, net.ErrClosed
		}
		conn, err := l.dial()
		if err == nil {
			l.last = conn
			return conn, nil
		}
		if l.ctx.Err() != nil {
			return nil, net.ErrClosed
		}
		l.failed(err)
	}
}

// wait is how long to wait before the next try.
func (l *Listener) wait() time.Duration {
	if l.bound == 0 {
		return 0
	}
	if l.bound == slowWait {
		return slowWait/2 + rand.N(slowWait/2)
	}
	return rand.N(l.bound)
}

func (l *Listener) firstWait() time.Duration {
	if l.FirstWait > 0 {
		return l.FirstWait
	}
	return firstWait
}

// afterLast waits for the end of the connection that was given out last, and
// draws from it how long to wait. False: the listener is closed.
func (l *Listener) afterLast() bool {
	c := l.last
	if c == nil {
		return l.ctx.Err() == nil
	}
	select {
	case <-c.closed:
	case <-l.ctx.Done():
		return false
	}
	l.last = nil
	if ended := c.Ended(); ended != nil {
		l.failed(ended)
	} else if c.admitted.Load() {
		l.log.Info("the connection to the server has ended; dialling again", "server", l.identity.URL())
		l.bound, l.said, l.turn = l.firstWait(), "", 0
	} else {
		l.failed(errors.New("the server closed the connection before it let this agent in"))
	}
	return true
}

// failed notes why there is no connection, and how long to wait therefore.
func (l *Listener) failed(err error) {
	var ended *tunnel.Ended
	unwanted := errors.Is(err, tunnel.ErrServerKey) ||
		errors.As(err, &ended) && (ended.Reason == tunnel.ReasonRefused || ended.Reason == tunnel.ReasonReplaced)
	// A refused key may only be the wrong one of two.
	if l.turn++; unwanted && l.turn < len(l.identity.keys()) {
		l.bound = time.Second
		return
	}
	l.turn = 0
	if unwanted {
		l.bound = slowWait
	} else {
		l.bound = min(longestWait, max(l.firstWait(), 2*l.bound))
	}
	if text := err.Error(); text != l.said {
		l.said = text
		if unwanted {
			l.log.Error("the server does not take this agent; it tries again every few minutes", "server", l.identity.URL(), "error", text)
		} else {
			l.log.Warn("the server cannot be reached; trying on", "server", l.identity.URL(), "error", text)
		}
	}
}

// dial opens a tunnel with the key whose turn it is. Whether the server knows it
// is told after that.
func (l *Listener) dial() (*connection, error) {
	keys := l.identity.keys()
	key := keys[min(l.turn, len(keys)-1)]
	conn, err := tunnel.Dial(l.ctx, l.identity.URL(), tunnel.Agent{
		Key: key, Server: l.identity.ServerKey(), Protocol: tunnel.ProtocolServe, Version: l.version,
	})
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, listener: l, key: key, closed: make(chan struct{})}, nil
}

// Close ends the dialling. A connection that was given out is its taker's.
func (l *Listener) Close() error {
	l.cancel()
	return nil
}

// Addr is the server's.
func (l *Listener) Addr() net.Addr { return address(l.identity.URL()) }

type address string

func (address) Network() string  { return "tunnel" }
func (a address) String() string { return string(a) }

// connection is a tunnel in use.
type connection struct {
	*tunnel.Conn
	listener *Listener
	key      ed25519.PrivateKey
	admit    sync.Once
	admitted atomic.Bool

	end    sync.Once
	closed chan struct{}
}

// Read notes the server's first word: it has none for an agent that it refuses.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.admit.Do(c.noteAdmitted)
	}
	return n, err
}

func (c *connection) noteAdmitted() {
	l := c.listener
	if err := l.identity.admitted(c.key); err != nil {
		l.log.Warn("the new key is not noted; it will be tried again", "error", err)
	}
	l.log.Info("connected", "server", l.identity.URL(), "name", l.identity.Name())
	if l.Connected != nil {
		l.Connected()
	}
	c.admitted.Store(true)
}

// Close ends the tunnel.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.end.Do(func() { close(c.closed) })
	return err
}
