package executor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// answering is a sink whose calls end when they are released.
type answering struct {
	counter
	mu      sync.Mutex
	begun   []uint64
	working chan struct{} // one for each call that began
	release chan struct{} // one for each that may end
	used    chan struct{} // one for each time that usage was told
}

func (a *answering) Usage(context.Context, *proto.Usage) { a.used <- struct{}{} }

func (a *answering) Call(ctx context.Context, call *proto.HelperCall) *proto.HelperAnswer {
	a.mu.Lock()
	a.begun = append(a.begun, call.GetNumber())
	a.mu.Unlock()
	a.working <- struct{}{}
	select {
	case <-a.release:
	case <-ctx.Done():
	}
	return &proto.HelperAnswer{Result: []byte(`1`)}
}

func newAnswering() *answering {
	return &answering{working: make(chan struct{}, 100), release: make(chan struct{}, 100), used: make(chan struct{}, 100)}
}

// asker is an agent that sends what it is given and gathers answers.
type asker struct {
	proto.UnimplementedAgentServer
	sends   []*proto.AttachResponse
	answers chan *proto.HelperAnswer
	finish  chan struct{} // closed: the script ends
	cut     chan struct{} // one for each stream that breaks
}

func (a *asker) Info(context.Context, *proto.InfoRequest) (*proto.InfoResponse, error) {
	return &proto.InfoResponse{Instance: "i"}, nil
}

func (a *asker) Attach(stream proto.Agent_AttachServer) error {
	for _, m := range a.sends {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	go func() { // ends with the stream
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if answer := m.GetAnswer(); answer != nil {
				a.answers <- answer
			}
		}
	}()
	select {
	case <-a.finish:
		_ = stream.Send(end)
		<-stream.Context().Done()
	case <-a.cut:
		return context.Canceled
	case <-stream.Context().Done():
	}
	return nil
}

func call(number uint64, method string) *proto.AttachResponse {
	return &proto.AttachResponse{Part: &proto.AttachResponse_Call{Call: &proto.HelperCall{Number: number, Method: method}}}
}

// driven drives an agent that asks, until the test ends.
func driven(t *testing.T, agent *asker, sink Sink) <-chan error {
	t.Helper()
	agent.answers, agent.finish, agent.cut = make(chan *proto.HelperAnswer, 200), make(chan struct{}), make(chan struct{})
	run := Run{ExecutionID: cronium.NewID(), Started: true, Cancel: make(chan struct{}), Lane: func(method string) string {
		lane, _, _ := strings.Cut(method, ".")
		return lane
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() {
		_, err := Drive(ctx, impostorPlace{agent}, run, sink)
		done <- err
	}()
	return done
}

func TestASlowCallHoldsUpNeitherOutputNorOthers(t *testing.T) {
	t.Parallel()
	agent := &asker{sends: []*proto.AttachResponse{started, call(1, ".slow"), call(2, ".slow"), output(0, 10)}}
	sink := newAnswering()
	done := driven(t, agent, sink)
	<-sink.working
	<-sink.working // both at once
	close(agent.finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if sink.bytes != 10 {
		t.Errorf("%d bytes were stored while calls waited, want 10", sink.bytes)
	}
}

func TestCallsOfALaneFollowOneAnother(t *testing.T) {
	t.Parallel()
	agent := &asker{sends: []*proto.AttachResponse{started, call(1, "variable.set"), call(2, "variable.get"), call(3, ".other"), call(4, "variable.set")}}
	sink := newAnswering()
	driven(t, agent, sink)
	<-sink.working
	<-sink.working
	sink.mu.Lock()
	slices.Sort(sink.begun)
	if want := []uint64{1, 3}; !slices.Equal(sink.begun, want) {
		t.Errorf("calls %d were worked on, want %d", sink.begun, want)
	}
	sink.mu.Unlock()
	for range 4 {
		sink.release <- struct{}{}
	}
	for range 4 {
		<-agent.answers
	}
	if want := []uint64{2, 4}; !slices.Equal(sink.begun[2:], want) {
		t.Errorf("then %d, want %d", sink.begun[2:], want)
	}
}

func TestNoMoreCallsAreWorkedOnAtOnceThanMayBe(t *testing.T) {
	t.Parallel()
	sends := []*proto.AttachResponse{started}
	for n := range uint64(callsAtOnce + callsWaiting + 1) {
		sends = append(sends, call(n+1, ".x"))
	}
	agent := &asker{sends: sends}
	sink := newAnswering()
	driven(t, agent, sink)
	refused := <-agent.answers
	if refused.GetError().GetStatus() != 429 || refused.GetNumber() != callsAtOnce+callsWaiting+1 {
		t.Errorf("the first answer is %v, want that the last call is one too many", refused)
	}
	sink.mu.Lock()
	if len(sink.begun) > callsAtOnce {
		t.Errorf("%d calls were worked on at once, want %d", len(sink.begun), callsAtOnce)
	}
	sink.mu.Unlock()
	for range callsAtOnce + callsWaiting {
		sink.release <- struct{}{}
	}
	for range callsAtOnce + callsWaiting {
		if answer := <-agent.answers; answer.GetError() != nil {
			t.Errorf("call %d was not answered: %v", answer.GetNumber(), answer.GetError())
		}
	}
}

func TestACallIsNotBegunAgainWhileItIsWorkedOn(t *testing.T) {
	t.Parallel()
	usage := &proto.AttachResponse{Part: &proto.AttachResponse_Usage{Usage: &proto.Usage{}}}
	agent := &asker{sends: []*proto.AttachResponse{started, call(1, ".slow"), usage}}
	sink := newAnswering()
	driven(t, agent, sink)
	<-sink.used
	agent.cut <- struct{}{}
	<-sink.used // the call has come a second time
	sink.release <- struct{}{}
	if answer := <-agent.answers; answer.GetNumber() != 1 || string(answer.GetResult()) != "1" {
		t.Errorf("the answer is %v", answer)
	}
	if len(sink.begun) != 1 {
		t.Errorf("the call was begun %d times", len(sink.begun))
	}
}
