// Package capture reads what a script prints into its log.
//
// A Capture gives two pipes to the script. What comes out of them is put
// together into records: the first bytes after a quiet time are written at
// once, so that a viewer sees them; what follows is gathered for at most Delay
// or one full record. A record of one stream is ended by data of the other, so
// the order in which the two were read is kept. When the log has no room the
// pipes are not read, and the script waits as it would for a slow terminal.
package capture

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

// Delay is how long output may be held to put it together.
const Delay = 20 * time.Millisecond

// pipeBytes is the size wished for the pipes; the system may give less.
const pipeBytes = 256 << 10

// Capture is the output of one script. Its methods may be called concurrently.
type Capture struct {
	log    *spool.Log
	limit  uint64 // bytes kept; the rest is counted
	notify func()

	readers [2]*os.File // stdout, stderr
	ready   *arrivals
	done    chan struct{} // closed when nothing more will be written
	free    chan struct{} // closed by Drain: room does not matter any more
	once    sync.Once

	mu      sync.Mutex
	begin   time.Time
	pending []byte
	stream  agentproto.Stream // of pending
	at      time.Time         // when the first byte of pending was read
	flushed time.Time
	timer   *time.Timer
	armed   bool
	kept    uint64
	dropped uint64
}

// New makes the pipes. limit is how many bytes are kept, 0 for all. notify is
// called after each record, and must not wait.
func New(log *spool.Log, limit int64, notify func()) (c *Capture, stdout, stderr *os.File, err error) {
	c = &Capture{
		log: log, limit: uint64(limit), notify: notify,
		done: make(chan struct{}), free: make(chan struct{}),
		begin: time.Now(), pending: make([]byte, 0, spool.MaxRecord),
	}
	var writers [2]*os.File
	for i := range writers {
		if c.readers[i], writers[i], err = pipe(); err != nil {
			closeAll(c.readers[0], writers[0])
			return nil, nil, nil, fmt.Errorf("make pipe for output: %w", err)
		}
	}
	if c.ready, err = newArrivals(c.readers); err != nil {
		closeAll(c.readers[0], c.readers[1], writers[0], writers[1])
		return nil, nil, nil, err
	}
	return c, writers[0], writers[1], nil
}

// pipe makes a pipe whose reading end never blocks and whose writing end does,
// as a script expects.
func pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeBytes)
	// Set afterwards: the runtime shall not watch the pipe, arrivals do.
	r, w = os.NewFile(uintptr(fds[0]), "output"), os.NewFile(uintptr(fds[1]), "output")
	if err := unix.SetNonblock(fds[0], true); err != nil {
		closeAll(r, w)
		return nil, nil, err
	}
	return r, w, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// Begin sets the time from which the times of records count, and reads.
func (c *Capture) Begin(at time.Time) {
	c.begin = at
	go func() {
		c.read()
		c.mu.Lock()
		c.flush(time.Now())
		if c.timer != nil {
			c.timer.Stop()
		}
		c.mu.Unlock()
		close(c.done)
	}()
}

// Done is closed when both pipes have ended and all is in the log.
func (c *Capture) Done() <-chan struct{} { return c.done }

// Drain reads what is left without regard to the log's room. It is for when
// nothing can write any more, so that what is left is at most what a pipe holds.
func (c *Capture) Drain() { c.once.Do(func() { close(c.free) }) }

// Close stops the reading, whoever still holds the pipes. Done follows.
func (c *Capture) Close() {
	c.Drain()
	closeAll(c.ready.epoll, c.readers[0], c.readers[1])
}

// Dropped is how many bytes came after the limit.
func (c *Capture) Dropped() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// read takes what comes until both pipes have ended or Close.
func (c *Capture) read() {
	streams := [2]agentproto.Stream{agentproto.Stream_STREAM_STDOUT, agentproto.Stream_STREAM_STDERR}
	for open := len(streams); open > 0; {
		c.log.Room(c.free)
		i, err := c.ready.next()
		if err != nil {
			return // closed
		}
		emptied, more := false, false
		err = control(c.readers[i], func(fd int) error {
			emptied, more = c.take(fd, streams[i])
			return nil
		})
		switch {
		case err != nil:
			return // closed
		case more:
			c.ready.more(i, emptied)
		default:
			open--
		}
	}
}

// take reads once. It tells whether all was taken that was there, and whether
// more may come.
func (c *Capture) take(fd int, stream agentproto.Stream) (emptied, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream != stream {
		c.flush(time.Now())
		c.stream = stream
	}
	space := c.pending[len(c.pending):cap(c.pending)]
	n, err := unix.Read(fd, space)
	switch {
	case err == unix.EINTR:
		return false, true
	case err == unix.EAGAIN:
		return true, true
	case err != nil || n == 0:
		return true, false
	}
	now := time.Now()
	if len(c.pending) == 0 {
		c.at = now
	}
	keep := n
	if c.limit > 0 {
		keep = int(min(uint64(n), c.limit-c.kept))
	}
	c.kept += uint64(keep)
	c.dropped += uint64(n - keep)
	c.pending = c.pending[:len(c.pending)+keep]
	if len(c.pending) == cap(c.pending) || now.Sub(c.flushed) >= Delay {
		c.flush(now)
	} else if !c.armed && len(c.pending) > 0 {
		c.arm(Delay - now.Sub(c.flushed))
	}
	return n < len(space), true
}

// flush writes what is pending as one record. c.mu is held.
func (c *Capture) flush(now time.Time) {
	if len(c.pending) == 0 {
		return
	}
	c.log.Append(c.stream, c.at.Sub(c.begin).Microseconds(), c.pending)
	c.pending = c.pending[:0]
	c.flushed = now
	c.notify()
}

// arm has what is pending written after a while. c.mu is held.
func (c *Capture) arm(after time.Duration) {
	c.armed = true
	if c.timer != nil {
		c.timer.Reset(after)
		return
	}
	c.timer = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.armed = false
		now := time.Now()
		// A full record may have been written meanwhile, and time be left.
		if wait := Delay - now.Sub(c.flushed); wait > 0 && len(c.pending) > 0 {
			c.arm(wait)
			return
		}
		c.flush(now)
	})
}
