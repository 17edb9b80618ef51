package agent

import (
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

// Times and sizes of terminals.
const (
	shellLinger    = 5 * time.Minute // a session without a client, unless the client says otherwise
	longestLinger  = time.Hour
	hangUpGrace    = 2 * time.Second // from SIGHUP to SIGKILL
	shellsAtOnce   = 32
	mostColumns    = 1000
	defaultColumns = 80
	defaultRows    = 24
)

// Shell implements the service: one client of one session, which outlives it.
// A second client of a session takes the place of the first.
func (a *Agent) Shell(stream grpc.BidiStreamingServer[agentproto.ShellRequest, agentproto.ShellResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	open := first.GetOpen()
	if open == nil {
		return status.Error(codes.InvalidArgument, "the first request of a terminal must open it")
	}
	if err := manifest.VerifyGrant(a.config.PublicKey, open.GetGrant(), a.config.Target, manifest.ActionShell, open.GetSession(), time.Now()); err != nil {
		return refusal(err)
	}
	s, resumed, err := a.shells.open(a, open)
	if err != nil {
		return err
	}
	client, offset := s.take(open.GetFromOffset())
	defer s.leave(client)
	s.resize(open.GetSize())
	opened := &agentproto.ShellOpened{Resumed: resumed, Offset: offset, Shell: s.path}
	if err := stream.Send(&agentproto.ShellResponse{Part: &agentproto.ShellResponse_Opened{Opened: opened}}); err != nil {
		return err
	}
	received := make(chan error, 1)
	go func() { received <- s.receive(client, stream) }() // ends with the stream
	sent := make(chan error, 1)
	go func() { sent <- s.send(stream, client, offset) }()
	select {
	case err = <-sent:
	case err = <-received:
		if err == nil { // the client only has nothing more to say
			err = <-sent
		}
	}
	s.leave(client)
	return err
}

// receive takes what the client types and says.
func (s *shell) receive(client *shellClient, stream grpc.BidiStreamingServer[agentproto.ShellRequest, agentproto.ShellResponse]) error {
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch part := r.GetPart().(type) {
		case *agentproto.ShellRequest_Input:
			if err := s.write(stream.Context(), client, part.Input); err != nil {
				return err
			}
		case *agentproto.ShellRequest_Size:
			s.resize(part.Size)
		case *agentproto.ShellRequest_Acknowledge:
			s.acknowledge(client, part.Acknowledge)
		case *agentproto.ShellRequest_Close:
			s.hangUp()
		}
	}
}

// send gives the client the session's output from offset on, and its end.
func (s *shell) send(stream grpc.BidiStreamingServer[agentproto.ShellRequest, agentproto.ShellResponse], client *shellClient, offset uint64) error {
	for {
		data, end, err := s.next(stream.Context(), client, offset)
		switch {
		case err != nil:
			return err
		case end != nil:
			return stream.Send(&agentproto.ShellResponse{Part: &agentproto.ShellResponse_End{End: end}})
		}
		out := &agentproto.ShellOutput{Offset: offset, Data: data}
		if err := stream.Send(&agentproto.ShellResponse{Part: &agentproto.ShellResponse_Output{Output: out}}); err != nil {
			return err
		}
		offset += uint64(len(data))
	}
}
