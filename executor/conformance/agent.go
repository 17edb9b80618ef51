package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// Agent builds the agent's binary into dir, as it is released, and gives its
// path. Tests call it once a test binary.
func Agent(dir string) (string, error) {
	path := filepath.Join(dir, "cronium-agent")
	build := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags", "-s -w", "-o", path, "cronium.dev/cmd/agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	return path, build.Run()
}

// Main runs a package's tests with an agent built for them. use is given the
// path before the first test. A goroutine that the tests left is a failure.
func Main(m *testing.M, use func(agent string)) int { return MainWith(m.Run, use) }

// MainWith is Main for tests that are run by something else than testing.M.
func MainWith(run func() int, use func(agent string)) int {
	dir, err := os.MkdirTemp("", "cronium-agent-")
	if err == nil {
		defer os.RemoveAll(dir)
		var agent string
		if agent, err = Agent(dir); err == nil {
			use(agent)
			code := run()
			if leaked := goleak.Find(); leaked != nil && code == 0 {
				println(leaked.Error())
				code = 1
			}
			return code
		}
	}
	println("build the agent:", err.Error())
	return 1
}
