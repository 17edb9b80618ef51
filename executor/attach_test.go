package executor

import (
	"context"
	"errors"
	"math"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// impostor is what a script may put in the place of its agent: it sends what it
// likes on every stream.
type impostor struct {
	proto.UnimplementedAgentServer
	sends []*proto.AttachResponse
}

func (i *impostor) Info(context.Context, *proto.InfoRequest) (*proto.InfoResponse, error) {
	return &proto.InfoResponse{Instance: "i"}, nil
}

func (i *impostor) Attach(stream proto.Agent_AttachServer) error {
	for _, m := range i.sends {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	<-stream.Context().Done()
	return nil
}

// impostorPlace is where it lives.
type impostorPlace struct{ agent proto.AgentServer }

func (impostorPlace) Ref() string                   { return "i/i" }
func (impostorPlace) Warm() bool                    { return false }
func (impostorPlace) TargetID() string              { return "i" }
func (impostorPlace) Destroy(context.Context) error { return nil }
func (p impostorPlace) Dial(context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	server := grpc.NewServer()
	proto.RegisterAgentServer(server, p.agent)
	go func() { _ = server.Serve(&oneConn{conn: there, closed: make(chan struct{})}) }() // ends with the stream
	return here, nil
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// counter is a sink that counts.
type counter struct{ starts, records, bytes int }

func (c *counter) Started(context.Context, time.Duration) error { c.starts++; return nil }
func (c *counter) Output(_ context.Context, records []*proto.Output) (durable uint64, err error) {
	for _, o := range records {
		c.records++
		c.bytes += len(o.GetData())
		durable = o.GetOffset() + uint64(len(o.GetData()))
	}
	return durable, nil
}
func (c *counter) Settle(context.Context) (uint64, error) { panic("nothing is in hand") }
func (c *counter) Last(ctx context.Context, records []*proto.Output) error {
	_, err := c.Output(ctx, records)
	return err
}
func (c *counter) Usage(context.Context, *proto.Usage) {}
func (c *counter) Call(context.Context, *proto.HelperCall) *proto.HelperAnswer {
	return &proto.HelperAnswer{}
}

func output(offset uint64, size int) *proto.AttachResponse {
	return &proto.AttachResponse{Part: &proto.AttachResponse_Output{Output: &proto.Output{Offset: offset, Data: make([]byte, size)}}}
}

var (
	started = &proto.AttachResponse{Part: &proto.AttachResponse_Started{Started: &proto.Started{}}}
	end     = &proto.AttachResponse{Part: &proto.AttachResponse_Finish{Finish: &proto.Finish{}}}
)

func TestAnAgentIsTrustedNoFurtherThanTheProtocol(t *testing.T) {
	t.Parallel()
	gone := func(err error) bool { return errors.Is(err, ErrGone) }
	refused := func(err error) bool { return cronium.CodeOf(err) == cronium.CodeConflict }
	for name, c := range map[string]struct {
		sends []*proto.AttachResponse
		wrong func(error) bool // nil: it ends well
		want  counter
	}{
		"as it should be":           {[]*proto.AttachResponse{started, output(0, 10), output(10, maxRecord), end}, nil, counter{1, 2, 10 + maxRecord}},
		"a record that is too long": {[]*proto.AttachResponse{started, output(0, maxRecord+1)}, refused, counter{1, 0, 0}},
		"a gap":                     {[]*proto.AttachResponse{started, output(1, 10)}, gone, counter{1, 0, 0}},
		"an offset beyond all":      {[]*proto.AttachResponse{started, output(math.MaxUint64, 10)}, gone, counter{1, 0, 0}},
		"empty records":             {[]*proto.AttachResponse{started, output(0, 0), output(0, 5), output(5, 0), end}, nil, counter{1, 1, 5}},
		"starts again and again":    {[]*proto.AttachResponse{started, started, started, end}, nil, counter{1, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var got counter
			run := Run{ExecutionID: cronium.NewID(), Started: true, Cancel: make(chan struct{})}
			_, err := Drive(ctx, impostorPlace{&impostor{sends: c.sends}}, run, &got)
			if (c.wrong == nil) != (err == nil) || err != nil && !c.wrong(err) {
				t.Errorf("ended with %v", err)
			}
			if got.starts != c.want.starts || got.bytes != c.want.bytes || c.wrong == nil && got.records != c.want.records {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// awayPlace is one that cannot be reached.
type awayPlace struct{ impostorPlace }

func (awayPlace) Dial(context.Context) (net.Conn, error) { return nil, ErrUnavailable }

func TestACancelThatReachesNobodyEnds(t *testing.T) {
	t.Parallel()
	cancel := make(chan struct{})
	told := 0
	run := Run{ExecutionID: cronium.NewID(), Started: true, Cancel: cancel, Away: func(_ context.Context, reason error) {
		if told++; told == 1 {
			close(cancel)
		}
	}}
	ctx, stop := context.WithTimeout(t.Context(), 4*CancelPatience)
	defer stop()
	_, err := Drive(ctx, awayPlace{}, run, &counter{})
	if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
		t.Errorf("ended with %v, want that it cannot be reached", err)
	}
}

// Whatever a message carries counts, or memory would not be bounded.
func TestTheQueueCountsAllThatAMessageCarries(t *testing.T) {
	t.Parallel()
	q := newQueue()
	call := &proto.AttachResponse{Part: &proto.AttachResponse_Call{Call: &proto.HelperCall{Params: make([]byte, 1<<20)}}}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for ; n < 100 && q.put(full, call) == nil; n++ {
	}
	if n > queueBytes>>20 {
		t.Errorf("%d calls of 1 MiB wait, want at most %d", n, queueBytes>>20)
	}
}
