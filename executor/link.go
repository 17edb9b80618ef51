package executor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// Sizes and times of a connection to an agent.
const (
	windowBytes    = 1 << 20          // of one gRPC stream: output on its way that nobody has read
	connectTimeout = 10 * time.Second // from the stream to the agent's first answer
	pingEvery      = 10 * time.Second // the smallest that gRPC allows
	pingTimeout    = 4 * time.Second  // a stream that is silent for longer than both is dead
)

// errStreamUsed is what gRPC gets when it wants a second stream: getting one is
// Drive's business.
var errStreamUsed = errors.New("the stream to the agent has ended")

// Link is a connection to an agent that has answered once, so that the next
// call costs one round trip. Backends make it ahead for places in a pool.
type Link struct {
	// Info is what the agent answered.
	Info *proto.InfoResponse

	conn  *grpc.ClientConn
	agent proto.AgentClient
	give  func() // back to whom it belongs; nil: Close ends the connection
}

// Connect speaks to the agent at the other end of stream. The stream belongs to
// the link afterwards, and is closed when Connect fails. options come after our
// own and so count before them.
func Connect(ctx context.Context, stream net.Conn, options ...grpc.DialOption) (*Link, error) {
	conn, err := grpc.NewClient("passthrough:///agent", append([]grpc.DialOption{
		grpc.WithContextDialer(dialOnce(stream)),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0), // the stream cannot be had again
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(2 * windowBytes),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout}),
	}, options...)...)
	if err != nil {
		stream.Close()
		return nil, fmt.Errorf("make a client for the agent: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	agent := proto.NewAgentClient(conn)
	info, err := agent.Info(ctx, &proto.InfoRequest{})
	if err != nil {
		conn.Close()
		stream.Close()
		return nil, fmt.Errorf("ask the agent who it is: %w", err)
	}
	return &Link{Info: info, conn: conn, agent: agent}, nil
}

// Alive tells whether the link has not been seen to break. It may be broken all
// the same.
func (l *Link) Alive() bool { return l.conn.GetState() == connectivity.Ready }

// Changed returns when the link may not be Alive any more, or the context ends.
func (l *Link) Changed(ctx context.Context) { l.conn.WaitForStateChange(ctx, connectivity.Ready) }

// Client is for calls other than those of an execution. It is good until Close.
func (l *Link) Client() proto.AgentClient { return l.agent }

// Share gives a link over the same connection for one of several users: its
// Close calls give, once, and the connection stays.
func (l *Link) Share(give func()) *Link {
	return &Link{Info: l.Info, conn: l.conn, agent: l.agent, give: sync.OnceFunc(give)}
}

// Close ends the link and its stream, or gives a shared one back. What runs at
// the other end goes on.
func (l *Link) Close() {
	if l.give != nil {
		l.give()
		return
	}
	l.conn.Close()
}

// dialOnce gives the stream to gRPC's first dial and refuses every other.
func dialOnce(stream net.Conn) func(context.Context, string) (net.Conn, error) {
	var once sync.Once
	return func(context.Context, string) (net.Conn, error) {
		var given net.Conn
		once.Do(func() { given = stream })
		if given == nil {
			return nil, errStreamUsed
		}
		return given, nil
	}
}

// linked is a Place that knows more of its agent than the contract asks for.
type linked interface {
	// Instance is the agent's, as it was when the place was made; "" when not
	// known.
	Instance() string
	// TakeLink gives the link that was made ahead, once; nil if there is none.
	TakeLink() *Link
}

// sharing is a Place whose agent has many executions and one connection for all
// of them.
type sharing interface {
	// Link gives a link whose Close only gives it back (Link.Share). It fails
	// as Dial does.
	Link(ctx context.Context) (*Link, error)
}

// link gives a link to the place's agent: the one made ahead, the shared one or
// a new one. instance, when not empty, is whom the agent must be; another one
// has lost what ran there, so the answer is ErrGone.
func link(ctx context.Context, place Place, instance string) (*Link, error) {
	if p, ok := place.(linked); ok {
		if instance == "" {
			instance = p.Instance()
		}
		if l := p.TakeLink(); l != nil {
			return l, nil
		}
	}
	l, err := open(ctx, place)
	if err != nil {
		return nil, err
	}
	if instance != "" && l.Info.GetInstance() != instance {
		l.Close()
		return nil, fmt.Errorf("%w: another agent answers there now", ErrGone)
	}
	return l, nil
}

// Open gives a link to the agent of a place for calls other than those of an
// execution: the one that was made ahead, or a new one. It fails with ErrGone
// where another agent answers than the place had, or none will again.
func Open(ctx context.Context, place Place) (*Link, error) { return link(ctx, place, "") }

func open(ctx context.Context, place Place) (*Link, error) {
	if p, ok := place.(sharing); ok {
		return p.Link(ctx)
	}
	stream, err := place.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return Connect(ctx, stream)
}

// Forget lets the agent remove a finished execution from its spool. A place
// that is gone has forgotten already.
func Forget(ctx context.Context, place Place, executionID cronium.ID) error {
	l, err := link(ctx, place, "")
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("forget execution %s: %w", executionID, err)
	}
	defer l.Close()
	if _, err := l.agent.Forget(ctx, &proto.ForgetRequest{ExecutionId: executionID.String()}); err != nil {
		return fmt.Errorf("forget execution %s: %w", executionID, err)
	}
	return nil
}
