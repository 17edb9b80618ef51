package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"

	"cronium.dev/cronium"
	"cronium.dev/terminal"
)

// What a browser may send at once, and how long it may be silent: a ping finds
// out whether it is there.
const (
	socketMessage = 64 << 10
	socketPing    = 20 * time.Second
	socketPong    = 10 * time.Second
)

// terminalSocket joins a browser to a terminal of its own person. Binary
// messages are what is typed and shown; text messages are control.
func (h *Handlers) terminalSocket(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	p := principal(r)
	t, err := h.Store.Terminal(r.Context(), p.WorkspaceID, id)
	if err != nil {
		return err
	}
	if t.UserID != p.UserID {
		return cronium.Errorf(cronium.CodeForbidden, "This terminal is %s's. You may watch its recording.", t.UserName)
	}
	if h.Terminals == nil {
		return cronium.ErrNotFound
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: h.socketOrigins()})
	if err != nil { // it has answered: no WebSocket, or from another site
		h.Log.InfoContext(r.Context(), "a terminal's connection was refused", "terminal", t.ID, "error", err)
		return nil
	}
	defer conn.CloseNow()
	conn.SetReadLimit(socketMessage)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if h.Draining != nil {
		defer context.AfterFunc(h.Draining, cancel)()
	}
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		keepAlive(ctx, cancel, conn)
	}()
	defer func() { cancel(); <-pinged }()
	socket := &socket{conn: conn}
	h.Log.InfoContext(ctx, "terminal opened", "terminal", t.ID, "workspace", p.WorkspaceID, "user", p.UserID, "target", t.Target)
	err = h.Terminals.Attach(ctx, t, socket)
	if err != nil {
		socket.fail(ctx, err)
	}
	conn.Close(websocket.StatusNormalClosure, "")
	return nil
}

// socketOrigins are the sites that may open a terminal besides the one that the
// request names itself as its host.
func (h *Handlers) socketOrigins() []string {
	u, err := url.Parse(h.Origin)
	if err != nil || u.Host == "" {
		return nil
	}
	return []string{u.Host}
}

// keepAlive ends a connection that does not answer.
func keepAlive(ctx context.Context, cancel context.CancelFunc, conn *websocket.Conn) {
	tick := time.NewTicker(socketPing)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		pong, done := context.WithTimeout(ctx, socketPong)
		err := conn.Ping(pong)
		done()
		if err != nil {
			cancel()
			return
		}
	}
}

// socket is a browser's WebSocket as a terminal.Conn.
type socket struct{ conn *websocket.Conn }

// control is a text message.
type control struct {
	Type    string `json:"type"` // from the browser: "size", "close"; to it: "opened", "doing", "end", "error"
	Columns int    `json:"columns,omitempty"`
	Rows    int    `json:"rows,omitempty"`
	Resumed bool   `json:"resumed,omitempty"`
	Text    string `json:"text,omitempty"`
	Again   bool   `json:"again,omitempty"` // with "error": another try may succeed
}

func (s *socket) Send(ctx context.Context, m terminal.Message) error {
	switch {
	case m.Opened:
		return s.say(ctx, control{Type: "opened", Resumed: m.Resumed})
	case m.Doing != "":
		return s.say(ctx, control{Type: "doing", Text: m.Doing})
	case m.End != "":
		return s.say(ctx, control{Type: "end", Text: m.End})
	}
	return s.conn.Write(ctx, websocket.MessageBinary, m.Data)
}

func (s *socket) say(ctx context.Context, c control) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return s.conn.Write(ctx, websocket.MessageText, text)
}

// fail tells the person why their terminal is not, or no more, joined.
func (s *socket) fail(ctx context.Context, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), socketPong)
	defer cancel()
	text := "The terminal could not be opened. The server's log has the details."
	var public *cronium.Error
	if errors.As(err, &public) {
		text = public.Message
	}
	_ = s.say(ctx, control{Type: "error", Text: text, Again: cronium.CodeOf(err) == cronium.CodeUnavailable}) // who has left need not know
}

func (s *socket) Receive(ctx context.Context) (terminal.Message, error) {
	kind, data, err := s.conn.Read(ctx)
	if err != nil {
		if websocket.CloseStatus(err) != -1 || ctx.Err() != nil || errors.Is(err, io.EOF) {
			err = io.EOF
		}
		return terminal.Message{}, err
	}
	if kind == websocket.MessageBinary {
		return terminal.Message{Data: data}, nil
	}
	var c control
	if err := json.Unmarshal(data, &c); err != nil {
		return terminal.Message{}, nil // not ours; nothing to do
	}
	switch {
	case c.Type == "size" && c.Columns > 0 && c.Rows > 0:
		return terminal.Message{Columns: min(c.Columns, 1000), Rows: min(c.Rows, 1000)}, nil
	case c.Type == "close":
		return terminal.Message{Close: true}, nil
	}
	return terminal.Message{}, nil
}
