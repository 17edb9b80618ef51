package capture_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"cronium.dev/agent/capture"
	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// captured is a capture whose script is the test.
type captured struct {
	*capture.Capture
	t              *testing.T
	log            *spool.Log
	stdout, stderr *os.File
	written        chan struct{} // capacity 1: there is another record
}

func newCapture(t *testing.T, spoolBytes, limit int64) *captured {
	t.Helper()
	c := &captured{t: t, log: spool.NewLog(t.TempDir(), spoolBytes), written: make(chan struct{}, 1)}
	var err error
	c.Capture, c.stdout, c.stderr, err = capture.New(c.log, limit, func() {
		select {
		case c.written <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.stdout.Close()
		c.stderr.Close()
		c.Close()
		<-c.Done()
		c.log.Close()
	})
	return c
}

// finish ends the output and returns all records.
func (c *captured) finish() []spool.Record {
	c.t.Helper()
	c.stdout.Close()
	c.stderr.Close()
	<-c.Done()
	return c.records()
}

func (c *captured) records() []spool.Record {
	c.t.Helper()
	var all []spool.Record
	reader := c.log.NewReader(c.log.Acknowledged())
	for {
		r, ok, err := reader.Next()
		if err != nil {
			c.t.Fatal(err)
		}
		if !ok {
			return all
		}
		r.Data = bytes.Clone(r.Data)
		all = append(all, r)
	}
}

func (c *captured) print(f *os.File, text string) {
	c.t.Helper()
	if _, err := f.WriteString(text); err != nil {
		c.t.Fatal(err)
	}
}

// await waits until so much output is in the log.
func (c *captured) await(bytes uint64) {
	for c.log.End() < bytes {
		<-c.written
	}
}

func TestStreamsAreKeptInTheOrderInWhichTheyWereRead(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 0, 0)
	c.Begin(time.Now())
	want := ""
	for i := range 20 {
		f, name := c.stdout, "out"
		if i%3 == 0 {
			f, name = c.stderr, "err"
		}
		text := fmt.Sprintf("%s%d ", name, i)
		c.print(f, text)
		want += text
		// It must be read, though not yet written, before the next.
		c.await(uint64(len(want)))
	}
	got := ""
	for _, r := range c.finish() {
		got += string(r.Data)
		stream := agentproto.Stream_STREAM_STDOUT
		if bytes.HasPrefix(r.Data, []byte("err")) {
			stream = agentproto.Stream_STREAM_STDERR
		}
		if r.Stream != stream {
			t.Errorf("%q is of %v", r.Data, r.Stream)
		}
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFirstBytesAreWrittenAtOnceAndTheNextOnesTogether(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 0, 0)
	c.Begin(time.Now())
	c.print(c.stdout, "first")
	c.await(5)
	// Each byte is read before the next is written.
	const bytes = 200
	for range bytes {
		c.print(c.stdout, "x")
		for c.inPipe() > 0 {
			runtime.Gosched()
		}
	}
	c.await(5 + bytes)
	if n := len(c.finish()); n > bytes/2 {
		t.Errorf("%d writes became %d records", bytes+1, n)
	}
}

// inPipe is how many bytes of standard output are not read yet.
func (c *captured) inPipe() int {
	c.t.Helper()
	n, err := unix.IoctlGetInt(int(c.stdout.Fd()), unix.TIOCINQ)
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

func TestRecordsAreNoLargerThanTheProtocolAllows(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 4<<20, 0)
	c.Begin(time.Now())
	c.print(c.stdout, string(make([]byte, 1_000_000)))
	total := 0
	for _, r := range c.finish() {
		total += len(r.Data)
		if len(r.Data) > spool.MaxRecord {
			t.Errorf("a record has %d bytes", len(r.Data))
		}
	}
	if total != 1_000_000 {
		t.Errorf("%d bytes came", total)
	}
}

func TestBytesBeyondTheLimitAreCounted(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 0, 10)
	c.Begin(time.Now())
	c.print(c.stdout, "0123456")
	c.await(7)
	c.print(c.stderr, "789abc")
	c.await(10)
	c.print(c.stdout, "def")
	got := ""
	for _, r := range c.finish() {
		got += string(r.Data)
	}
	if got != "0123456789" || c.Dropped() != 6 {
		t.Errorf("%q is kept, %d bytes were dropped", got, c.Dropped())
	}
}

func TestScriptWaitsWhileThereIsNoRoomAndDrainTakesTheRest(t *testing.T) {
	t.Parallel()
	const room = 64 << 10
	c := newCapture(t, room, 0)
	c.Begin(time.Now())
	if err := c.stdout.SetWriteDeadline(time.Now()); err == nil {
		t.Fatal("the script's end of the pipe does not block")
	}
	wrote := make(chan int)
	go func() {
		n, _ := c.stdout.Write(make([]byte, 4<<20))
		wrote <- n
	}()
	c.await(room)
	select {
	case n := <-wrote:
		t.Fatalf("%d bytes were taken without room", n)
	default:
	}
	if end := c.log.End(); end > room+2*spool.MaxRecord {
		t.Errorf("%d bytes are kept", end)
	}
	c.Drain()
	if n := <-wrote; n != 4<<20 {
		t.Errorf("%d bytes were written", n)
	}
	c.finish()
	if end := c.log.End(); end != 4<<20 {
		t.Errorf("%d bytes are kept", end)
	}
}

func TestCloseEndsTheReadingThoughOthersHoldThePipes(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 0, 0)
	c.Begin(time.Now())
	c.print(c.stdout, "hello")
	c.await(5)
	c.Close()
	<-c.Done()
}

// What one stream floods the other with does not keep it waiting, and no byte
// of either is lost.
func TestAFloodOnOneStreamDoesNotHideTheOther(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 128<<20, 0)
	c.Begin(time.Now())
	flooded := make(chan error, 1)
	const flood = 64 << 20 // so much that the word comes early in it, however slow the writers are
	go func() {
		_, err := c.stdout.Write(make([]byte, flood))
		flooded <- err
	}()
	c.await(1 << 20)
	c.print(c.stderr, "help")
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}
	total, at := 0, -1
	for _, r := range c.finish() {
		if r.Stream == agentproto.Stream_STREAM_STDERR {
			at = total
		}
		total += len(r.Data)
	}
	if total != flood+4 || at < 0 || at > flood/2 {
		t.Errorf("%d bytes, the word of stderr after %d", total, at)
	}
}
