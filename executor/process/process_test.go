package process

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// agentFile is the agent, built once for all tests of the package.
var agentFile string

func TestMain(m *testing.M) {
	os.Exit(conformance.Main(m, func(agent string) { agentFile = agent }))
}

func newTarget(t *testing.T) (*Backend, conformance.Target) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "crn") // shorter than t.TempDir: the path of a socket has its limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b, err := New(Config{Dir: dir, Agent: agentFile, Key: public, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	return b, conformance.Target{
		Backend: b, Key: private, Spec: executor.Spec{Limits: cronium.DefaultLimits()},
		Kill: func(t *testing.T, place executor.Place) {
			t.Helper()
			if err := syscall.Kill(agentPID(t, b, place), syscall.SIGKILL); err != nil {
				t.Fatalf("kill the agent: %v", err)
			}
		},
	}
}

func agentPID(t *testing.T, b *Backend, place executor.Place) int {
	t.Helper()
	mark, err := os.ReadFile(filepath.Join(b.config.Dir, executor.PlaceName(place.Ref()), pidFile))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(mark))[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestConformance(t *testing.T) {
	t.Parallel()
	_, target := newTarget(t)
	conformance.Run(t, target)
}

func TestDestroyEndsTheScriptAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*testing.T, *Backend, conformance.Target, executor.Place){
		"with its agent": func(*testing.T, *Backend, conformance.Target, executor.Place) {},
		"without": func(t *testing.T, _ *Backend, target conformance.Target, place executor.Place) {
			target.Kill(t, place)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, target := newTarget(t)
			place, sink := target.Place(t), conformance.NewRecorder(t)
			ctx, stop := context.WithCancel(conformance.Context(t))
			done := make(chan error, 1)
			go func() {
				run := conformance.Bash("trap '' TERM; setsid sleep 600 & echo $! $$; while :; do sleep 1; done").Run(target.Key)
				_, err := executor.Drive(ctx, place, run, sink)
				done <- err
			}()
			sink.Wait(ctx, "\n")
			var child, script int
			if _, err := fmt.Sscan(sink.Stdout(), &child, &script); err != nil {
				t.Fatal(err)
			}
			agent := agentPID(t, b, place)
			stop()
			<-done
			before(t, b, target, place)
			if err := place.Destroy(t.Context()); err != nil {
				t.Fatal(err)
			}
			for name, pid := range map[string]int{"agent": agent, "script": script, "child": child} {
				if startTime(pid) != "" {
					t.Errorf("the %s runs on", name)
				}
			}
			if left, err := os.ReadDir(b.config.Dir); err != nil || len(left) > 0 {
				t.Errorf("there is left %v, %v", left, err)
			}
		})
	}
}

func TestSweepLeavesOpenAndYoungPlacesAlone(t *testing.T) {
	t.Parallel()
	b, target := newTarget(t)
	old, open, young := target.Place(t), target.Place(t), target.Place(t)
	for _, p := range []executor.Place{old, open} {
		long := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(b.config.Dir, executor.PlaceName(p.Ref())), long, long); err != nil {
			t.Fatal(err)
		}
	}
	n, err := b.Sweep(t.Context(), nil, func(name string) bool { return name == executor.PlaceName(open.Ref()) })
	if n != 1 || err != nil {
		t.Errorf("swept %d places, %v; want 1", n, err)
	}
	for _, p := range []executor.Place{open, young} {
		if _, err := b.Find(t.Context(), p.Ref()); err != nil {
			t.Errorf("find a place that may be used: %v", err)
		}
	}
}

func TestFolderMustBeAbsolute(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Dir: "data/process"}); err == nil {
		t.Error("a relative folder was accepted")
	}
}

func TestAgentThatCannotStartIsToldAtOnce(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 20)) // longer than the path of a socket may be
	b, err := New(Config{Dir: long, Agent: agentFile, Key: make(ed25519.PublicKey, ed25519.PublicKeySize), Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, err = b.Create(t.Context(), executor.Spec{}, nil)
	if cronium.CodeOf(err) != cronium.CodeUnavailable || !strings.Contains(err.Error(), "too long") {
		t.Errorf("create: %v, want the agent's own words", err)
	}
	if took := time.Since(begun); took > startTimeout/2 {
		t.Errorf("it took %v to notice", took)
	}
	if left, err := os.ReadDir(long); err != nil || len(left) > 0 {
		t.Errorf("there is left %v, %v", left, err)
	}
}
