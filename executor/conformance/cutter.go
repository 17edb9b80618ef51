package conformance

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"cronium.dev/executor"
)

// cutPlace is a place whose streams break: each after a random number of bytes
// in either direction, and sometimes in the middle of a write.
type cutPlace struct {
	executor.Place
	least, most int // bytes that a stream lives for

	mu     sync.Mutex
	random *rand.Rand
	cuts   atomic.Int64
}

// cut gives a place whose streams break, and the number of breaks.
func (target Target) cut(t *testing.T, seed uint64, least, most int) (executor.Place, func() int64) {
	t.Helper()
	place := target.Place(t)
	if target.Cut != nil {
		return place, target.Cut(t, place, seed, least, most)
	}
	c := newCutPlace(place, seed, least, most)
	return c, c.cuts.Load
}

func newCutPlace(p executor.Place, seed uint64, least, most int) *cutPlace {
	return &cutPlace{Place: p, least: least, most: most, random: rand.New(rand.NewPCG(seed, seed))}
}

func (p *cutPlace) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := p.Place.Dial(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &cutConn{Conn: conn, place: p}
	c.left.Store(int64(p.least + p.random.IntN(p.most-p.least)))
	return c, nil
}

type cutConn struct {
	net.Conn
	place *cutPlace
	left  atomic.Int64
	once  sync.Once
}

func (c *cutConn) spend(n int) {
	if c.left.Add(-int64(n)) < 0 {
		c.once.Do(func() {
			c.place.cuts.Add(1)
			c.Conn.Close()
		})
	}
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.spend(n)
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	if left := c.left.Load(); int64(len(p)) > left && left > 0 {
		n, err := c.Conn.Write(p[:left])
		c.spend(len(p))
		if err == nil {
			err = net.ErrClosed
		}
		return n, err
	}
	n, err := c.Conn.Write(p)
	c.spend(n)
	return n, err
}
