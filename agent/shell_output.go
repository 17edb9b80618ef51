package agent

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/process"
	agentproto "cronium.dev/agent/proto"
)

// change runs f under the lock and wakes whoever waits for a change.
func (s *shell) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// take makes a stream the session's client. The offset is where it begins: the
// one it asks for, unless that was taken by an earlier client already.
func (s *shell) take(from uint64) (*shellClient, uint64) {
	client := &shellClient{replaced: make(chan struct{})}
	s.change(func() {
		if s.client != nil {
			close(s.client.replaced)
		}
		s.client = client
		from = min(max(from, s.start), s.start+uint64(len(s.kept)))
	})
	return client, from
}

// leave is called when a stream ends; a session waits for the next.
func (s *shell) leave(client *shellClient) {
	s.change(func() {
		if s.client == client {
			s.client, s.left = nil, time.Now()
		}
	})
}

// acknowledge lets go of output that the client has.
func (s *shell) acknowledge(client *shellClient, offset uint64) {
	s.change(func() {
		if s.client != client || offset <= s.start {
			return
		}
		n := min(offset-s.start, uint64(len(s.kept)))
		s.kept = append(s.kept[:0], s.kept[n:]...)
		s.start += n
	})
}

// next waits for output from offset on: some of it, or the end after the last.
func (s *shell) next(ctx context.Context, client *shellClient, offset uint64) ([]byte, *agentproto.ShellEnd, error) {
	for {
		s.mu.Lock()
		changed, end := s.changed, s.end
		var data []byte
		if have := s.start + uint64(len(s.kept)); offset >= s.start && offset < have {
			data = s.kept[offset-s.start:]
			data = append([]byte(nil), data[:min(len(data), shellPiece)]...)
		}
		s.mu.Unlock()
		if data != nil {
			return data, nil, nil
		}
		if end != nil {
			return nil, end, nil
		}
		select {
		case <-changed:
		case <-client.replaced:
			return nil, nil, status.Error(codes.Aborted, "the terminal was opened elsewhere")
		case <-ctx.Done():
			return nil, nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// read takes what the programs print, as long as there is room for it.
func (s *shell) read() {
	buf := make([]byte, shellPiece)
	for {
		n, err := s.master.Read(buf)
		if n > 0 {
			s.keep(buf[:n])
		}
		if err != nil { // EIO: no program has the terminal open any more
			return
		}
	}
}

// keep waits for room, but no longer than the shell lives: the little that the
// terminal still holds then is kept in any case.
func (s *shell) keep(data []byte) {
	for living := true; living; {
		s.mu.Lock()
		changed, room := s.changed, len(s.kept) < shellBuffer
		s.mu.Unlock()
		if room {
			break
		}
		select {
		case <-changed:
		case <-s.tree.Exited():
			living = false
		}
	}
	s.change(func() { s.kept = append(s.kept, data...) })
}

// write types input. A program that does not read holds its client up, as on a
// line, but not beyond the client's own stay.
func (s *shell) write(ctx context.Context, client *shellClient, input []byte) error {
	for len(input) > 0 {
		if err := s.master.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			return nil // the terminal is gone; its end says so
		}
		n, err := s.master.Write(input)
		input = input[n:]
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		select {
		case <-client.replaced:
			return status.Error(codes.Aborted, "the terminal was opened elsewhere")
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	return nil
}

// finish notes how the shell ended, once what it printed has been read. Doing it
// again changes nothing.
func (s *shell) finish() {
	if s.hasEnded() {
		return
	}
	end := &agentproto.ShellEnd{}
	if status := s.tree.Status(); status.Signaled() {
		end.Signal = int32(status.Signal())
	} else {
		end.ExitCode = int32(status.ExitStatus())
	}
	s.change(func() { s.end = end })
}

func (s *shell) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end != nil
}

// hangUp tells the session's programs that their terminal is gone.
func (s *shell) hangUp() { s.tree.Signal(unix.SIGHUP); s.tree.Signal(unix.SIGCONT) }

// resize sets the window, within bounds; a client that does not say gets 80 by
// 24.
func (s *shell) resize(size *agentproto.ShellSize) {
	columns, rows := size.GetColumns(), size.GetRows()
	if columns == 0 || rows == 0 {
		columns, rows = defaultColumns, defaultRows
	}
	// A terminal that is gone has no size; its end says so.
	_ = process.ResizeTerminal(s.master, uint16(min(columns, mostColumns)), uint16(min(rows, mostColumns)))
}
