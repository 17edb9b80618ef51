package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// process is what the tests of this process share. Tests are handed nothing
// but a *testing.T, so it is the one variable of this package.
var process struct {
	mu      sync.Mutex
	running bool
	atEnd   []func()

	server     *server
	startError error
}

// Main runs the tests and then ends what they shared. It does not return.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a package that has more to do: it gives the exit code.
func Run(m *testing.M) int {
	if path := os.Getenv(withoutNetlink); path != "" {
		fmt.Fprintln(os.Stderr, "start", path, "without netlink:", becomeWithoutNetlink(path))
		return 1
	}
	process.running = true
	code := m.Run()
	process.mu.Lock()
	ends := process.atEnd
	process.mu.Unlock()
	for _, end := range slices.Backward(ends) {
		end()
	}
	return code
}

// AtEnd has Main call f when all tests have ended, the latest f first. It
// fails the test of a package without Main, whose f would never be called.
func AtEnd(t testing.TB, f func()) {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if !process.running {
		t.Fatal("this package needs: func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	process.atEnd = append(process.atEnd, f)
}

// shared returns this process's use of the PostgreSQL for tests.
func shared(t testing.TB) *server {
	t.Helper()
	process.mu.Lock()
	first := process.server == nil && process.startError == nil
	if first {
		process.server, process.startError = startServer(context.Background())
	}
	s, err := process.server, process.startError
	process.mu.Unlock()
	if err != nil {
		t.Fatalf("start PostgreSQL for tests: %v", err)
	}
	if first {
		AtEnd(t, func() {
			if err := s.stop(); err != nil {
				fmt.Fprintln(os.Stderr, "stop PostgreSQL for tests:", err)
			}
		})
	}
	return s
}

// Root is the folder of go.mod, above the current one.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the current folder")
		}
		dir = parent
	}
}
