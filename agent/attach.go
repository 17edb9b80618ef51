package agent

import (
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

// recordsInRow is how many records are sent before other messages get a turn.
const recordsInRow = 32

// attachment is one server that follows an execution.
type attachment struct {
	execution  *execution
	stream     agentproto.Agent_AttachServer
	wake       chan struct{} // capacity 1: something has changed
	superseded chan struct{} // closed when another has attached

	// What was sent.
	started, finished bool
	lastCall          uint64
	usage             *agentproto.Usage
}

// Attach implements the service.
func (a *Agent) Attach(stream agentproto.Agent_AttachServer) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	e := a.find(open.GetExecutionId())
	if e == nil {
		return unknown(open.GetExecutionId())
	}
	select {
	case <-e.ready:
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	}
	at := &attachment{
		execution: e, stream: stream,
		wake: make(chan struct{}, 1), superseded: make(chan struct{}),
	}
	e.attach(at)
	defer e.detach(at)
	// What the server has stored already it will not ask for again.
	if err := e.log.Acknowledge(open.GetFromOffset()); err != nil {
		return status.Error(codes.OutOfRange, err.Error())
	}
	ended := make(chan error, 1)
	go func() { ended <- at.receive() }() // ends with the stream
	return at.send(e.log.NewReader(open.GetFromOffset()), ended)
}

func unknown(id string) error {
	return status.Errorf(codes.NotFound, "the agent does not know execution %q", id)
}

// receive takes acknowledgements and answers until the client closes.
func (at *attachment) receive() error {
	for {
		in, err := at.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-at.superseded:
			return nil
		default:
		}
		switch part := in.GetPart().(type) {
		case *agentproto.AttachRequest_Acknowledge:
			if err := at.execution.log.Acknowledge(part.Acknowledge); err != nil {
				return status.Error(codes.OutOfRange, err.Error())
			}
		case *agentproto.AttachRequest_Answer:
			at.execution.calls.Answer(part.Answer)
		}
	}
}

// send follows the execution until the client closes or another has attached.
// The stream's flow control slows it, and so in the end the script.
func (at *attachment) send(reader *spool.Reader, ended <-chan error) error {
	for {
		// Asked before the output is sent: what has ended writes no more.
		finish := at.execution.finished()
		more, err := at.sendOutput(reader)
		if err == nil {
			err = at.sendOthers()
		}
		if err == nil && !more && finish != nil && !at.finished {
			at.finished = true
			err = at.stream.Send(&agentproto.AttachResponse{Part: &agentproto.AttachResponse_Finish{Finish: finish}})
		}
		if err != nil {
			return err
		}
		if more {
			select {
			case at.wake <- struct{}{}:
			default:
			}
		}
		select {
		case <-at.superseded:
			return status.Error(codes.Aborted, "another server has attached to this execution")
		case err := <-ended:
			return err
		case <-at.stream.Context().Done():
			return status.FromContextError(at.stream.Context().Err()).Err()
		case <-at.wake:
		}
	}
}

// sendOutput sends records; more tells that there may be others.
func (at *attachment) sendOutput(reader *spool.Reader) (more bool, err error) {
	if err := at.sendStarted(); err != nil {
		return false, err
	}
	for range recordsInRow {
		record, ok, err := reader.Next()
		if err != nil {
			return false, status.Error(codes.OutOfRange, err.Error())
		}
		if !ok {
			return false, nil
		}
		err = at.stream.Send(&agentproto.AttachResponse{Part: &agentproto.AttachResponse_Output{Output: &agentproto.Output{
			Offset: record.Offset, Stream: record.Stream, AtUs: record.At, Data: record.Data,
		}}})
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

func (at *attachment) sendStarted() error {
	e := at.execution
	if at.started || e.tree == nil {
		return nil
	}
	at.started = true
	e.mu.Lock()
	setup := e.setup
	e.mu.Unlock()
	return at.stream.Send(&agentproto.AttachResponse{Part: &agentproto.AttachResponse_Started{
		Started: &agentproto.Started{SetupUs: setup.Microseconds()},
	}})
}

// sendOthers sends new calls of the script and what it uses.
func (at *attachment) sendOthers() error {
	for _, call := range at.execution.calls.After(at.lastCall) {
		if err := at.stream.Send(&agentproto.AttachResponse{Part: &agentproto.AttachResponse_Call{Call: call}}); err != nil {
			return err
		}
		at.lastCall = call.GetNumber()
	}
	at.execution.mu.Lock()
	usage := at.execution.usage
	at.execution.mu.Unlock()
	if usage == at.usage || at.finished {
		return nil
	}
	at.usage = usage
	return at.stream.Send(&agentproto.AttachResponse{Part: &agentproto.AttachResponse_Usage{Usage: usage}})
}
