package testenv

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Line is a TCP proxy on loopback whose cable a test can cut, stall and slow.
type Line struct {
	Address string
	Port    int

	target   string
	listener net.Listener
	copiers  sync.WaitGroup

	mu      sync.Mutex
	pairs   map[*pair]bool
	dialled int
	bytes   int64
	limit   int64         // bytes in all after which connections are cut; 0 = none
	down    bool          // new connections are refused
	gate    chan struct{} // closed while bytes may pass
	rate    int           // bytes a second in each direction; 0 = no limit
}

type pair struct{ near, far net.Conn }

// NewLine makes a line to a TCP address that is gone when the test ends.
func NewLine(t testing.TB, address string, port int) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("make a line: %v", err)
	}
	l := &Line{
		Address: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port,
		target: net.JoinHostPort(address, strconv.Itoa(port)), listener: listener,
		pairs: map[*pair]bool{}, gate: make(chan struct{}),
	}
	close(l.gate)
	l.copiers.Go(l.accept)
	t.Cleanup(func() {
		listener.Close()
		l.Cut()
		l.Resume()
		l.copiers.Wait()
	})
	return l
}

// Cut ends every connection; new ones are made.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut()
}

func (l *Line) cut() {
	for p := range l.pairs {
		p.near.Close()
		p.far.Close()
	}
}

// Down ends every connection and refuses new ones until Up.
func (l *Line) Down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	l.cut()
}

// Up takes new connections again.
func (l *Line) Up() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// Stall lets no byte pass and tells nobody, as a pulled cable does.
func (l *Line) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gate:
		l.gate = make(chan struct{})
	default:
	}
}

// Resume ends a Stall; what was held back passes.
func (l *Line) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.gate:
	default:
		close(l.gate)
	}
}

// Slow lets so many bytes a second pass in each direction of each connection.
func (l *Line) Slow(rate int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = rate
}

// CutAfter cuts once so many bytes have passed from now on, in both directions
// together.
func (l *Line) CutAfter(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = l.bytes + bytes
}

// Dialled is how many connections were made.
func (l *Line) Dialled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dialled
}

// Open is how many connections there are.
func (l *Line) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

// Bytes is how many have passed in all.
func (l *Line) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

func (l *Line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.copiers.Go(func() { l.join(near) })
	}
}

// join copies in both directions until one of them ends.
func (l *Line) join(near net.Conn) {
	defer near.Close()
	l.mu.Lock()
	down := l.down
	l.dialled++
	l.mu.Unlock()
	if down {
		return
	}
	far, err := new(net.Dialer).DialContext(context.Background(), "tcp", l.target)
	if err != nil {
		return
	}
	defer far.Close()
	p := &pair{near, far}
	l.mu.Lock()
	l.pairs[p] = true
	l.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			l.copy(way[0], way[1])
			near.Close()
			far.Close()
		})
	}
	both.Wait()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

func (l *Line) copy(from, to net.Conn) {
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.pass(n) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until n bytes may pass. False: they may not, the line is cut.
func (l *Line) pass(n int) bool {
	l.mu.Lock()
	rate := l.rate
	l.bytes += int64(n)
	reached := l.limit > 0 && l.bytes >= l.limit
	if reached {
		l.limit = 0
		l.cut()
	}
	gate := l.gate
	l.mu.Unlock()
	if reached {
		return false
	}
	if rate > 0 {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(rate))
	}
	<-gate
	return true
}
