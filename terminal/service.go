package terminal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// Times of a terminal's life.
const (
	grantTime    = 2 * time.Hour    // covers clocks that differ
	sendPatience = 10 * time.Second // for a browser that does not take what is sent
	seeEvery     = time.Minute
)

// Config is what a Service works with.
type Config struct {
	Store   *store.Store
	Secrets *secrets.Box       // seals recordings
	Key     ed25519.PrivateKey // signs grants
	// Agent gives a connection to the agent where the terminal's shell is, and
	// the target that grants for it must name.
	Agent func(ctx context.Context, t *cronium.Terminal) (link *executor.Link, target string, err error)
	// Containers are where terminals of events run; nil: there are none.
	Containers executor.Backend
	Log        *slog.Logger
	Idle       time.Duration // a shell into which nobody types for so long is ended; 0 means 30 minutes
	Keep       time.Duration // recordings are removed after it; 0 means 90 days
}

// Service joins people to shells. Its methods may be called concurrently.
type Service struct{ Config }

// New makes a service.
func New(config Config) *Service {
	if config.Idle == 0 {
		config.Idle = 30 * time.Minute
	}
	if config.Keep == 0 {
		config.Keep = 90 * 24 * time.Hour
	}
	return &Service{Config: config}
}

// Message is one message from or to a person's connection.
type Message struct {
	Data    []byte // what is typed, or what the shell prints; nil for the others
	Columns int    // from the person: the window's new size
	Rows    int
	Close   bool   // from the person: end the shell
	Opened  bool   // to the person: the shell is there; Resumed tells whether it was before
	Resumed bool   //
	Doing   string // to the person: what takes long before it is there
	End     string // to the person: how it ended; nothing follows
}

// Conn is a person's connection. Send and Receive are each called by one
// goroutine at a time.
type Conn interface {
	Send(ctx context.Context, m Message) error
	Receive(ctx context.Context) (Message, error)
}

// Attach joins a connection to a terminal until either ends. A connection that
// breaks, or ctx that ends, leaves the shell alone. Errors are *cronium.Error
// with public text; CodeUnavailable says that another try may succeed.
func (s *Service) Attach(ctx context.Context, t *cronium.Terminal, conn Conn) error {
	if t.EndedAt != nil {
		return cronium.Errorf(cronium.CodeConflict, "This terminal has ended: %s Open a new one.", t.Ending)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.remove(ctx, t)
	link, target, err := s.reach(ctx, t, conn)
	if err != nil {
		return err
	}
	defer link.Close()
	recording, err := s.hold(ctx, t)
	if err != nil {
		return err
	}
	stream, opened, err := s.open(ctx, link, target, t, recording.taken)
	if err != nil {
		return s.explain(ctx, t, err)
	}
	recording.taken = int64(opened.GetOffset())
	a := &attached{Service: s, terminal: t, conn: conn, recording: recording, stream: stream, typed: make(chan struct{}, 1)}
	if err := a.greet(ctx, opened.GetResumed()); err != nil {
		return nil // gone before it began
	}
	return s.explain(ctx, t, a.run(ctx))
}

type shellStream = grpc.BidiStreamingClient[proto.ShellRequest, proto.ShellResponse]

func (s *Service) open(ctx context.Context, link *executor.Link, target string, t *cronium.Terminal, from int64) (shellStream, *proto.ShellOpened, error) {
	grant, err := manifest.SignGrant(s.Key, target, manifest.ActionShell, t.ID.String(), time.Now().Add(grantTime))
	if err != nil {
		return nil, nil, err
	}
	stream, err := link.Client().Shell(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("open terminal: %w", err)
	}
	environment, err := s.environment(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	open := &proto.ShellOpen{
		Grant: grant, Session: t.ID.String(), FromOffset: uint64(from),
		Size:        &proto.ShellSize{Columns: uint32(t.Width), Rows: uint32(t.Height)},
		LingerMs:    cronium.TerminalLinger.Milliseconds(),
		Environment: environment,
	}
	_ = stream.Send(&proto.ShellRequest{Part: &proto.ShellRequest_Open{Open: open}}) // Recv tells why it failed
	r, err := stream.Recv()
	if err != nil {
		return nil, nil, fmt.Errorf("open terminal: %w", err)
	}
	return stream, r.GetOpened(), nil
}

// explain gives an error the words that the person sees, and stores the end of a
// shell that is no more.
func (s *Service) explain(ctx context.Context, t *cronium.Terminal, err error) error {
	var public *cronium.Error
	if err == nil || errors.As(err, &public) {
		return err
	}
	text := status.Convert(errors.Unwrap(err)).Message()
	switch status.Code(err) {
	case codes.NotFound:
		text = "The shell has ended: nobody was connected for too long, or its agent or machine was started anew."
		s.end(ctx, t, text)
		return &cronium.Error{Code: cronium.CodeConflict, Message: text, Err: err}
	case codes.Aborted:
		return &cronium.Error{Code: cronium.CodeConflict, Message: "This terminal was opened elsewhere, and goes on there.", Err: err}
	case codes.FailedPrecondition, codes.ResourceExhausted, codes.InvalidArgument, codes.PermissionDenied:
		return &cronium.Error{Code: cronium.CodeConflict, Message: text, Err: err}
	}
	return &cronium.Error{Code: cronium.CodeUnavailable, Message: "The connection to " + t.Target + " was lost. The shell waits for five minutes.", Err: err}
}

// end stores how a terminal ended, also while the request that saw it ends. Its
// container is removed when Attach returns.
func (s *Service) end(ctx context.Context, t *cronium.Terminal, text string) {
	t.EndedAt, t.Ending = new(time.Now()), text
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := s.Store.EndTerminal(ctx, t.WorkspaceID, t.ID, text); err != nil {
		s.Log.Warn("the end of a terminal was not stored; the sweep will", "terminal", t.ID, "error", err)
	}
}

// Sweep ends terminals that nobody came back to and removes old recordings.
func (s *Service) Sweep(ctx context.Context) error { return s.Store.SweepTerminals(ctx, s.Keep) }

// Run sweeps every minute until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("terminals were not swept", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// received is what a goroutine that reads the agent's stream passes on.
type received struct {
	response *proto.ShellResponse
	err      error
}

func receive(ctx context.Context, stream shellStream) <-chan received {
	c := make(chan received)
	go func() { // ends with the stream's context
		for {
			r, err := stream.Recv()
			select {
			case c <- received{r, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// gone tells whether the person's connection has simply ended.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, context.Canceled)
}
