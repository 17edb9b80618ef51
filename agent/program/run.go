package program

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"cronium.dev/agent"
	"cronium.dev/agent/dial"
	"cronium.dev/agent/supervisor"
)

// installedFlags are those of run, which it hands to the agent that it starts.
type installedFlags struct {
	state  string
	cache  int64
	spread time.Duration
}

func (f *installedFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.state, "state", defaultState(), "`directory` that join has filled")
	flags.Int64Var(&f.cache, "cache", agent.DefaultCacheBytes, "`bytes` of files sent before that are kept")
	flags.DurationVar(&f.spread, "reconnect", 0, "bound of the random `time` before a lost connection is dialled again, so that many agents do not come at once; 0 means 5s")
}

// run is the supervisor of the agent of a machine that has joined.
func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	var f installedFlags
	f.add(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	state, err := filepath.Abs(f.state)
	if err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if _, err := dial.Load(state); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the agent's own binary: %w", err)
	}
	saveMemory()
	return supervisor.Run(ctx, supervisor.Config{
		State: state, Program: program, Log: slog.New(slog.NewJSONHandler(os.Stderr, nil)),
		Flags: []string{"--cache", fmt.Sprint(f.cache), "--reconnect", f.spread.String()},
	})
}

// attend is the agent itself, as its supervisor starts it.
func attend(ctx context.Context, args []string, version string) error {
	flags := flag.NewFlagSet("attend", flag.ContinueOnError)
	var f installedFlags
	f.add(flags)
	number := flags.Int("slot", 1, "`number` of its directory")
	program := flags.String("program", "", "`file` that an update takes the place of")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	identity, err := dial.Load(f.state)
	if err != nil {
		return err
	}
	saveMemory()
	if err := keepToItself(); err != nil {
		return err
	}
	holdThreads(spareThreads)
	reports, slot := supervisor.OpenReports(), supervisor.NewSlot(f.state, *number)
	a, err := agent.New(agent.Config{
		Spool: slot.Spool(), Work: slot.Work(), Target: identity.Target(), PublicKey: identity.ServerKey(),
		CacheBytes: f.cache, Version: version, Program: *program, Log: log,
		Installed: &agent.Installed{
			Renew: identity.Renew, Others: slot.Others, Program: *program,
			Updated: func(u agent.Update) error { return reports.Send(supervisor.Report{Update: &u}) },
		},
	})
	if err != nil {
		return err
	}
	listener := dial.NewListener(identity, version, log)
	listener.FirstWait = f.spread
	listener.Connected = func() {
		if err := reports.Send(supervisor.Report{Connected: true}); err != nil {
			log.Warn("the supervisor does not listen", "error", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go obey(os.Stdin, a, cancel) // ends with the program: nothing can end a read of it
	return errors.Join(a.Serve(ctx, agent.Streams{Dialled: listener}), a.Close())
}

// obey does what the supervisor says, and ends the agent when that is gone.
func obey(input io.Reader, a *agent.Agent, end context.CancelFunc) {
	defer end()
	for lines := bufio.NewScanner(input); lines.Scan(); {
		if lines.Text() == supervisor.Drain {
			a.Drain()
		}
	}
}
