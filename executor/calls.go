package executor

import (
	"context"
	"net/http"
	"sync"

	"cronium.dev/agent/proto"
)

// Bounds of the helper calls of one execution.
const (
	callsAtOnce  = 8       // that are worked on side by side
	callsWaiting = 64      // as many as an agent keeps for its script
	waitingBytes = 8 << 20 // of their parameters
)

// calls works on a script's helper calls beside its output, so that a slow one
// holds up nothing else. It lives as long as the drive: a call that the agent
// sends again after a cut, while the first is still worked on, is answered by
// that one.
type calls struct {
	ctx    context.Context
	answer func(context.Context, *proto.HelperCall) *proto.HelperAnswer
	lane   func(method string) string

	mu      sync.Mutex
	known   map[uint64]bool // by number: waits or is worked on
	waiting []*proto.HelperCall
	busy    map[string]bool // lanes
	bytes   int             // of waiting
	working int
	out     *sender // of the present stream
	done    sync.WaitGroup
}

// newCalls begins with none. lane may be nil.
func newCalls(ctx context.Context, answer func(context.Context, *proto.HelperCall) *proto.HelperAnswer, lane func(string) string) *calls {
	if lane == nil {
		lane = func(string) string { return "" }
	}
	return &calls{ctx: ctx, answer: answer, lane: lane, known: map[uint64]bool{}, busy: map[string]bool{}}
}

// attach says where answers go from now on.
func (c *calls) attach(out *sender) {
	c.mu.Lock()
	c.out = out
	c.mu.Unlock()
}

// wait returns when nothing is worked on any more, after the context has ended.
func (c *calls) wait() { c.done.Wait() }

// add takes a call, whose answer is sent some time later. Beyond what may wait
// it is refused.
func (c *calls) add(call *proto.HelperCall) {
	if !c.take(call) {
		c.out.answer(&proto.HelperAnswer{Number: call.GetNumber(), Error: &proto.HelperError{
			Status:  http.StatusTooManyRequests,
			Message: "Too many calls of this script wait for an answer already. Wait for some of them first.",
		}})
	}
}

func (c *calls) take(call *proto.HelperCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[call.GetNumber()] {
		return true
	}
	if len(c.waiting) >= callsWaiting || c.bytes+len(call.GetParams()) > waitingBytes {
		return false
	}
	c.known[call.GetNumber()] = true
	c.waiting = append(c.waiting, call)
	c.bytes += len(call.GetParams())
	c.begin()
	return true
}

// begin starts what may be worked on now, in the order in which it came. The
// caller holds mu.
func (c *calls) begin() {
	passed := map[string]bool{} // lanes in which an earlier one waits
	left := c.waiting[:0]
	for _, call := range c.waiting {
		lane := c.lane(call.GetMethod())
		if c.ctx.Err() != nil || c.working >= callsAtOnce || lane != "" && (c.busy[lane] || passed[lane]) {
			passed[lane] = true
			left = append(left, call)
			continue
		}
		c.working++
		c.bytes -= len(call.GetParams())
		c.busy[lane] = true
		c.done.Go(func() { c.work(call, lane) })
	}
	clear(c.waiting[len(left):])
	c.waiting = left
}

func (c *calls) work(call *proto.HelperCall, lane string) {
	answer := c.answer(c.ctx, call)
	answer.Number = call.GetNumber()
	c.mu.Lock()
	c.working--
	delete(c.busy, lane)
	delete(c.known, call.GetNumber())
	out := c.out
	c.begin()
	c.mu.Unlock()
	if c.ctx.Err() == nil { // else it may tell of no more than our own end
		out.answer(answer)
	}
}

// sender lets several goroutines send on one stream, which takes one message at
// a time. Why a send failed the stream's receiver tells.
type sender struct {
	mu     sync.Mutex
	stream attachStream
}

func (s *sender) send(m *proto.AttachRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.stream.Send(m)
}

func (s *sender) answer(a *proto.HelperAnswer) {
	s.send(&proto.AttachRequest{Part: &proto.AttachRequest_Answer{Answer: a}})
}
