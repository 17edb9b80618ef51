package helper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	agentproto "cronium.dev/agent/proto"
)

// Bounds of one box's socket.
const (
	maxConnections = 64
	maxLine        = MaxOutput + 4096 // bytes of one request
	maxUnderWay    = 8 << 20          // bytes of requests without an answer, as many as a server takes; more are read when there is room
	writeTimeout   = 10 * time.Second // a script that does not read its answers
)

// request is one line from a script.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// answer is one line to a script; it has a result or an error.
type answer struct {
	ID     json.RawMessage `json:"id,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *answerError    `json:"error,omitempty"`
}

type answerError struct {
	Status  int32  `json:"status"` // as in HTTP
	Message string `json:"message"`
}

// Server answers one script on the socket of its box.
type Server struct {
	box      *Box
	calls    *Calls
	listener net.Listener
	context  context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	slots    chan struct{}
	room     *room
}

// Serve listens until Close.
func Serve(box *Box, calls *Calls) (*Server, error) {
	listener, err := net.Listen("unix", box.SocketPath())
	if err != nil {
		return nil, fmt.Errorf("listen for helper calls: %w", err)
	}
	if err := os.Chmod(box.SocketPath(), 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("listen for helper calls: %w", err)
	}
	s := &Server{box: box, calls: calls, listener: listener, slots: make(chan struct{}, maxConnections), room: newRoom(maxUnderWay)}
	s.context, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.cancel()
	s.calls.Close()
	s.listener.Close()
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		select { // no more than these at a time: the others wait in the kernel
		case s.slots <- struct{}{}:
		case <-s.context.Done():
			return
		}
		conn, err := s.listener.Accept()
		if err != nil {
			<-s.slots
			if s.context.Err() != nil {
				return
			}
			select { // out of file descriptors, say
			case <-time.After(50 * time.Millisecond):
			case <-s.context.Done():
			}
			continue
		}
		s.running.Go(func() {
			defer func() { <-s.slots }()
			s.talk(conn)
		})
	}
}

// talk reads the requests of one connection. They are worked on side by side.
func (s *Server) talk(conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.context)
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var requests sync.WaitGroup
	defer requests.Wait()
	defer cancel()
	var write sync.Mutex
	reply := func(a answer) {
		line, err := json.Marshal(a)
		if err != nil {
			line, _ = json.Marshal(answer{ID: a.ID, Error: &answerError{http.StatusBadGateway, "The server's answer is not JSON."}})
		}
		write.Lock()
		defer write.Unlock()
		conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := conn.Write(append(line, '\n')); err != nil {
			conn.Close()
		}
	}
	slots := make(chan struct{}, maxWaiting)
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil || r.Method == "" {
			reply(answer{Error: &answerError{http.StatusBadRequest, `A request is one line of JSON with "id", "method" and "params".`}})
			continue
		}
		size := len(r.Params)
		if !s.room.take(ctx, size) {
			return
		}
		slots <- struct{}{}
		requests.Go(func() {
			defer func() {
				<-slots
				s.room.give(size)
			}()
			if a, ok := s.answer(ctx, r); ok {
				reply(a)
			}
		})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		reply(answer{Error: &answerError{http.StatusRequestEntityTooLarge, fmt.Sprintf("A request is longer than %d bytes.", maxLine)}})
	}
}

// answer works on one request; false if nobody waits for the answer any more.
func (s *Server) answer(ctx context.Context, r request) (answer, bool) {
	a := answer{ID: r.ID}
	var err error
	switch r.Method {
	case "input":
		a.Result, err = s.box.Input()
	case "event":
		a.Result, err = s.box.Event()
	case "output":
		err = s.box.SetOutput(r.Params)
	case "setCondition":
		var value bool
		if err = json.Unmarshal(r.Params, &value); err == nil {
			err = s.box.SetCondition(value)
		}
	default:
		var given *agentproto.HelperAnswer
		if given, err = s.calls.Do(ctx, r.Method, r.Params); err != nil {
			return a, false
		}
		a.Result = given.GetResult()
		if e := given.GetError(); e != nil {
			a.Result, a.Error = nil, &answerError{e.GetStatus(), e.GetMessage()}
		}
	}
	if err != nil {
		a.Result, a.Error = nil, &answerError{http.StatusBadRequest, err.Error()}
	}
	if len(a.Result) == 0 && a.Error == nil {
		a.Result = json.RawMessage("null")
	}
	return a, true
}
