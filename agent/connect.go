package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// connectRetry is how often a socket that is not there yet is tried.
const connectRetry = 20 * time.Millisecond

// Connect joins a stream to an agent's socket until either side ends. The end of
// in is passed on, and what the agent still has to say is passed back. It waits
// as long as wait for an agent that is just starting. peer, unless 0, is the id
// of the process that must answer: a script of the same user could have put a
// socket of its own in the place of the agent's.
func Connect(ctx context.Context, socket string, peer int, wait time.Duration, in io.Reader, out io.Writer) error {
	conn, err := dialSocket(ctx, socket, wait)
	if err != nil {
		return fmt.Errorf("connect to agent: %w", err)
	}
	if err := checkPeer(conn, peer); err != nil {
		conn.Close()
		return fmt.Errorf("connect to agent: %w", err)
	}
	return join(ctx, conn, in, out)
}

// join copies in both directions until either side ends.
func join(ctx context.Context, conn *net.UnixConn, in io.Reader, out io.Writer) error {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	sent := make(chan error, 1)
	go func() { // ends with the program: nothing can end a read of in
		_, err := io.Copy(conn, in)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	received := make(chan struct{})
	go func() {
		io.Copy(out, conn)
		close(received)
	}()
	// How a side ended, by a reset or in good order, is for the other side to
	// judge from what it has got.
	select {
	case <-received:
	case err := <-sent:
		if err == nil {
			<-received
		}
	}
	return nil
}

// checkPeer makes sure who listens at the other end of a Unix socket. The kernel
// notes it when the socket begins to listen.
func checkPeer(conn *net.UnixConn, peer int) error {
	if peer == 0 {
		return nil
	}
	who, err := peerOf(conn)
	if err != nil {
		return err
	}
	if int(who.Pid) != peer {
		return fmt.Errorf("process %d listens there, not the agent", who.Pid)
	}
	return nil
}

func peerOf(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("ask who listens: %w", err)
	}
	var who *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("ask who listens: %w", err)
	}
	return who, nil
}

func dialSocket(ctx context.Context, socket string, wait time.Duration) (*net.UnixConn, error) {
	deadline := time.Now().Add(wait)
	for {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
		if err == nil || !time.Now().Before(deadline) {
			return conn, err
		}
		select {
		case <-time.After(connectRetry):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
