package testenv

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// RuntimeImage is the image that `make setup` makes: Python, Node.js and Bash.
const RuntimeImage = "cronium-runtime:latest"

const engineLimit = 10 * time.Second

// Engine returns the address of the container engine, as the Docker client
// takes it. The test fails if none answers there or it has no RuntimeImage.
func Engine(t testing.TB) string {
	t.Helper()
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	for _, path := range []string{"/_ping", "/images/" + RuntimeImage + "/json"} {
		if err := ask(t.Context(), host, path); err != nil {
			t.Fatalf("container engine: %v; run make setup", err)
		}
	}
	return host
}

// ask speaks to the engine by plain HTTP, so that each package that tests with
// it need not compile its client.
func ask(ctx context.Context, host, path string) error {
	network, address, ok := strings.Cut(host, "://")
	if !ok {
		return fmt.Errorf("DOCKER_HOST is %q, want unix://PATH or tcp://HOST:PORT", host)
	}
	client := http.Client{
		Timeout: engineLimit,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", path, res.Status)
	}
	return nil
}
