package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// signalTimeout bounds one try to have the script stopped; tries follow one
// another while the stream lives.
const signalTimeout = 5 * time.Second

type attachStream = grpc.BidiStreamingClient[proto.AttachRequest, proto.AttachResponse]

// attach follows an execution that the agent knows. One goroutine receives,
// one waits for the wish to cancel, and this one gives everything to the sink
// in order.
func (d *drive) attach(ctx context.Context, l *Link) (*proto.Finish, error) {
	streamCtx, cancel := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()

	stream, err := l.agent.Attach(streamCtx)
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	open := &proto.AttachOpen{ExecutionId: d.run.ExecutionID.String(), FromOffset: d.durable}
	out := &sender{stream: stream}
	out.send(&proto.AttachRequest{Part: &proto.AttachRequest_Open{Open: open}})
	d.calls.attach(out)
	received := newQueue()
	d.told = false
	helpers.Go(func() { receive(streamCtx, stream, received) })
	helpers.Go(func() { d.stopWhenAsked(streamCtx, l) })

	for {
		messages, err := received.take(ctx, d.late())
		if errors.Is(err, errLate) {
			if err := d.settle(ctx, out); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			switch status.Code(err) {
			case codes.NotFound:
				return nil, fmt.Errorf("%w: the agent does not know the execution", ErrGone)
			case codes.OutOfRange:
				return nil, fmt.Errorf("%w: %s", ErrGone, status.Convert(err).Message())
			}
			return nil, fmt.Errorf("attach: %w", err)
		}
		d.progress = true
		finish, err := d.deliver(ctx, out, messages)
		if err != nil {
			return nil, err
		}
		if finish != nil {
			return finish, nil
		}
	}
}

func receive(ctx context.Context, stream attachStream, q *queue) {
	for {
		m, err := stream.Recv()
		if err == nil {
			err = q.put(ctx, m)
		}
		if err != nil {
			q.end(err)
			return
		}
	}
}

// deliver gives messages to the sink in their order, output that follows one
// another in one call. It returns the Finish when that was among them.
func (d *drive) deliver(ctx context.Context, out *sender, messages []*proto.AttachResponse) (*proto.Finish, error) {
	var batch []*proto.Output
	end := d.taken // of the batch
	for _, m := range messages {
		if o := m.GetOutput(); o != nil {
			o, err := follow(o, end)
			if err != nil {
				return nil, err
			}
			if o != nil {
				batch = append(batch, o)
				end += uint64(len(o.GetData()))
			}
			continue
		}
		if m.GetFinish() != nil {
			return m.GetFinish(), d.last(ctx, batch)
		}
		if err := d.store(ctx, out, batch, end); err != nil {
			return nil, err
		}
		batch = nil
		if err := d.notice(ctx, m); err != nil {
			return nil, err
		}
	}
	return nil, d.store(ctx, out, batch, end)
}

// maxRecord is how many bytes a record may have, by the protocol.
const maxRecord = 32 << 10

// errTooLong ends an execution whose agent is none of ours: the script may have
// put itself in its place.
var errTooLong = &cronium.Error{
	Code:    cronium.CodeConflict,
	Message: "The agent sent a piece of output that is longer than agents send, so it was not trusted any more and the run was given up. The script may have replaced it.",
}

// follow makes a record begin at offset: what was stored already is cut off
// (nil: all of it, or it was empty). A gap cannot be mended, because the agent
// sends from where it was asked to.
func follow(o *proto.Output, offset uint64) (*proto.Output, error) {
	size := uint64(len(o.GetData()))
	switch {
	case size > maxRecord:
		return nil, &endError{errTooLong}
	case o.GetOffset() > offset:
		return nil, fmt.Errorf("%w: its output from byte %d to %d is not there any more", ErrGone, offset, o.GetOffset())
	case o.GetOffset()+size <= offset:
		return nil, nil
	case o.GetOffset() == offset:
		return o, nil
	}
	return &proto.Output{
		Offset: offset,
		Stream: o.GetStream(),
		AtUs:   o.GetAtUs(),
		Data:   o.GetData()[offset-o.GetOffset():],
	}, nil
}

// store gives the sink a batch that ends at offset end, and acknowledges what is
// durable.
func (d *drive) store(ctx context.Context, out *sender, batch []*proto.Output, end uint64) error {
	if len(batch) == 0 {
		return nil
	}
	durable, err := d.sink.Output(ctx, batch)
	if err != nil {
		return &endError{fmt.Errorf("store output: %w", err)}
	}
	d.taken = end
	d.acknowledge(out, durable)
	return nil
}

// settle has the sink store what it has in hand.
func (d *drive) settle(ctx context.Context, out *sender) error {
	durable, err := d.sink.Settle(ctx)
	if err != nil {
		return &endError{fmt.Errorf("store output: %w", err)}
	}
	d.acknowledge(out, durable)
	return nil
}

func (d *drive) acknowledge(out *sender, durable uint64) {
	if durable > d.durable {
		out.send(&proto.AttachRequest{Part: &proto.AttachRequest_Acknowledge{Acknowledge: durable}})
		d.inHand = time.Time{}
	}
	d.durable = durable
	switch {
	case durable == d.taken:
		d.inHand = time.Time{}
	case d.inHand.IsZero():
		d.inHand = time.Now()
	}
}

// late fires when the sink has had something in hand for long enough; nil: it has
// nothing.
func (d *drive) late() <-chan time.Time {
	if d.inHand.IsZero() {
		return nil
	}
	return time.After(time.Until(d.inHand.Add(SettleAfter)))
}

// last gives the sink what came with the end. Nothing is acknowledged any more.
func (d *drive) last(ctx context.Context, batch []*proto.Output) error {
	if err := d.sink.Last(ctx, batch); err != nil {
		return &endError{fmt.Errorf("keep the end of the output: %w", err)}
	}
	return nil
}

// notice gives the sink what is neither output nor the end.
func (d *drive) notice(ctx context.Context, m *proto.AttachResponse) error {
	switch part := m.GetPart().(type) {
	case *proto.AttachResponse_Started:
		if d.told {
			return nil // an agent says it once; each time would be a write
		}
		d.told = true
		setup := time.Duration(part.Started.GetSetupUs()) * time.Microsecond
		if err := d.sink.Started(ctx, setup); err != nil {
			return &endError{fmt.Errorf("store the start: %w", err)}
		}
	case *proto.AttachResponse_Usage:
		d.sink.Usage(ctx, part.Usage)
	case *proto.AttachResponse_Call:
		d.calls.add(part.Call)
	}
	return nil
}

// stopWhenAsked waits for the wish to cancel and sends it until the agent has
// it. Each new stream sends it again: the agent takes it once.
func (d *drive) stopWhenAsked(ctx context.Context, l *Link) {
	select {
	case <-d.run.Cancel:
	case <-ctx.Done():
		return
	}
	for {
		once, cancel := context.WithTimeout(ctx, signalTimeout)
		_, err := l.agent.Signal(once, &proto.SignalRequest{
			ExecutionId: d.run.ExecutionID.String(),
			Stop:        proto.Stop_STOP_CANCEL,
		})
		cancel()
		if err == nil || status.Code(err) == codes.NotFound || !pause(ctx, time.Second) {
			return
		}
	}
}
