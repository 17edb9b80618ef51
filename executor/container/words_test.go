package container

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

func TestOldRuncIsRecognised(t *testing.T) {
	t.Parallel()
	for version, old := range map[string]bool{
		"1.1.5+ds1": true, "v1.1.11": true, "1.0.0-rc93": true,
		"1.1.12": false, "1.2.0": false, "2.0.0": false, "": false, "unknown": false,
	} {
		if got := oldRunc(version); got != old {
			t.Errorf("runc %q is old: %v, want %v", version, got, old)
		}
	}
}

func TestNameServersAreNeverPrivate(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"1.1.1.1": true, "9.9.9.9": true,
		"10.0.0.2": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.53": false, "169.254.169.253": false,
		"100.64.0.1": false, "198.18.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false,
	} {
		if got := public4(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v, want %v", address, got, want)
		}
	}
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# comment\nsearch lan\nnameserver 192.168.1.1\nnameserver 8.8.8.8\nnameserver 2606:4700::1111\nnameserver\noptions edns0\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := publicIn(file); !slices.Equal(got, []string{"8.8.8.8"}) {
		t.Errorf("name servers are %v, want 8.8.8.8 alone", got)
	}
}

func TestErrorsOfTheEngineAreToldApart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]cronium.Code{
		"Error response from daemon: write /var/lib: no space left on device":                                cronium.CodeUnavailable,
		"Error response from daemon: Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available": cronium.CodeConflict,
		"Error response from daemon: OCI runtime create failed: cannot allocate memory":                      cronium.CodeUnavailable,
		"Error response from daemon: something nobody has seen":                                              cronium.CodeInternal,
	} {
		var told *cronium.Error
		if err := public(errors.New(text), shape{}); !errors.As(err, &told) || told.Code != want {
			t.Errorf("%s: %v, want code %s", text, err, want)
		}
	}
	away := public(fmt.Errorf("create: %w", executor.ErrUnavailable), shape{})
	if !errors.Is(away, executor.ErrUnavailable) || cronium.CodeOf(away) != cronium.CodeUnavailable {
		t.Errorf("an engine that is away: %v", away)
	}
	if cut := public(errNoAnswer, shape{}); !errors.Is(cut, executor.ErrUnavailable) || !strings.Contains(cut.Error(), "tried again") {
		t.Errorf("an agent that did not answer: %v", cut)
	}
	// As the client says it of an attach.
	refused := fmt.Errorf("cannot connect to the Docker daemon: %w", &net.OpError{Op: "dial", Net: "unix", Err: syscall.ENOENT})
	if err := fail(refused, "attach"); !errors.Is(err, executor.ErrUnavailable) {
		t.Errorf("an attach while the engine is away: %v, want ErrUnavailable", err)
	}
	own := cronium.Errorf(cronium.CodeConflict, "as it is")
	if got := public(own, shape{}); got != error(own) {
		t.Errorf("an error for people became %v", got)
	}
}
