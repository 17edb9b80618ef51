package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"cronium.dev/agent"
	"cronium.dev/agent/dial"
)

// run is the agent of a machine that has joined.
func run(ctx context.Context, args []string, version string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	state := flags.String("state", defaultState(), "`directory` that join has filled")
	cache := flags.Int64("cache", agent.DefaultCacheBytes, "`bytes` of files sent before that are kept")
	spread := flags.Duration("reconnect", 0, "bound of the random `time` before a lost connection is dialled again, so that many agents do not come at once; 0 means 5s")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	identity, err := dial.Load(*state)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the agent's own binary: %w", err)
	}
	if err := letThrough(*state); err != nil {
		return err
	}
	saveMemory()
	if err := keepToItself(); err != nil {
		return err
	}
	holdThreads(spareThreads)
	a, err := agent.New(agent.Config{
		Spool: filepath.Join(*state, "spool"), Work: filepath.Join(*state, "work"),
		Target: identity.Target(), PublicKey: identity.ServerKey(),
		CacheBytes: *cache, Version: version, Program: program, Log: log, Renew: identity.Renew,
	})
	if err != nil {
		return err
	}
	listener := dial.NewListener(identity, version, log)
	listener.FirstWait = *spread
	return errors.Join(a.Serve(ctx, agent.Streams{Dialled: listener}), a.Close())
}

// letThrough lets scripts of other users, whom root's agent may run as, reach
// their own directories. What is in the state directory itself stays closed.
func letThrough(state string) error {
	if os.Getuid() != 0 {
		return nil
	}
	for _, dir := range []string{state, filepath.Join(state, "work")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("open the state directory: %w", err)
		}
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("open the state directory: %w", err)
		}
	}
	return nil
}
