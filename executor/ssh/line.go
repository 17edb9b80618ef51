package ssh

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// A line on which nothing was heard for deafAfter is dead. A machine is asked to
// say something whenever it was silent for askAfter, and the line looked at each
// lookEvery, so a death is noticed within 15 s.
const (
	askAfter  = 5 * time.Second
	deafAfter = 12 * time.Second
	lookEvery = 2500 * time.Millisecond
)

// line is a connection to one machine that notices when it is dead.
type line struct {
	client *ssh.Client
	heard  *listener
	under  func() // gives the line back through which this one goes
	dead   chan struct{}
	once   sync.Once
	ended  sync.WaitGroup
}

// watch makes a line of a connection whose handshake is done.
func watch(client *ssh.Client, heard *listener, under func()) *line {
	l := &line{client: client, heard: heard, under: under, dead: make(chan struct{})}
	l.ended.Go(func() {
		_ = client.Wait() // why is told by whoever used it
		l.die()
	})
	l.ended.Go(l.look)
	return l
}

// alive tells whether the line is not known to be dead.
func (l *line) alive() bool {
	select {
	case <-l.dead:
		return false
	default:
		return true
	}
}

// die ends the line without waiting for anything.
func (l *line) die() {
	l.once.Do(func() {
		close(l.dead)
		l.heard.Close()
	})
}

// close ends the line and gives back what it used.
func (l *line) close() {
	l.die()
	l.ended.Wait()
	l.under()
}

// look asks the machine for a sign of life when there was none for a while, and
// ends the line when none comes.
func (l *line) look() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var asking atomic.Bool
	for {
		select {
		case <-l.dead:
			return
		case <-tick.C:
		}
		switch silent := l.heard.silence(); {
		case silent > deafAfter:
			l.die()
			return
		case silent > askAfter-lookEvery/2 && asking.CompareAndSwap(false, true):
			l.ended.Go(func() { // it may wait for the line, until that is dead
				defer asking.Store(false)
				_, _, _ = l.client.SendRequest("keepalive@openssh.com", true, nil) // any answer will do, and is heard
			})
		}
	}
}

// listener is a connection that knows when something was last heard on it, and
// that takes no more than a bounded number of bytes before it is trusted.
type listener struct {
	net.Conn
	last atomic.Int64 // nanoseconds since start
	left atomic.Int64 // bytes, while strict
	free atomic.Bool  // there is no bound any more
	from time.Time
}

// untrustedBytes is far more than a handshake needs.
const untrustedBytes = 1 << 20

func listen(conn net.Conn) *listener {
	l := &listener{Conn: conn, from: time.Now()}
	l.left.Store(untrustedBytes)
	return l
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 {
		l.last.Store(int64(time.Since(l.from)))
		if !l.free.Load() && l.left.Add(-int64(n)) < 0 {
			l.Conn.Close()
			return 0, errFlood
		}
	}
	return n, err
}

// trust ends the bound.
func (l *listener) trust() { l.free.Store(true) }

func (l *listener) silence() time.Duration { return time.Since(l.from) - time.Duration(l.last.Load()) }

// dialThrough opens a connection from the machine at the end of the line.
func (l *line) dialThrough(ctx context.Context, endpoint string) (net.Conn, error) {
	return l.client.DialContext(ctx, "tcp", endpoint)
}
