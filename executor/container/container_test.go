package container

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	conformance.Run(t, b.target(specOf(cronium.NetworkNone)))
}

func TestMemoryBeyondTheLimitIsToldAsSuch(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := specOf(cronium.NetworkNone)
	spec.Limits.MemoryMiB, spec.Limits.DiskMiB = 48, 16
	r := b.target(spec).Execute(t, conformance.Python("print('ready', flush=True)\nx = b'x' * 300_000_000\nprint('never')"))
	r.Ended(t, proto.Outcome_OUTCOME_OUT_OF_MEMORY)
	if got := r.Sink.Stdout(); got != "ready\n" {
		t.Errorf("stdout is %q", got)
	}
}

func TestEngineThatIsAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	b, err := New(Config{Host: "unix:///nonexistent/engine.sock", Instance: "x", Process: "y", Image: runtimeImage, Agent: agentFile})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Create(t.Context(), specOf(cronium.NetworkNone), func(string) {})
	if !errors.Is(err, executor.ErrUnavailable) || cronium.CodeOf(err) != cronium.CodeUnavailable {
		t.Errorf("create: %v, want ErrUnavailable with public text", err)
	}
	if _, err := b.Find(t.Context(), strings.Repeat("a", 64)+"/i"); !errors.Is(err, executor.ErrUnavailable) {
		t.Errorf("find: %v, want ErrUnavailable", err)
	}
	if s := b.Status(t.Context()); !strings.Contains(s.Error, "does not answer") {
		t.Errorf("the status says %q", s.Error)
	}
}

func TestCreateThatIsCutShortLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.target(specOf(cronium.NetworkNone)).Place(t) // makes the agent's volume, so that the tries below get far
	for ms := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(ms*8)*time.Millisecond)
		if place, err := b.Create(ctx, specOf(cronium.NetworkNone), func(string) {}); err == nil {
			if err := place.Destroy(t.Context()); err != nil {
				t.Error(err)
			}
		}
		cancel()
	}
	if left := containersOf(t, b.Backend); len(left) != 1 {
		t.Errorf("%d containers are there, want the one that is in use", len(left))
	}
}

func TestMissingImageIsPulledAndTheReasonToldWhenThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := specOf(cronium.NetworkNone)
	spec.Image = "127.0.0.1:1/no/such:image" // nothing listens there
	var told []string
	_, err := b.Create(t.Context(), spec, func(s string) { told = append(told, s) })
	var e *cronium.Error
	if !errors.As(err, &e) || e.Code != cronium.CodeConflict || !strings.Contains(e.Message, spec.Image) || errors.Is(err, executor.ErrUnavailable) {
		t.Errorf("create: %v, want an error that names the image", err)
	}
	if len(told) == 0 || !strings.Contains(told[0], "Pulling image "+spec.Image) {
		t.Errorf("the person was told %q", told)
	}
	if left := containersOf(t, b.Backend); len(left) > 0 {
		t.Errorf("%d containers are left", len(left))
	}
}

func TestLimitsBeyondTheMachineAreToldAsSuch(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	spec := specOf(cronium.NetworkNone)
	spec.Limits.CPUs = 4000
	_, err := b.Create(t.Context(), spec, func(string) {})
	if cronium.CodeOf(err) != cronium.CodeConflict || !strings.Contains(err.Error(), "refused the event's limits") {
		t.Errorf("create: %v, want the engine's reason", err)
	}
}

func TestAgentIsPutBackWhenItsVolumeWasRemoved(t *testing.T) {
	t.Parallel()
	other := t.TempDir() + "/agent" // another digest, so that no other test uses the volume
	copyWith(t, agentFile, other, "removed")
	b := newBench(t, func(c *Config) { c.Agent = other })
	for _, time := range []string{"first", "second"} {
		t.Run(time, func(t *testing.T) { // its container is gone when it ends
			b.target(specOf(cronium.NetworkNone)).Execute(t, conformance.Bash("exit 0")).Exited(t, 0)
		})
		removeVolume(t, b.Backend)
	}
}

func TestSweepRemovesWhatDeadProcessesLeft(t *testing.T) {
	t.Parallel()
	dead := newBench(t, nil)
	living := newBench(t, func(c *Config) { c.Instance = dead.config.Instance })
	stranger := newBench(t, nil)
	made := map[string]string{}
	for name, b := range map[string]bench{"used": dead, "left": dead, "living": living, "stranger": stranger} {
		place, err := b.Create(t.Context(), specOf(cronium.NetworkNone), func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		defer place.Destroy(t.Context())
		made[name] = idOf(place.Ref())
	}
	sweep := func(b bench) int {
		t.Helper()
		n, err := b.Sweep(t.Context(),
			func(process string) bool { return process == living.config.Process },
			func(id string) bool { return id == made["used"] })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sweep(living); n != 1 {
		t.Errorf("%d containers were swept, want 1", n)
	}
	left := map[string]bool{}
	for _, c := range append(containersOf(t, dead.Backend), containersOf(t, stranger.Backend)...) {
		left[c.id] = true
	}
	if !left[made["used"]] || left[made["left"]] || !left[made["living"]] || !left[made["stranger"]] {
		t.Errorf("of %v there are left %v", made, left)
	}
}

func TestPlaceOfAnotherInstallationIsNotFound(t *testing.T) {
	t.Parallel()
	b, other := newBench(t, nil), newBench(t, nil)
	place := b.target(specOf(cronium.NetworkNone)).Place(t)
	if _, err := other.Find(t.Context(), place.Ref()); !errors.Is(err, executor.ErrGone) {
		t.Errorf("find: %v, want ErrGone", err)
	}
	for _, ref := range []string{"", "/", "x/y", strings.Repeat("0", 64), strings.Repeat("0", 64) + "/i", "../../containers/json?/i"} {
		if _, err := b.Find(t.Context(), ref); !errors.Is(err, executor.ErrGone) {
			t.Errorf("find %q: %v, want ErrGone", ref, err)
		}
	}
}
