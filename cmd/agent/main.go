// Command cronium-agent runs on a target: in a container, on a host that is
// reached over SSH, or beside the server. See package agent/program.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"cronium.dev/agent/helper"
	"cronium.dev/agent/program"
)

// version is set when a release is built: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := program.Run(ctx, os.Args, version)
	stop()
	if err != nil {
		os.Exit(exitCode(err))
	}
}

// exitCode says what went wrong, if there is anything to say, and gives the code
// to exit with.
func exitCode(err error) int {
	exit := &helper.Exit{Code: 1, Err: err}
	errors.As(err, &exit)
	if exit.Err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), exit.Err)
	}
	return exit.Code
}
