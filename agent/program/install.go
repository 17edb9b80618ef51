package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cronium.dev/agent/dial"
)

const (
	unitName = "cronium-agent.service"
	unitPath = "/etc/systemd/system/" + unitName
)

// unit has systemd run the agent. What scripts need of the machine is theirs to
// say, so nothing is taken from them here. KillMode=mixed lets the agent end its
// scripts in good order.
const unit = `[Unit]
Description=Cronium agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=%s run --state %s
EnvironmentFile=-/etc/default/cronium-agent
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=90
LimitNOFILE=65536
OOMPolicy=continue

[Install]
WantedBy=multi-user.target
`

// install has systemd run the agent of a machine that has joined.
func install(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	state := flags.String("state", defaultState(), "`directory` that join has filled")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := canInstall(); err != nil {
		return err
	}
	return installService(ctx, *state, out)
}

// canInstall tells early what would hinder it.
func canInstall() error {
	if os.Getuid() != 0 {
		return errors.New("only root can have systemd run the agent; as a person, run: cronium-agent run")
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("systemd does not run this machine; have its own init run: cronium-agent run")
	}
	return nil
}

// installService puts the binary where the agent can put a newer one in its place,
// writes the unit and starts it.
func installService(ctx context.Context, state string, out io.Writer) error {
	if _, err := dial.Load(state); err != nil {
		return err
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if strings.ContainsAny(state, " \t\n\"'\\%$") {
		return fmt.Errorf("install: systemd would not take the path %q as it is; choose one of letters, digits, hyphens and dots", state)
	}
	binary, err := placeBinary(state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(unitPath, fmt.Appendf(nil, unit, binary, state), 0o644); err != nil {
		return fmt.Errorf("install: %w", err)
	}
	for _, command := range [][]string{{"daemon-reload"}, {"enable", unitName}, {"restart", unitName}} {
		systemctl := exec.CommandContext(ctx, "systemctl", command...)
		systemctl.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
		if said, err := systemctl.CombinedOutput(); err != nil {
			return fmt.Errorf("install: systemctl %s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(said)))
		}
	}
	fmt.Fprintf(out, "systemd runs the agent now (%s); journalctl -u cronium-agent shows what it says.\n", unitPath)
	return nil
}

// placeBinary copies this program into the state directory.
func placeBinary(state string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	path := filepath.Join(state, "cronium-agent")
	if self == path {
		return path, nil
	}
	from, err := os.Open(self)
	if err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	defer from.Close()
	to, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("install: %w", err)
	}
	return path, nil
}
