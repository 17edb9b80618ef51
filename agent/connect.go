package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// connectRetry is how often a socket that is not there yet is tried.
const connectRetry = 20 * time.Millisecond

// Connect joins a stream to an agent's socket until either side ends. The end of
// in is passed on, and what the agent still has to say is passed back. It waits
// as long as wait for an agent that is just starting.
func Connect(ctx context.Context, socket string, wait time.Duration, in io.Reader, out io.Writer) error {
	conn, err := dialSocket(ctx, socket, wait)
	if err != nil {
		return fmt.Errorf("connect to agent: %w", err)
	}
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
