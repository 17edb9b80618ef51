package container

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// frame is one of the engine's.
func frame(kind byte, data string) string {
	return string([]byte{kind, 0, 0, 0, 0, 0, byte(len(data) >> 8), byte(len(data))}) + data
}

func TestStreamGivesStdoutAndKeepsTheEndOfStderr(t *testing.T) {
	t.Parallel()
	ours, engine := net.Pipe()
	defer ours.Close()
	noise := strings.Repeat("noise ", 1000)
	go func() {
		defer engine.Close()
		// Pieces that end in the middle of headers and of data.
		all := frame(1, "ab") + frame(2, noise) + frame(1, "") + frame(1, "cd") + frame(2, "last words\n") + frame(1, "e")
		for len(all) > 0 {
			n := min(len(all), 5)
			if _, err := io.WriteString(engine, all[:n]); err != nil {
				return
			}
			all = all[n:]
		}
	}()
	s := newStream(ours, bufio.NewReader(ours))
	got, err := io.ReadAll(s)
	if string(got) != "abcde" || err != nil {
		t.Errorf("stdout is %q, %v", got, err)
	}
	if tail := s.tail(); !strings.HasSuffix(tail, "noise last words") || len(tail) > tailBytes {
		t.Errorf("the end of stderr is %d bytes, ending %q", len(tail), tail[max(0, len(tail)-20):])
	}
}

func TestStreamGoesOnAfterADeadline(t *testing.T) {
	t.Parallel()
	ours, engine := net.Pipe()
	defer ours.Close()
	defer engine.Close()
	s := newStream(ours, bufio.NewReader(ours))
	whole, half := frame(1, "hello"), 3 // the header is cut in two
	go func() { _, _ = io.WriteString(engine, whole[:half]) }()
	p := make([]byte, 10)
	if err := s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read of half a header: %v, want a deadline", err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(engine, whole[half:]) }()
	if n, err := s.Read(p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("read after the deadline: %q, %v", p[:n], err)
	}
}
