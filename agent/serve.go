package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	agentproto "cronium.dev/agent/proto"
)

// Of the agent's side of a connection. Buffers are small because most agents
// wait most of the time.
const (
	maxMessage   = 16 << 20 // a manifest with its input
	bufferBytes  = 16 << 10
	windowBytes  = 1 << 20 // of files on their way to the agent
	pingEvery    = 15 * time.Second
	pingTimeout  = 10 * time.Second
	pingsAllowed = 5 * time.Second // of the server, at most this often
	stopWait     = 2 * time.Second // for servers to take the end of what was stopped
)

// Streams are where an agent is reached.
type Streams struct {
	Socket  string       // path of the Unix socket; "" for none
	Stdio   net.Conn     // another stream that is open already; nil if none
	Dialled net.Listener // connections that the agent makes itself (package dial); nil if none
	// Idle ends Serve when for so long nobody was connected and nothing ran;
	// 0 never does.
	Idle time.Duration
}

// Serve answers on the streams until the context ends; then it stops what runs
// and returns nil.
func (a *Agent) Serve(ctx context.Context, streams Streams) error {
	connections := &counter{}
	listeners, err := streams.listeners(connections)
	if err != nil {
		return err
	}
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.ReadBufferSize(bufferBytes),
		grpc.WriteBufferSize(2*bufferBytes),
		grpc.StaticStreamWindowSize(windowBytes),
		grpc.StaticConnWindowSize(windowBytes),
		grpc.MaxConcurrentStreams(a.streams()),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingsAllowed, PermitWithoutStream: true}),
	)
	agentproto.RegisterAgentServer(server, a)
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { served <- server.Serve(l) }()
	}
	idle := make(chan struct{})
	rest := sync.OnceFunc(func() { close(idle) })
	var watchers sync.WaitGroup
	defer watchers.Wait()
	watched, endWatch := context.WithCancel(ctx)
	defer endWatch()
	watchers.Go(func() { a.keepExpiring(watched) })
	if streams.Idle > 0 {
		watchers.Go(func() { a.watchIdle(watched, streams.Idle, connections, rest) })
	}
	if a.config.Installed != nil {
		watchers.Go(func() { a.watchDrain(watched, rest) })
	}
	ended := 0
	select {
	case <-ctx.Done():
	case <-idle:
	case err = <-served:
		ended++
	}
	a.shutDown(server)
	for ; ended < len(listeners); ended++ {
		// One that was to begin when the end had come already says so.
		if e := <-served; !errors.Is(e, grpc.ErrServerStopped) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// streams is how many calls may be under way on one connection: an agent of many
// executions has one for each.
func (a *Agent) streams() uint32 {
	if a.config.Single {
		return 128
	}
	return 16 << 10
}

// listeners are what the connections come from.
func (s *Streams) listeners(connections *counter) ([]net.Listener, error) {
	var all []net.Listener
	if s.Socket != "" {
		listener, err := listen(s.Socket)
		if err != nil {
			return nil, err
		}
		all = append(all, counted{listener, connections})
	}
	if s.Stdio != nil {
		all = append(all, counted{newOnce(s.Stdio), connections})
	}
	if s.Dialled != nil {
		all = append(all, counted{s.Dialled, connections})
	}
	return all, nil
}

// shutDown ends what runs, gives the servers a moment to take that, and closes.
func (a *Agent) shutDown(server *grpc.Server) {
	a.Stop(context.Background())
	graceful := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(graceful)
	}()
	waitFor(graceful, stopWait)
	server.Stop()
	<-graceful
}

// listen makes the socket. The spool's lock has made sure that no other agent
// serves it.
func listen(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		os.Remove(path)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("serve: %w", err)
	}
	return listener, nil
}

// watchIdle calls rest when nobody was connected and nothing ran for the given
// time.
func (a *Agent) watchIdle(ctx context.Context, after time.Duration, connections *counter, rest func()) {
	tick := time.NewTicker(max(after/10, 10*time.Millisecond))
	defer tick.Stop()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if connections.open.Load() > 0 || a.Busy() {
				since = now
			} else if now.Sub(since) >= after {
				rest()
				return
			}
		}
	}
}

// counter counts open connections.
type counter struct {
	open atomic.Int64
}

type counted struct {
	net.Listener
	connections *counter
}

func (l counted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.connections.open.Add(1)
	return &countedConn{Conn: conn, connections: l.connections}, nil
}

type countedConn struct {
	net.Conn
	connections *counter
	closed      atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.connections.open.Add(-1)
	}
	return c.Conn.Close()
}
