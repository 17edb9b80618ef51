package agent_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"cronium.dev/agent/program"
)

// TestMain makes the test binary the agent itself when it is started as one, so
// that tests meet a real process that they can kill.
func TestMain(m *testing.M) {
	known := map[string]bool{"serve": true, "connect": true}
	if filepath.Base(os.Args[0]) == "cronium" || len(os.Args) > 1 && known[os.Args[1]] {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := program.Run(ctx, os.Args, "test")
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
