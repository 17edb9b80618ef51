package capture_test

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A line to stdout and then one to stderr are in this order, although both may
// be there before either is read.
func TestStreamsAreReadInTheOrderInWhichTheyWereWritten(t *testing.T) {
	t.Parallel()
	c := newCapture(t, 0, 0)
	c.Begin(time.Now())
	const pairs = 500
	for range pairs {
		c.print(c.stdout, "o")
		c.print(c.stderr, "e")
		awaitEmpty(t, c.stdout)
		awaitEmpty(t, c.stderr)
	}
	var all strings.Builder
	for _, r := range c.finish() {
		all.Write(r.Data)
	}
	if got := all.String(); got != strings.Repeat("oe", pairs) {
		t.Errorf("out of order: %s", got)
	}
}

// awaitEmpty waits until all was read that is in a pipe.
func awaitEmpty(t *testing.T, pipe *os.File) {
	t.Helper()
	raw, err := pipe.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for left := 1; left > 0; runtime.Gosched() {
		var failed error
		if err := raw.Control(func(fd uintptr) { left, failed = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
	}
}
