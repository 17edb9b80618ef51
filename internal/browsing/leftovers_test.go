package browsing

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"
)

// label is what all containers of the installation carry. The server must run.
func (s *site) label(ctx context.Context) (string, error) {
	address, err := s.Database()
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var name string
	err = conn.QueryRow(ctx, `SELECT value #>> '{}' FROM settings WHERE key = 'instance'`).Scan(&name)
	return "cronium.instance=" + name, err
}

// removeContainers removes the containers with the label and tells how many
// there were.
func (s *site) removeContainers(ctx context.Context, label string) (int, error) {
	docker := func(args ...string) (string, error) {
		said, err := exec.CommandContext(ctx, "docker", append([]string{"--host", s.Engine}, args...)...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("docker %s: %w: %s", args[0], err, said)
		}
		return string(said), nil
	}
	said, err := docker("ps", "--all", "--quiet", "--no-trunc", "--filter", "label="+label)
	ids := strings.Fields(said)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	_, err = docker(append([]string{"rm", "--force"}, ids...)...)
	return len(ids), err
}
