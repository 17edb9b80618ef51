// Package program is the command line of cronium-agent.
//
//	serve     answer on a socket, and in a container on standard input and output
//	connect   join standard input and output to that socket; with --ensure,
//	          to the agent of a directory, which it starts where none answers
//	join      make this machine a server of a Cronium, reached by an agent that dials
//	run       be that agent
//	install   have systemd run it
//	remove    end the agent of a directory and remove it
//	firewall  rules for a network interface, for a helper container of the server
//	helper    what scripts know as `cronium`; that name in argv[0] does the same
package program

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"cronium.dev/agent"
	"cronium.dev/agent/firewall"
	"cronium.dev/agent/helper"
)

const usage = `cronium-agent: runs scripts for a Cronium server

  cronium-agent serve     answer on a socket (and standard input and output)
  cronium-agent connect   join standard input and output to the socket
  cronium-agent join      make this machine a server of a Cronium
  cronium-agent run       be the agent of a machine that has joined
  cronium-agent install   have systemd run that agent
  cronium-agent remove    end the agent of a directory and remove it
  cronium-agent firewall  keep what is behind a network interface from private networks
  cronium-agent helper    the command that scripts know as "cronium"
  cronium-agent version   say which version this is

  cronium-agent COMMAND --help shows the flags of a command.
`

// Run is the program. args begins with its name, version is the binary's own.
// It ends when the context does; the error is for whoever has called it.
func Run(ctx context.Context, args []string, version string) error {
	err := dispatch(ctx, args, version)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	return err
}

func dispatch(ctx context.Context, args []string, version string) error {
	if filepath.Base(args[0]) == "cronium" {
		return helper.Command(args[1:], os.Getenv, os.Stdin, os.Stdout)
	}
	if len(args) < 2 {
		return errors.New("no command is given; \"cronium-agent help\" lists them")
	}
	switch name, rest := args[1], args[2:]; name {
	case "serve":
		return serve(ctx, rest, version)
	case "connect":
		return connect(ctx, rest)
	case "join":
		return join(ctx, rest, version, os.Stdout)
	case "run":
		return run(ctx, rest)
	case "attend": // for run alone, so help does not name it
		return attend(ctx, rest, version)
	case "install":
		return install(ctx, rest, os.Stdout)
	case "remove":
		return remove(ctx, rest)
	case "firewall":
		return runFirewall(rest, os.Stdout)
	case "helper":
		return helper.Command(rest, os.Getenv, os.Stdin, os.Stdout)
	case "version", "--version":
		fmt.Println(version)
		return nil
	case "help", "--help", "-h":
		fmt.Print(usage)
		return nil
	default:
		return fmt.Errorf("there is no command %q; \"cronium-agent help\" lists them", name)
	}
}

func serve(ctx context.Context, args []string, version string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	config := agent.Config{Version: version}
	var streams agent.Streams
	var key string
	var stdio bool
	flags.StringVar(&config.Spool, "spool", "", "`directory` of what must not get lost")
	flags.StringVar(&config.Work, "work", "", "`directory` in which scripts run")
	flags.StringVar(&config.Target, "target", "", "`id` that manifests must name")
	flags.StringVar(&key, "public-key", "", "Ed25519 public key of the server, `base64`")
	flags.StringVar(&streams.Socket, "socket", "", "`path` of the Unix socket")
	flags.BoolVar(&stdio, "stdio", false, "answer on standard input and output as well")
	flags.DurationVar(&streams.Idle, "idle-exit", 0, "end when nobody was connected and nothing ran for this `time`")
	flags.BoolVar(&config.Single, "single", false, "run one script only")
	flags.Int64Var(&config.CacheBytes, "cache", agent.DefaultCacheBytes, "`bytes` of files sent before that are kept")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for _, name := range []string{"spool", "work", "target", "public-key", "socket"} {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("serve needs --%s", name)
		}
	}
	public, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(public) != ed25519.PublicKeySize {
		return fmt.Errorf("--public-key must be %d bytes in base64", ed25519.PublicKeySize)
	}
	config.PublicKey = public
	if config.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find the agent's own binary: %w", err)
	}
	if stdio {
		if streams.Stdio, err = agent.Stdio(); err != nil {
			return err
		}
	}
	saveMemory()
	if err := keepToItself(); err != nil {
		return err
	}
	holdThreads(spareThreads)
	config.Log = slog.New(slog.NewJSONHandler(newLog(os.Stderr), nil))
	a, err := agent.New(config)
	if err != nil {
		return err
	}
	return errors.Join(a.Serve(ctx, streams), a.Close())
}

// saveMemory keeps an agent that mostly waits small. The limit is far above what
// it needs: near it the collector only works harder.
func saveMemory() {
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(48 << 20)
}

// keepToItself hides the agent's memory and open streams from a script of the
// same user: no ptrace, no /proc/1/mem, no /proc/1/fd.
func keepToItself() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the agent's memory: %w", err)
	}
	return nil
}

func connect(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("connect", flag.ContinueOnError)
	socket := flags.String("socket", "", "`path` of the agent's Unix socket")
	peer := flags.Int("peer", 0, "`process` that must listen there, if not 0")
	wait := flags.Duration("wait", 5*time.Second, "how long to wait for an agent that is starting")
	var home agent.Home
	flags.StringVar(&home.Dir, "ensure", "", "`directory` of an agent that is started if none answers there")
	flags.StringVar(&home.Target, "target", "", "with --ensure: `id` that manifests must name")
	flags.StringVar(&home.PublicKey, "public-key", "", "with --ensure: Ed25519 public key of the server, `base64`")
	flags.DurationVar(&home.Idle, "idle-exit", 0, "with --ensure: the agent ends when nobody was connected and nothing ran for this `time`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if (*socket == "") == (home.Dir == "") {
		return errors.New("connect needs --socket or --ensure")
	}
	if err := keepToItself(); err != nil {
		return err
	}
	if home.Dir == "" {
		return agent.Connect(ctx, *socket, *peer, *wait, os.Stdin, os.Stdout)
	}
	var err error
	if home.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find the agent's own binary: %w", err)
	}
	return home.Join(ctx, *wait, os.Stdin, os.Stdout)
}

func remove(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("remove", flag.ContinueOnError)
	dir := flags.String("dir", "", "`directory` of the agent")
	wait := flags.Duration("wait", 10*time.Second, "how long to wait for the agent to end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		return errors.New("remove needs --dir")
	}
	return agent.Home{Dir: *dir}.Remove(ctx, *wait)
}

func runFirewall(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("firewall", flag.ContinueOnError)
	device := flags.String("interface", "", "`name` of the network interface")
	remove := flags.Bool("remove", false, "remove the rules")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *remove {
		return firewall.Remove(*device, out)
	}
	return firewall.Apply(*device, out)
}
