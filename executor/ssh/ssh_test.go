package ssh_test

import (
	"testing"

	"cronium.dev/executor/conformance"
	"cronium.dev/internal/testenv"
)

func TestAScriptRunsOnAHost(t *testing.T) {
	t.Parallel()
	h := testenv.SharedSSH(t)
	b := newBench(t)
	r := b.on(b.servers.add(to(h, "bash"))).Execute(t, conformance.Bash(`echo "hello from $(whoami)"; exit 3`))
	r.Exited(t, 3)
	if got := r.Sink.Stdout(); got != "hello from bash\n" {
		t.Errorf("it printed %q", got)
	}
}
