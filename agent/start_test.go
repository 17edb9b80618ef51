package agent_test

import (
	"testing"

	agentproto "cronium.dev/agent/proto"
)

func TestScriptRunsAndItsOutputAndEndArrive(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	j := script("bash", "echo out; echo err >&2; cat greeting; exit 7")
	j.add("greeting", "hello\n")
	f := m.run(j)
	f.wantExit(7)
	if got := string(f.of(agentproto.Stream_STREAM_STDOUT)); got != "out\nhello\n" {
		t.Errorf("standard output is %q", got)
	}
	if got := string(f.of(agentproto.Stream_STREAM_STDERR)); got != "err\n" {
		t.Errorf("standard error is %q", got)
	}
	if !f.started || f.finish.GetOutputBytes() != 14 {
		t.Errorf("started %v, end %v", f.started, f.finish)
	}
}
