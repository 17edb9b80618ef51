package tunnel

import (
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"net/http"

	"github.com/coder/websocket"
)

// Conn is a tunnel after its handshake. Closing it does not wait for the other
// side.
type Conn struct {
	*tls.Conn
	Key      ed25519.PublicKey // that the other side has proved to have
	Protocol string
	stream   *stream
}

// Close ends the tunnel at once.
func (c *Conn) Close() error { return c.stream.Close() }

// End tells the other side why and closes. It may take seconds on a line that
// is dead.
func (c *Conn) End(reason Reason, text string) { c.stream.end(reason, text) }

// Ended is why the other side has ended the tunnel, nil if it has not said.
func (c *Conn) Ended() *Ended { return c.stream.ended.Load() }

// Accept answers a request for the tunnel's path. After an error the request is
// answered already.
func Accept(w http.ResponseWriter, r *http.Request, config *tls.Config) (*Conn, error) {
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
		// Browsers cannot get through the handshake inside, so it does not
		// matter where a request comes from.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return nil, fmt.Errorf("accept an agent: %w", err)
	}
	s := newStream(socket)
	inner := tls.Server(s, config)
	if err := handshake(r.Context(), inner); err != nil {
		s.Close()
		return nil, fmt.Errorf("accept an agent: %w", err)
	}
	return newConn(inner, s)
}

func newConn(inner *tls.Conn, s *stream) (*Conn, error) {
	state := inner.ConnectionState()
	key, err := PeerKey(state)
	if err != nil {
		s.Close()
		return nil, err
	}
	return &Conn{Conn: inner, Key: key, Protocol: state.NegotiatedProtocol, stream: s}, nil
}
