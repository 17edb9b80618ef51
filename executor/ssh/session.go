package ssh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// tailBytes is how much of a command's standard error is kept for an error.
const tailBytes = 4 << 10

// session is one command on a machine and its standard streams as a connection.
// Its methods return at once when it is closed, whatever the machine does.
type session struct {
	channel ssh.Channel
	in      *bufio.Reader  // what the command prints
	pipe    *io.PipeReader // below in
	out     *io.PipeWriter // what it reads
	stderr  tail
	ended   chan struct{} // closed when the channel has ended and everything was read
	once    sync.Once
	after   func() // gives back what the session used

	mu     sync.Mutex
	status string // how the command ended; "" = not known
}

// errNoCommands is a machine that lets somebody in and runs nothing.
var errNoCommands = errors.New("the machine refuses to run commands")

// openSession starts the constant command. after is called when the session has
// ended, or at once if it fails.
func openSession(ctx context.Context, l *line, after func()) (*session, error) {
	type opened struct {
		channel  ssh.Channel
		requests <-chan *ssh.Request
		err      error
	}
	result := make(chan opened, 1)
	go func() { // ends with the answer or with the line
		var o opened
		o.channel, o.requests, o.err = l.client.OpenChannel("session", nil)
		if o.err == nil {
			var taken bool
			taken, o.err = o.channel.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{command()}))
			if o.err == nil && !taken {
				o.err = errNoCommands
			}
			if o.err != nil {
				o.channel.Close()
				go ssh.DiscardRequests(o.requests) // ends with the channel
			}
		}
		result <- o
	}()
	select {
	case o := <-result:
		if o.err != nil {
			after()
			return nil, fmt.Errorf("start a session: %w", o.err)
		}
		return newSession(o.channel, o.requests, after), nil
	case <-ctx.Done():
		go func() {
			if o := <-result; o.err == nil {
				o.channel.Close()
				go ssh.DiscardRequests(o.requests)
			}
			after()
		}()
		return nil, fmt.Errorf("start a session: %w", context.Cause(ctx))
	}
}

func newSession(channel ssh.Channel, requests <-chan *ssh.Request, after func()) *session {
	printed, printer := io.Pipe()
	reader, writer := io.Pipe()
	s := &session{channel: channel, in: bufio.NewReader(printed), pipe: printed, out: writer, ended: make(chan struct{}), after: after}
	var pumps sync.WaitGroup
	pumps.Go(func() {
		_, err := io.Copy(printer, channel)
		printer.CloseWithError(errors.Join(err, io.EOF))
	})
	pumps.Go(func() { _, _ = io.Copy(&s.stderr, channel.Stderr()) })
	pumps.Go(func() { s.listen(requests) })
	go func() { // ends with the session's other end, or with the line
		_, err := io.Copy(channel, reader)
		reader.CloseWithError(errors.Join(err, net.ErrClosed))
		channel.CloseWrite()
	}()
	go func() {
		pumps.Wait()
		reader.CloseWithError(net.ErrClosed)
		close(s.ended)
		after()
	}()
	return s
}

// listen notes how the command ends, until the channel ends.
func (s *session) listen(requests <-chan *ssh.Request) {
	for r := range requests {
		status := ""
		switch r.Type {
		case "exit-status":
			var exit struct{ Code uint32 }
			if ssh.Unmarshal(r.Payload, &exit) == nil {
				status = fmt.Sprintf("exit code %d", exit.Code)
			}
		case "exit-signal":
			var exit struct {
				Signal string
				Rest   []byte `ssh:"rest"`
			}
			if ssh.Unmarshal(r.Payload, &exit) == nil {
				status = "signal " + clean(exit.Signal)
			}
		}
		if status != "" {
			s.mu.Lock()
			s.status = status
			s.mu.Unlock()
		}
		if r.WantReply {
			_ = r.Reply(false, nil) // a line that is dead ends this loop
		}
	}
}

// said is what the command wrote to its standard error and how it ended, once it
// has ended or a moment has passed.
func (s *session) said(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
	s.mu.Lock()
	status := s.status
	s.mu.Unlock()
	text := clean(s.stderr.String())
	switch {
	case text == "" && status == "":
		return "nothing"
	case text == "":
		return status
	}
	return text
}

// errLongLine is a line that no part of ours prints.
var errLongLine = errors.New("it printed a line without end")

// readLine reads one line, without its end.
func (s *session) readLine() (string, error) {
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errLongLine
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

func (s *session) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *session) Write(p []byte) (int, error) { return s.out.Write(p) }

// Close ends the session. What the machine has to do with it goes on without
// anybody waiting.
func (s *session) Close() error {
	s.once.Do(func() {
		s.pipe.CloseWithError(net.ErrClosed)
		s.out.CloseWithError(net.ErrClosed)
		go s.channel.Close() // a line that is stuck is ended by its watch
	})
	return nil
}

// The rest is what net.Conn wants. Deadlines are not kept: gRPC sets one before
// it closes a connection, and Close ends whatever waits.

func (s *session) LocalAddr() net.Addr              { return address{} }
func (s *session) RemoteAddr() net.Addr             { return address{} }
func (s *session) SetDeadline(time.Time) error      { return nil }
func (s *session) SetReadDeadline(time.Time) error  { return nil }
func (s *session) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "ssh" }
func (address) String() string  { return "ssh" }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailBytes; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
