package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Binaries is the folder that holds cronium and cronium-agent.
type Binaries string

// Build builds both programs into dir.
func Build(ctx context.Context, dir string) (Binaries, error) {
	for name, source := range map[string]string{"cronium": "cronium.dev/cmd/server", "cronium-agent": "cronium.dev/cmd/agent"} {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, said)
		}
	}
	return Binaries(dir), nil
}

// Site is one installation.
type Site struct {
	Binaries Binaries
	Data     string   // the data folder; PostgreSQL's user must be able to enter it
	Logs     string   // a folder for the logs of the server processes
	Engine   string   // address of the container engine; "" = the usual one
	Flags    []string // more flags of cronium serve

	started int
}

// How the administrator of a Site signs in. Nothing is reached with it but that
// site, on this machine's loopback.
const (
	Email    = "admin@example.com"
	Password = "not a secret of anyone"
)

// AddUser makes a person, who signs in with Password.
func (s *Site) AddUser(ctx context.Context, role, name, email string) error {
	_, err := s.command(ctx, Password+"\n", "user", "add", "--role", role, "--name", name, email)
	return err
}

// Token makes an administrator and an API token of theirs that may do all.
func (s *Site) Token(ctx context.Context) (string, error) {
	if err := s.AddUser(ctx, "ADMIN", "Admin", Email); err != nil {
		return "", err
	}
	said, err := s.command(ctx, "", "token", "add", "--name", "load", "--scope", "admin", Email)
	return strings.TrimSpace(said), err
}

// command runs a command of cronium to its end and gives what it printed.
func (s *Site) command(ctx context.Context, input string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, filepath.Join(string(s.Binaries), "cronium"), args...)
	command.Env = s.environment()
	command.Stdin = strings.NewReader(input)
	var said, complaint bytes.Buffer
	command.Stdout, command.Stderr = &said, &complaint
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("cronium %s: %w: %s", strings.Join(args[:2], " "), err, complaint.String())
	}
	return said.String(), nil
}

// environment is all that the programs get: nothing of the developer's own
// settings reaches them.
func (s *Site) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "CRONIUM_DATA=" + s.Data, "CRONIUM_ENGINE=" + s.Engine}
}

// Database gives a connection string for the superuser of the embedded
// PostgreSQL's database, as it runs now.
func (s *Site) Database() (string, error) {
	_, socket, err := s.postmaster()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("host=%s port=5432 user=postgres dbname=cronium", socket), nil
}

// Postmaster is the process id of the embedded PostgreSQL.
func (s *Site) Postmaster() (int, error) {
	pid, _, err := s.postmaster()
	return pid, err
}

func (s *Site) postmaster() (pid int, socket string, err error) {
	text, err := os.ReadFile(filepath.Join(s.Data, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0, "", fmt.Errorf("find PostgreSQL: %w", err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 5 || lines[4] == "" {
		return 0, "", errors.New("PostgreSQL has not yet said where it listens")
	}
	if _, err := fmt.Sscan(lines[0], &pid); err != nil {
		return 0, "", fmt.Errorf("read PostgreSQL's process id: %w", err)
	}
	return pid, lines[4], nil
}
