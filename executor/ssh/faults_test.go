package ssh_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
	"cronium.dev/executor/ssh"
	"cronium.dev/internal/testenv"
)

// over is a connection to the host over a line that the test can cut.
func over(t *testing.T, h *testenv.SSHHost, user string) (ssh.Connection, *testenv.Line) {
	line := testenv.NewLine(t, h.Address, h.Port)
	c := to(h, user)
	c.Address, c.Port = line.Address, line.Port
	return c, line
}

// slowly prints so many numbered lines, about a hundred a second.
func slowly(lines int) conformance.Script {
	return conformance.Bash(fmt.Sprintf(`for i in $(seq %d); do echo "$i"; sleep 0.01; done`, lines))
}

func numbers(lines int) string {
	var b strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintln(&b, i)
	}
	return b.String()
}

// drive runs Drive in the background.
func drive(ctx context.Context, place executor.Place, run executor.Run, sink *conformance.Recorder) <-chan conformance.Result {
	done := make(chan conformance.Result, 1)
	go func() {
		finish, err := executor.Drive(ctx, place, run, sink)
		done <- conformance.Result{Finish: finish, Err: err, Sink: sink}
	}()
	return done
}

// started runs a script and waits for its first line.
func started(t *testing.T, target conformance.Target, s conformance.Script, first string) (executor.Place, executor.Run, *conformance.Recorder, <-chan conformance.Result) {
	t.Helper()
	run, sink := s.Run(target.Key), conformance.NewRecorder(t)
	place := target.PlaceFor(t, run)
	done := drive(conformance.Context(t), place, run, sink)
	sink.Wait(conformance.Context(t), first)
	return place, run, sink, done
}

func TestALineThatIsCutLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, line := over(t, testenv.SharedSSH(t), "bash")
	_, _, sink, done := started(t, b.on(b.servers.add(c)), slowly(300), "1\n")
	for _, mark := range []string{"\n50\n", "\n150\n", "\n250\n"} {
		sink.Wait(conformance.Context(t), mark)
		line.Cut()
	}
	r := <-done
	r.Exited(t, 0)
	if r.Sink.Stdout() != numbers(300) {
		t.Errorf("it printed %q", r.Sink.Stdout())
	}
	if line.Dialled() < 4 {
		t.Errorf("there were %d connections", line.Dialled())
	}
}

func TestALineThatIsStalledIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, line := over(t, testenv.SharedSSH(t), "bash")
	server := b.servers.add(c)
	_, _, sink, done := started(t, b.on(server), slowly(300), "\n20\n")
	l, err := b.Agent(t.Context(), server, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	line.Stall()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	l.Changed(ctx)
	if took := time.Since(begun); l.Alive() || took > 15*time.Second {
		t.Errorf("the line was found dead after %s, alive is %t", took, l.Alive())
	}
	line.Resume()
	r := <-done
	r.Exited(t, 0)
	if sink.Stdout() != numbers(300) {
		t.Errorf("it printed %q", sink.Stdout())
	}
}

func TestAnSSHDThatIsRestartedLosesNothing(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	_, _, sink, done := started(t, b.on(b.servers.add(to(h, "bash"))), slowly(200), "1\n")
	h.RestartSSHD(t)
	(<-done).Exited(t, 0)
	if sink.Stdout() != numbers(200) {
		t.Errorf("it printed %q", sink.Stdout())
	}
}

func TestAnAgentThatIsKilledLosesItsScript(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	target := b.on(b.servers.add(to(h, "bash")))
	_, _, _, done := started(t, target, conformance.Bash(`echo ready; sleep 300`), "ready\n")
	h.Exec(t, `pkill -9 -f "^/[^ ]*/agent-[0-9a-f]* serve "`)
	(<-done).Ended(t, proto.Outcome_OUTCOME_LOST)
	if left := h.Exec(t, "pgrep -x sleep || true"); left != "" {
		t.Errorf("what the script had started still runs: %s", left)
	}
	runs(t, target, "bash")
}

