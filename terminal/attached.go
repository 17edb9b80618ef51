package terminal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/store"
)

// attached is one person's connection joined to a shell.
type attached struct {
	*Service
	terminal  *cronium.Terminal
	conn      Conn
	stream    shellStream
	recording *recording
	typed     chan struct{} // holds one when something was typed

	sending sync.Mutex // a stream takes one message at a time
}

func (a *attached) sendToAgent(r *proto.ShellRequest) error {
	a.sending.Lock()
	defer a.sending.Unlock()
	return a.stream.Send(r)
}

// greet tells the person that the shell is there, and shows what was on the
// screen when they come back.
func (a *attached) greet(ctx context.Context, resumed bool) error {
	if err := a.send(ctx, Message{Opened: true, Resumed: resumed}); err != nil {
		return err
	}
	if !resumed || a.recording.number == 0 {
		return nil
	}
	screen, err := a.Tail(ctx, a.terminal)
	if err != nil {
		a.Log.Warn("a recording cannot be shown", "terminal", a.terminal.ID, "error", err)
		return nil
	}
	return a.send(ctx, Message{Data: append([]byte("\x1bc"), screen...)}) // clear, then the end of it
}

// send gives up on a connection that does not take what it is sent.
func (a *attached) send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendPatience)
	defer cancel()
	return a.conn.Send(ctx, m)
}

// run passes on what either side says. nil: the person has left or the shell has
// ended, and everything was said.
func (a *attached) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	person := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		person <- a.listen(ctx)
	}()
	defer func() { cancel(); <-done }()
	responses := receive(ctx, a.stream)
	idle := time.NewTimer(a.Idle)
	defer idle.Stop()
	flush := time.NewTicker(flushEvery)
	defer flush.Stop()
	see := time.NewTicker(seeEvery)
	defer see.Stop()
	defer a.flushLast(ctx)
	for {
		select {
		case r := <-responses:
			if ended, err := a.take(ctx, r); ended || err != nil {
				return err
			}
		case err := <-person:
			if err == nil || gone(err) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("terminal: %w", err)
		case <-a.typed:
			idle.Reset(a.Idle)
		case <-flush.C:
			if err := a.flush(ctx); err != nil {
				return err
			}
		case <-see.C:
			_ = a.Store.SeeTerminal(ctx, a.terminal.WorkspaceID, a.terminal.ID) // the next one will do
		case <-idle.C:
			return a.endIdle(ctx)
		}
	}
}

// take handles what the agent says; true: the shell has ended.
func (a *attached) take(ctx context.Context, r received) (ended bool, err error) {
	if r.err != nil {
		return false, fmt.Errorf("terminal: %w", r.err)
	}
	switch part := r.response.GetPart().(type) {
	case *proto.ShellResponse_Output:
		if err := a.recording.add(int64(part.Output.GetOffset()), part.Output.GetData()); err != nil {
			return false, err
		}
		if a.recording.full() {
			if err := a.flush(ctx); err != nil {
				return false, err
			}
		}
		if a.send(ctx, Message{Data: part.Output.GetData()}) != nil {
			return true, nil // the shell waits for whoever comes back
		}
	case *proto.ShellResponse_End:
		if err := a.flush(ctx); err != nil {
			return false, err
		}
		text := ending(part.End)
		a.end(ctx, a.terminal, text)
		_ = a.send(ctx, Message{End: text}) // who has left need not know
		return true, nil
	}
	return false, nil
}

// listen passes on what the person types and says.
func (a *attached) listen(ctx context.Context) error {
	for {
		m, err := a.conn.Receive(ctx)
		if err != nil {
			return err
		}
		request := &proto.ShellRequest{}
		switch {
		case m.Close:
			request.Part = &proto.ShellRequest_Close{Close: true}
		case m.Columns > 0:
			request.Part = &proto.ShellRequest_Size{Size: &proto.ShellSize{Columns: uint32(m.Columns), Rows: uint32(m.Rows)}}
		case len(m.Data) > 0:
			request.Part = &proto.ShellRequest_Input{Input: m.Data}
			select {
			case a.typed <- struct{}{}:
			default:
			}
		default:
			continue
		}
		if err := a.sendToAgent(request); err != nil {
			return nil // the agent's side tells why
		}
	}
}

// flush stores what was recorded and lets the agent forget it.
func (a *attached) flush(ctx context.Context) error {
	stored, err := a.recording.flush(ctx)
	if errors.Is(err, store.ErrNotOwner) {
		return &cronium.Error{Code: cronium.CodeConflict, Message: "This terminal was opened elsewhere, and goes on there.", Err: err}
	}
	if err != nil {
		return fmt.Errorf("record terminal: %w", err)
	}
	if stored > 0 {
		_ = a.sendToAgent(&proto.ShellRequest{Part: &proto.ShellRequest_Acknowledge{Acknowledge: uint64(stored)}}) // Recv tells why it failed
	}
	return nil
}

// flushLast stores the rest when the connection ends. What cannot be stored now
// the agent still has.
func (a *attached) flushLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := a.flush(ctx); err != nil {
		a.Log.Debug("the last of a terminal was not recorded yet", "terminal", a.terminal.ID, "error", err)
	}
}

func (a *attached) endIdle(ctx context.Context) error {
	text := fmt.Sprintf("Nobody typed for %s, so it was closed.", a.Idle)
	_ = a.sendToAgent(&proto.ShellRequest{Part: &proto.ShellRequest_Close{Close: true}}) // if lost, it ends by its linger time
	a.end(ctx, a.terminal, text)
	_ = a.send(ctx, Message{End: text})
	return nil
}

// ending says how a shell ended.
func ending(end *proto.ShellEnd) string {
	if end.GetSignal() != 0 {
		return fmt.Sprintf("The shell was ended by signal %d (%s).", end.GetSignal(), unix.SignalName(unix.Signal(end.GetSignal())))
	}
	return fmt.Sprintf("The shell ended with exit code %d.", end.GetExitCode())
}
