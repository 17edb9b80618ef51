package agent_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	agentproto "cronium.dev/agent/proto"
)

// follower attaches to an execution and gathers what comes.
type follower struct {
	t       testing.TB
	stream  agentproto.Agent_AttachClient
	cancel  context.CancelFunc
	offset  uint64
	output  []byte
	streams []agentproto.Stream // of each byte of output
	records int
	started bool
	finish  *agentproto.Finish
	// answer answers helper calls; nil leaves them.
	answer func(*agentproto.HelperCall) *agentproto.HelperAnswer
	quiet  bool // no acknowledgements
	ignore bool // output is counted, not kept
}

func follow(t testing.TB, client agentproto.AgentClient, id string, from uint64) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.Attach(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{t: t, stream: stream, cancel: cancel, offset: from}
	stream.Send(&agentproto.AttachRequest{Part: &agentproto.AttachRequest_Open{
		Open: &agentproto.AttachOpen{ExecutionId: id, FromOffset: from},
	}})
	return f
}

// next takes one message. It fails the test at a gap or a repeat.
func (f *follower) next() error {
	in, err := f.stream.Recv()
	if err != nil {
		return err
	}
	switch part := in.GetPart().(type) {
	case *agentproto.AttachResponse_Started:
		f.started = true
	case *agentproto.AttachResponse_Output:
		if part.Output.GetOffset() != f.offset {
			f.t.Errorf("output at %d came where %d was next", part.Output.GetOffset(), f.offset)
		}
		f.offset += uint64(len(part.Output.GetData()))
		f.records++
		if !f.ignore {
			f.output = append(f.output, part.Output.GetData()...)
			for range part.Output.GetData() {
				f.streams = append(f.streams, part.Output.GetStream())
			}
		}
		if !f.quiet {
			f.acknowledge(int(f.offset))
		}
	case *agentproto.AttachResponse_Call:
		if f.answer != nil {
			if a := f.answer(part.Call); a != nil {
				f.stream.Send(&agentproto.AttachRequest{Part: &agentproto.AttachRequest_Answer{Answer: a}})
			}
		}
	case *agentproto.AttachResponse_Finish:
		f.finish = part.Finish
	}
	return nil
}

// until takes messages until the condition holds.
func (f *follower) until(what string, condition func() bool) {
	f.t.Helper()
	for !condition() {
		if f.finish != nil {
			f.t.Fatalf("it ended before %s: %v (output %.300q)", what, f.finish, f.output)
		}
		if err := f.next(); err != nil {
			f.t.Fatalf("wait for %s: %v (output so far %.300q, end %v)", what, err, f.output, f.finish)
		}
	}
}

// of is the output of one stream.
func (f *follower) of(stream agentproto.Stream) []byte {
	var only []byte
	for i, b := range f.output {
		if f.streams[i] == stream {
			only = append(only, b)
		}
	}
	return only
}

// acknowledge tells that all before an offset is stored.
func (f *follower) acknowledge(offset int) {
	f.stream.Send(&agentproto.AttachRequest{Part: &agentproto.AttachRequest_Acknowledge{Acknowledge: uint64(offset)}})
}

func (f *follower) untilOutput(text string) {
	f.t.Helper()
	f.until(fmt.Sprintf("output %q", text), func() bool { return bytes.Contains(f.output, []byte(text)) })
}

// end follows to the end.
func (f *follower) end() *agentproto.Finish {
	f.t.Helper()
	f.until("the end", func() bool { return f.finish != nil })
	f.cancel()
	return f.finish
}

// run starts a job and follows it to its end.
func (m *machine) run(j *job) *follower {
	m.t.Helper()
	client := m.client()
	m.mustStart(client, j)
	f := follow(m.t, client, j.ExecutionId, 0)
	f.end()
	return f
}

func (f *follower) wantExit(code int32) {
	f.t.Helper()
	if f.finish.GetOutcome() != agentproto.Outcome_OUTCOME_EXITED || f.finish.GetExitCode() != code {
		f.t.Fatalf("it ended with %v, want exit code %d; output %.500q", f.finish, code, f.output)
	}
}

func wantOutcome(t testing.TB, got *agentproto.Finish, want agentproto.Outcome) {
	t.Helper()
	if got.GetOutcome() != want {
		t.Fatalf("it ended with %v, want %v", got, want)
	}
}
