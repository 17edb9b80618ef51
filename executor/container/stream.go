package container

import (
	"bufio"
	"encoding/binary"
	"net"
	"strings"
	"sync"
)

// The engine sends both output streams of a process as frames: one byte that
// names the stream, three of zero, four of length, then the data.
const (
	frameHeader = 8
	frameStdout = 1
)

// tailBytes is how much of a process's stderr is kept for an error message.
const tailBytes = 4 << 10

// stream is the standard streams of a process in a container as one
// connection: reads give its stdout, writes go to its stdin, and the end of its
// stderr is kept. Deadlines are those of the connection to the engine; a read
// that was interrupted goes on where it stopped.
type stream struct {
	net.Conn
	frames *bufio.Reader

	header [frameHeader]byte
	have   int    // bytes of header that were read
	left   uint32 // bytes of the present frame that were not read yet

	mu     sync.Mutex
	stderr []byte // the last tailBytes
}

func newStream(conn net.Conn, frames *bufio.Reader) *stream {
	return &stream{Conn: conn, frames: frames}
}

// Read gives the process's stdout. One goroutine reads at a time.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.left == 0 {
			if err := s.next(); err != nil {
				return 0, err
			}
			continue
		}
		if s.header[0] == frameStdout {
			n, err := s.frames.Read(p[:min(uint64(len(p)), uint64(s.left))])
			s.left -= uint32(n)
			return n, err
		}
		var piece [512]byte
		n, err := s.frames.Read(piece[:min(uint64(len(piece)), uint64(s.left))])
		s.left -= uint32(n)
		s.keep(piece[:n])
		if err != nil {
			return 0, err
		}
	}
}

// next reads the header of the next frame.
func (s *stream) next() error {
	for s.have < frameHeader {
		n, err := s.frames.Read(s.header[s.have:])
		s.have += n
		if err != nil {
			return err
		}
	}
	s.have = 0
	s.left = binary.BigEndian.Uint32(s.header[4:])
	return nil
}

func (s *stream) keep(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stderr = append(s.stderr, p...)
	if extra := len(s.stderr) - tailBytes; extra > 0 {
		s.stderr = append(s.stderr[:0], s.stderr[extra:]...)
	}
}

// tail is the last that the process wrote to its stderr, as one line.
func (s *stream) tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(s.stderr), "?")), " ")
}
