package ssh_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/internal/testenv"
)

// scattered gives each place a server of its own, all of them the same host, so
// that a test may kill an agent that the others do not use.
type scattered struct {
	executor.Backend
	servers *directory
}

func (s scattered) Create(ctx context.Context, spec executor.Spec, progress func(string)) (executor.Place, error) {
	spec.ServerID = cronium.NewID()
	return s.Backend.Create(ctx, spec, progress)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	h := testenv.SharedSSH(t)
	b := newBench(t)
	usual := to(h, "bash")
	b.servers.usual = &usual
	var one sync.Mutex // docker exec at a time
	conformance.Run(t, conformance.Target{
		Backend: scattered{b.Backend, b.servers}, Key: b.key,
		Kill: func(t *testing.T, place executor.Place) {
			t.Helper()
			one.Lock()
			defer one.Unlock()
			// All that the agent has, and then the agent: nothing is left to
			// start it on.
			server, _, _ := strings.Cut(place.Ref(), "/")
			h.Exec(t, `pid=$(pgrep -f -- "^/[^ ]*/agent-[0-9a-f]* serve --target server-`+server+` ")
				spool=$(tr '\0' '\n' </proc/$pid/cmdline | grep -A 1 -x -e --spool | tail -n 1)
				rm -rf "${spool%/*}"; kill -9 $pid`)
		},
	})
}
