package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
)

func sshFigures() []figure {
	return []figure{{name: "start_ssh", unit: "ratio", goal: 0.3, measure: startSSH}}
}

// startSSH compares the time from the call "run" to the first byte of output at a
// viewer, on a host that is connected, with that of OpenSSH over a connection
// that it keeps open.
func startSSH(ctx context.Context, m *machine) (float64, error) {
	host, err := testenv.StartSSH(testenv.SSHOptions{})
	if err != nil {
		return 0, err
	}
	defer func() { _ = host.Remove() }() // the engine tells of what is left
	s, err := m.site(ctx, "--pool", "0")
	if err != nil {
		return 0, err
	}
	defer s.close()
	event, err := s.onHost(ctx, host)
	if err != nil {
		return 0, err
	}
	openSSH, end, err := master(ctx, m, host)
	if err != nil {
		return 0, err
	}
	defer end()
	var ours, theirs []float64
	for tries := range startRounds + 5 {
		took, _, err := s.firstByte(ctx, event)
		if err != nil {
			return 0, err
		}
		other, err := openSSH()
		if err != nil {
			return 0, err
		}
		if tries >= 5 { // the first ones connect and fill caches
			ours, theirs = append(ours, took), append(theirs, other)
		}
	}
	fmt.Printf("  ours %.1f ms (p90 %.1f), OpenSSH %.1f ms\n", median(ours), quantile(ours, 0.9), median(theirs))
	return median(ours) / median(theirs), nil
}

// onHost makes a server of the host and an event that runs there.
func (s *site) onHost(ctx context.Context, host *testenv.SSHHost) (cronium.ID, error) {
	var server struct{ ID cronium.ID }
	err := s.Try(ctx, http.MethodPost, "/api/v1/servers", nil, map[string]any{
		"name": "bench", "address": host.Address, "port": host.Port, "user": "bash", "private_key": string(host.PrivateKey),
		"host_key": "ssh-ed25519 " + base64.StdEncoding.EncodeToString(host.HostKey),
	}, &server)
	if err != nil {
		return cronium.ID{}, err
	}
	return s.python(ctx, "print", "print(1)\n", func(c *cronium.Content) {
		c.Target, c.Network = cronium.TargetServers, cronium.NetworkFull
		c.On = &cronium.Fleet{Servers: []cronium.ID{server.ID}, Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	})
}

// master opens a connection of OpenSSH that its next commands use, and gives
// what runs one and tells the milliseconds to its first byte.
func master(ctx context.Context, m *machine, host *testenv.SSHHost) (run func() (float64, error), end func(), err error) {
	key, socket := filepath.Join(m.dir, "ssh-key"), filepath.Join(m.dir, "ssh-master")
	if err := os.WriteFile(key, host.PrivateKey, 0o600); err != nil {
		return nil, nil, err
	}
	ssh := func(args ...string) *exec.Cmd {
		command := exec.CommandContext(ctx, "ssh", append([]string{
			"-F", "none", "-i", key, "-p", strconv.Itoa(host.Port), "-o", "ControlPath=" + socket,
			"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"}, args...)...)
		command.Stderr = os.Stderr
		return command
	}
	if err := ssh("-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-f", "-N", "bash@"+host.Address).Run(); err != nil {
		return nil, nil, fmt.Errorf("open a connection with OpenSSH: %w", err)
	}
	run = func() (float64, error) {
		command := ssh("bash@"+host.Address, "python3", "-c", "'print(1)'")
		output, err := command.StdoutPipe()
		if err != nil {
			return 0, err
		}
		start := time.Now()
		if err := command.Start(); err != nil {
			return 0, err
		}
		if _, err := output.Read(make([]byte, 1)); err != nil {
			return 0, err
		}
		took := milliseconds(time.Since(start))
		return took, command.Wait()
	}
	return run, func() { _ = ssh("-O", "exit", host.Address).Run() }, nil
}