func TestAHostThatIsRebootedLosesItsScriptAndStartsItOnce(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	target := b.on(b.servers.add(to(h, "bash")))
	place, run, _, done := started(t, target, conformance.Bash(`echo started >>/var/tmp/starts; echo ready; sleep 300`), "ready\n")
	h.Halt(t)
	h.Boot(t)
	begun := time.Now()
	(<-done).Ended(t, proto.Outcome_OUTCOME_LOST)
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
	// Another server that does not know whether its Start arrived.
	found, err := b.Find(t.Context(), place.Ref())
	if err != nil {
		t.Fatalf("find: %v", err)
	}
	again := conformance.NewRecorder(t)
	run.From = 6
	(<-drive(conformance.Context(t), found, run, again)).Ended(t, proto.Outcome_OUTCOME_LOST)
	if starts := h.Exec(t, "cat /var/tmp/starts"); starts != "started\n" {
		t.Errorf("it was started %q", starts)
	}
}

func TestAnUploadThatIsCutGoesOn(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	c, line := over(t, h, "dash")
	target := b.on(b.servers.add(c))
	info, err := os.Stat(agentFile)
	if err != nil {
		t.Fatal(err)
	}
	line.CutAfter(info.Size() * 2 / 3)
	spec := target.Spec
	spec.ExecutionID = cronium.NewID()
	if _, err := b.Create(conformance.Context(t), spec, func(string) {}); !is(err, executor.ErrUnavailable) {
		t.Fatalf("create over a line that is cut: %v", err)
	}
	// What arrived is kept once the host has noticed.
	eventually(t, "a part of the agent lies there", func() bool {
		return h.Exec(t, `ls /home/dash/.cronium | grep -x "part-[0-9a-f]*" || true`) != ""
	})
	runs(t, target, "dash")
	if sent := line.Bytes(); sent > info.Size()*4/3 {
		t.Errorf("%d bytes were sent for an agent of %d", sent, info.Size())
	}
	if left := h.Exec(t, `ls /home/dash/.cronium`); strings.Contains(left, "part") {
		t.Errorf("left over: %s", left)
	}
}

func TestABinaryThatWasChangedIsNotRun(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	server := b.servers.add(to(h, "bash"))
	t.Run("before", func(t *testing.T) { runs(t, b.on(server), "bash") })
	b.Close()
	h.Exec(t, `pkill -f "^/[^ ]*/agent-[0-9a-f]* serve "
		printf '#!/bin/sh\ntouch /tmp/evil\n' >/tmp/x; chmod 755 /tmp/x; mv /tmp/x $(echo /home/bash/.cronium/agent-*)`)
	b.Backend = b.process(t, b.key.Public())
	runs(t, b.on(server), "bash")
	h.Exec(t, `test ! -e /tmp/evil`)
}

func TestManyExecutionsShareOneConnection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, line := over(t, testenv.SharedSSH(t), "bash")
	target := b.on(b.servers.add(c))
	var all []<-chan conformance.Result
	for range 150 {
		run := conformance.Bash(`echo "$(id -un)"; sleep 1`).Run(target.Key)
		place := target.PlaceFor(t, run)
		all = append(all, drive(conformance.Context(t), place, run, conformance.NewRecorder(t)))
	}
	for _, done := range all {
		r := <-done
		r.Exited(t, 0)
		if r.Sink.Stdout() != "bash\n" {
			t.Errorf("it printed %q", r.Sink.Stdout())
		}
	}
	if line.Dialled() != 1 {
		t.Errorf("there were %d connections", line.Dialled())
	}
}

func TestTwoServerProcessesSendTheAgentAtOnce(t *testing.T) {
	t.Parallel()
	h, b := testenv.SSH(t, testenv.SSHOptions{}), newBench(t)
	server := b.servers.add(to(h, "bash"))
	other := b.on(server)
	other.Backend = b.process(t, b.key.Public())
	done := make(chan executor.Place, 2)
	for _, target := range []conformance.Target{b.on(server), other} {
		go func() { done <- target.Place(t) }()
	}
	first, second := <-done, <-done
	if first.Ref()[strings.LastIndexByte(first.Ref(), '/'):] != second.Ref()[strings.LastIndexByte(second.Ref(), '/'):] {
		t.Errorf("there are two agents: %s and %s", first.Ref(), second.Ref())
	}
}
