package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cronium.dev/agent/dial"
	"cronium.dev/agent/tunnel"
)

// codeVariable may hold the code where an argument would show it to others.
const codeVariable = "CRONIUM_JOIN_CODE"

// join makes this machine a server of a Cronium.
func join(ctx context.Context, args []string, version string, out io.Writer) error {
	flags := flag.NewFlagSet("join", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "Usage: cronium-agent join URL --code CODE [flags]\n\nThe page Servers of the Cronium at URL makes codes.\n\n")
		flags.PrintDefaults()
	}
	state := flags.String("state", defaultState(), "`directory` of the agent's key and of what must not get lost")
	code := flags.String("code", "", "the `code` to join with; without it that in --code-file or $"+codeVariable)
	codeFile := flags.String("code-file", "", "`file` that holds the code")
	replace := flags.Bool("replace", false, "join anew although this machine has joined before")
	install := flags.Bool("install", false, "then have systemd run the agent, now and at each start of the machine")
	address, err := parseAround(flags, args)
	if err != nil {
		return err
	}
	parsed, err := readCode(*code, *codeFile)
	if err != nil {
		return err
	}
	if *install {
		if err := canInstall(); err != nil {
			return err
		}
	}
	identity, err := dial.Join(ctx, dial.Joining{URL: address, Code: parsed, Dir: *state, Version: version, Replace: *replace})
	if errors.Is(err, tunnel.ErrServerKey) {
		return fmt.Errorf("%s is not the server that made this code, or someone is in between; nothing was sent to it", address)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "This machine is the server %q of %s now.\n", identity.Name(), identity.URL())
	if *install {
		return installService(ctx, *state, out)
	}
	fmt.Fprintf(out, "To run the agent:            cronium-agent run%s\nTo have systemd run it:      cronium-agent install%s\n", stateFlag(*state), stateFlag(*state))
	return nil
}

// stateFlag is how the state directory is named on a command line.
func stateFlag(state string) string {
	if state == defaultState() {
		return ""
	}
	return " --state " + state
}

// parseAround parses flags that may come before and after the one argument.
func parseAround(flags *flag.FlagSet, args []string) (string, error) {
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	if flags.NArg() == 0 {
		return "", errors.New("join needs the address of the server, like https://cronium.example")
	}
	address := flags.Arg(0)
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return "", err
	}
	if flags.NArg() > 0 {
		return "", fmt.Errorf("join takes one address; %q is too much", flags.Arg(0))
	}
	return address, nil
}

// readCode reads the code from where it was given.
func readCode(code, file string) (tunnel.Code, error) {
	if code == "" && file != "" {
		raw, err := os.ReadFile(file)
		if err != nil {
			return tunnel.Code{}, fmt.Errorf("read the code: %w", err)
		}
		code = string(raw)
	}
	if code == "" {
		code = os.Getenv(codeVariable)
	}
	if strings.TrimSpace(code) == "" {
		return tunnel.Code{}, errors.New("join needs a code: --code, --code-file or $" + codeVariable)
	}
	return tunnel.ParseCode(code)
}

// defaultState is where the agent of root keeps its state, or that of a person.
func defaultState() string {
	if os.Getuid() == 0 {
		return "/var/lib/cronium-agent"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "cronium-agent")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "cronium-agent")
	}
	return "cronium-agent-state"
}
