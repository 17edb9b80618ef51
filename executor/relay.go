package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// Relay lets whoever is at the other end of stream call the agent of the link, by
// the methods alone that are named, as gRPC names them in full. It returns when
// the stream or ctx ends. What is said passes unread: the agent checks who signed
// it.
func (l *Link) Relay(ctx context.Context, stream net.Conn, methods ...string) {
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(unread{}),
		grpc.UnknownServiceHandler(func(_ any, in grpc.ServerStream) error { return l.pass(in, methods) }),
		grpc.StaticStreamWindowSize(windowBytes), grpc.StaticConnWindowSize(2*windowBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
	)
	ended := make(chan struct{})
	line := &lineOnce{stream: stream, ended: ended, end: sync.OnceFunc(func() { close(ended) }), given: make(chan net.Conn, 1)}
	line.given <- &endNoted{Conn: stream, ended: line.end}
	defer context.AfterFunc(ctx, server.Stop)()
	_ = server.Serve(line) // ends with the stream, and says nothing else
	server.Stop()
}

// pass passes one call on, both ways.
func (l *Link) pass(in grpc.ServerStream, methods []string) error {
	method, _ := grpc.MethodFromServerStream(in)
	if !slices.Contains(methods, method) {
		return status.Error(codes.Unimplemented, "this call is not passed on")
	}
	both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	out, err := l.conn.NewStream(in.Context(), both, method, grpc.ForceCodecV2(unread{}))
	if err != nil {
		return err
	}
	go func() { // ends with the call
		for {
			var m message
			if err := in.RecvMsg(&m); err != nil {
				_ = out.CloseSend() // never fails
				return
			}
			if err := out.SendMsg(&m); err != nil {
				return // RecvMsg tells why
			}
		}
	}()
	for {
		var m message
		err := out.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := in.SendMsg(&m); err != nil {
			return err
		}
	}
}

// message is one message that passes as it is.
type message struct{ raw []byte }

// unread is the codec of messages that nobody here reads.
type unread struct{}

func (unread) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return nil, fmt.Errorf("relay: %T is no message of another", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(m.raw)}, nil
}

func (unread) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("relay: %T is no message of another", v)
	}
	m.raw = data.Materialize()
	return nil
}

// Name is that of the codec of both ends.
func (unread) Name() string { return "proto" }

// lineOnce is a listener that has one connection, and ends with it.
type lineOnce struct {
	stream net.Conn
	ended  chan struct{}
	end    func() // closes ended, once
	given  chan net.Conn
}

func (l *lineOnce) Accept() (net.Conn, error) {
	select {
	case c := <-l.given:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close ends Accept: Stop waits for it before it closes connections.
func (l *lineOnce) Close() error {
	l.end()
	return nil
}

func (l *lineOnce) Addr() net.Addr { return l.stream.LocalAddr() }

// endNoted tells when gRPC closes the connection.
type endNoted struct {
	net.Conn
	ended func()
}

func (c *endNoted) Close() error {
	defer c.ended()
	return c.Conn.Close()
}
