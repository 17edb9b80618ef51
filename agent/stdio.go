package agent

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stdio is standard input and output as one connection.
type stdio struct {
	in, out *os.File
}

// Stdio takes standard input and output for a connection. Both are replaced by
// /dev/null, so that nothing else in the program can write into the protocol.
func Stdio() (net.Conn, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("take standard input and output: %w", err)
	}
	defer null.Close()
	var files [2]*os.File
	for fd := range files {
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err == nil {
			err = unix.Dup3(int(null.Fd()), fd, 0)
		}
		if err == nil {
			err = unix.SetNonblock(moved, true) // so that Close ends a Read
		}
		if err != nil {
			return nil, fmt.Errorf("take standard input and output: %w", err)
		}
		files[fd] = os.NewFile(uintptr(moved), "stdio")
	}
	return &stdio{in: files[0], out: files[1]}, nil
}

func (s *stdio) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *stdio) Write(p []byte) (int, error) { return s.out.Write(p) }

func (s *stdio) Close() error {
	inErr, outErr := s.in.Close(), s.out.Close()
	if inErr != nil {
		return inErr
	}
	return outErr
}

func (s *stdio) LocalAddr() net.Addr  { return stdioAddr{} }
func (s *stdio) RemoteAddr() net.Addr { return stdioAddr{} }

func (s *stdio) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}
func (s *stdio) SetReadDeadline(t time.Time) error  { return s.in.SetReadDeadline(t) }
func (s *stdio) SetWriteDeadline(t time.Time) error { return s.out.SetWriteDeadline(t) }

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "stdio" }

// once is a listener for one connection that is there already.
type once struct {
	conn   chan net.Conn
	closed chan struct{}
	end    sync.Once
}

func newOnce(conn net.Conn) *once {
	l := &once{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- conn
	return l
}

func (l *once) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *once) Close() error {
	l.end.Do(func() { close(l.closed) })
	return nil
}

func (l *once) Addr() net.Addr { return stdioAddr{} }
