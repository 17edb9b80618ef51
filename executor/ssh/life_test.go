package ssh_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/ssh"
	"cronium.dev/internal/testenv"
)

// release is a backend whose agent is another version.
func (b *bench) release(t *testing.T, agent string, idle time.Duration) *ssh.Backend {
	t.Helper()
	backend, err := ssh.New(ssh.Config{
		Servers: b.servers, Agents: map[string]string{runtime.GOARCH: agent}, Key: b.key.Public().(ed25519.PublicKey),
		Idle: idle, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Close)
	return backend
}

// nextAgent is a binary that does the same and has another digest.
func nextAgent(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(agentFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(path, append(raw, "next"...), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// agents counts the agents that run on the host.
func agents(t *testing.T, h *testenv.SSHHost) int {
	return strings.Count(h.Exec(t, `pgrep -f "^/[^ ]*/agent-[0-9a-f]* serve " || true`), "\n")
}

func TestANewReleaseLeavesRunningScriptsAlone(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{Config: "MaxSessions 1"}), newBench(t)
	server := b.servers.add(to(h, "bash"))
	target := b.on(server)
	run, sink := conformance.Bash(`echo ready; until [ -e /tmp/go ]; do sleep 0.05; done; echo more`).Run(b.key), conformance.NewRecorder(t)
	place := target.PlaceFor(t, run)
	ctx, die := context.WithCancel(conformance.Context(t))
	done := drive(ctx, place, run, sink)
	sink.Wait(ctx, "ready\n")
	die()
	<-done
	b.Backend = b.release(t, nextAgent(t), time.Minute)
	runs(t, b.on(server), "bash")
	found, err := b.Find(t.Context(), place.Ref())
	if err != nil {
		t.Fatalf("find what the old release had started: %v", err)
	}
	if n := agents(t, h); n != 2 {
		t.Errorf("%d agents run, want the old and the new one", n)
	}
	run.Started, run.From = true, sink.Offset()
	done = drive(conformance.Context(t), found, run, sink)
	sink.Wait(conformance.Context(t), "ready\n")
	h.Exec(t, "touch /tmp/go")
	(<-done).Exited(t, 0)
	if sink.Stdout() != "ready\nmore\n" {
		t.Errorf("it printed %q", sink.Stdout())
	}
}

func TestWhatNobodyNeedsIsRemoved(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	server := b.servers.add(to(h, "bash"))
	b.Backend = b.release(t, agentFile, 500*time.Millisecond)
	t.Run("the old release", func(t *testing.T) { runs(t, b.on(server), "bash") })
	b.Close()
	eventually(t, "the idle agent has ended", func() bool { return agents(t, h) == 0 })
	h.Exec(t, `touch -d "2 hours ago" /home/bash/.cronium/*; touch -d "2 hours ago" /home/bash/.cronium/part-x`)
	b.Backend = b.release(t, nextAgent(t), time.Minute)
	runs(t, b.on(server), "bash")
	eventually(t, "the old release is gone", func() bool {
		return strings.Count(h.Exec(t, "ls /home/bash/.cronium"), "\n") == 2
	})

	_, _, _, done := started(t, b.on(server), conformance.Bash(`echo ready; until [ -e /tmp/go ]; do sleep 0.05; done`), "ready\n")
	err := b.Remove(conformance.Context(t), server, "")
	if cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("remove while a script runs: %v", err)
	}
	h.Exec(t, "touch /tmp/go")
	(<-done).Exited(t, 0)
	if err := b.Remove(conformance.Context(t), server, ""); err != nil {
		t.Fatalf("remove: %v", err)
	}
	if left := h.Exec(t, "ls -A /home/bash | grep cronium || true"); left != "" || agents(t, h) != 0 {
		t.Errorf("left over: %q, %d agents", left, agents(t, h))
	}
	if err := b.Remove(conformance.Context(t), server, ""); err != nil {
		t.Errorf("remove what is removed: %v", err)
	}
}

func TestTestTellsEachStep(t *testing.T) {
	t.Parallel()
	h, b := testenv.SharedSSH(t), newBench(t)
	far := testenv.SSH(t, testenv.SSHOptions{})
	jump, c := to(h, "bash"), to(far, "bash")
	jump.Server, jump.Name, c.Server = cronium.NewID(), "bastion", cronium.NewID()
	c.Address, c.Port, c.Jumps = far.Inside, 22, []ssh.Connection{jump}
	var steps []string
	report := func(s ssh.Step) {
		if s.Done {
			steps = append(steps, s.Host+" "+string(s.Name))
			if s.Err != nil {
				steps = append(steps, "failed")
			}
		}
	}
	if err := b.Test(conformance.Context(t), &c, report); err != nil {
		t.Fatalf("test: %v", err)
	}
	want := "bastion resolve, bastion connect, bastion host key, bastion authenticate, " +
		"web-01 connect, web-01 host key, web-01 authenticate, web-01 platform, web-01 disk, web-01 agent"
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("the steps are\n%s\nwant\n%s", got, want)
	}
	c.HostKey, steps = nil, nil
	err := b.Test(conformance.Context(t), &c, report)
	var key *ssh.HostKeyError
	if !as(err, &key) || key.Changed() || string(key.Key) != string(far.HostKey) {
		t.Errorf("test of a host with a key that is not confirmed: %v", err)
	}
	if got := strings.Join(steps, ", "); !strings.HasSuffix(got, "web-01 host key, failed") {
		t.Errorf("the steps are %s", got)
	}
}

func TestWhatAnotherUserHasIsRemoved(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	server := b.servers.add(to(h, "bash"))
	runs(t, b.as(server, "app"), "app")
	left := func() string { return h.Exec(t, "find / -xdev -user app -path *cronium* 2>/dev/null || true") }
	if left() == "" {
		t.Fatal("the user has nothing of Cronium, so the test looks in the wrong place")
	}
	if err := b.Remove(conformance.Context(t), server, "app"); err != nil {
		t.Fatal(err)
	}
	if files := left(); files != "" {
		t.Errorf("left over: %s", files)
	}
	if err := b.Remove(conformance.Context(t), server, "nobody-here"); err == nil {
		t.Error("what a user has who does not exist was removed")
	}
}
