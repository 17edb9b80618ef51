package tunnel

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/coder/websocket"
)

// Reason is why a server ends a tunnel: the code of the WebSocket's end.
type Reason int

// The reasons, in the range that WebSocket leaves to applications.
const (
	ReasonNone     Reason = 0
	ReasonRefused  Reason = 4003 // the key is not known, or is revoked
	ReasonReplaced Reason = 4009 // another agent with the same key has come
	ReasonBusy     Reason = 4013 // too many at once; come again
)

// Ended is why the other side has ended the tunnel.
type Ended struct {
	Reason Reason
	Text   string // for a person
}

func (e *Ended) Error() string { return e.Text }

// stream is a WebSocket as a connection. It notes how the other side ended it,
// which what lies above would lose.
type stream struct {
	net.Conn
	socket *websocket.Conn
	cancel context.CancelFunc
	ended  atomic.Pointer[Ended]
}

func newStream(socket *websocket.Conn) *stream {
	ctx, cancel := context.WithCancel(context.Background())
	return &stream{Conn: websocket.NetConn(ctx, socket, websocket.MessageBinary), socket: socket, cancel: cancel}
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	var closed websocket.CloseError
	if err != nil && errors.As(err, &closed) && closed.Code >= 4000 {
		s.ended.CompareAndSwap(nil, &Ended{Reason: Reason(closed.Code), Text: closed.Reason})
	}
	return n, err
}

// Close ends the connection at once: a line that is dead would not answer.
func (s *stream) Close() error {
	s.cancel()
	return s.socket.CloseNow()
}

// end tells the other side why, if the line still takes it, and closes.
func (s *stream) end(reason Reason, text string) {
	if len(text) > maxReason {
		text = text[:maxReason]
	}
	_ = s.socket.Close(websocket.StatusCode(reason), text) // a line that is dead need not be told
	s.Close()
}

// maxReason is how many bytes of text the end of a WebSocket may carry.
const maxReason = 123
