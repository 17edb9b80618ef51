package installed_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// handshakeBytes is more than it takes an agent to get in: WebSocket, TLS and the
// beginning of gRPC.
const handshakeBytes = 8_000

// gate is a TCP proxy between an agent and its server, which can be shut and can
// break what goes through it.
type gate struct {
	listener net.Listener
	to       string
	cuts     atomic.Int64

	mu          sync.Mutex
	shut        bool
	random      *rand.Rand
	least, most int // bytes that a connection lives for; 0 = for ever
	open        map[net.Conn]struct{}
}

func newGate(t testing.TB, to string) *gate {
	t.Helper()
	g := &gate{listener: listenAt(t, "127.0.0.1:0"), to: to, open: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() { g.run(&running) })
	t.Cleanup(func() {
		g.listener.Close()
		g.close(true)
		running.Wait()
	})
	return g
}

func (g *gate) url() string { return "http://" + g.listener.Addr().String() }

// cut has connections break from now on, the present ones at once.
func (g *gate) cut(seed uint64, least, most int) func() int64 {
	g.mu.Lock()
	g.random, g.least, g.most = rand.New(rand.NewPCG(seed, seed)), least, most
	g.mu.Unlock()
	g.close(false)
	return g.cuts.Load
}

// close breaks all connections; with shut no new one gets through.
func (g *gate) close(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for conn := range g.open {
		conn.Close()
	}
}

// lead has all that comes from now on go to another address, and breaks what is
// open.
func (g *gate) lead(to string) {
	g.mu.Lock()
	g.to = to
	g.mu.Unlock()
	g.close(false)
}

func (g *gate) run(running *sync.WaitGroup) {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		running.Go(func() { g.pass(conn) })
	}
}

func (g *gate) pass(conn net.Conn) {
	defer conn.Close()
	g.mu.Lock()
	to := g.to
	g.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	left := &atomic.Int64{}
	g.mu.Lock()
	if g.shut {
		g.mu.Unlock()
		return
	}
	limited := g.random != nil
	if limited {
		left.Store(int64(g.least + g.random.IntN(g.most-g.least)))
	}
	g.open[conn] = struct{}{}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.open, conn)
		g.mu.Unlock()
	}()
	var both sync.WaitGroup
	copy := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		if !limited {
			io.Copy(to, from)
			return
		}
		part := make([]byte, 512)
		for {
			n, err := from.Read(part)
			if err != nil {
				return
			}
			if left.Add(-int64(n)) < 0 {
				g.cuts.Add(1)
				return
			}
			if _, err := to.Write(part[:n]); err != nil {
				return
			}
		}
	}
	both.Go(func() { copy(server, conn) })
	both.Go(func() { copy(conn, server) })
	both.Wait()
}
