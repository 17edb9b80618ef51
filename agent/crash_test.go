package agent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent"
	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

func TestAgentThatWasKilledReportsItsExecutionsAsLostAndLeavesNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	word := secretWord()
	lost := script("bash", `bash nap & setsid bash nap & cronium output '"kept"'; echo before; bash nap`)
	lost.add("nap", "exec -a "+word+" sleep 300")
	ended := script("bash", "echo done; exit 6")
	m.mustStart(client, ended)
	m.waitFinished(client, ended.ExecutionId)
	m.mustStart(client, lost)
	f := follow(t, client, lost.ExecutionId, 0)
	f.quiet = true
	f.untilOutput("before")
	instance := m.info(client).GetInstance()

	m.kill()
	m.start()
	client = m.client()
	if got := m.info(client).GetInstance(); got != instance {
		t.Errorf("instance %q became %q over the same spool", instance, got)
	}
	f = follow(t, client, lost.ExecutionId, 0)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_LOST)
	if string(f.output) != "before\n" || string(f.finish.GetOutput()) != `"kept"` || f.finish.GetMessage() == "" {
		t.Errorf("output %q, end %v", f.output, f.finish)
	}
	if running(word) {
		t.Error("a process is left")
	}
	f = follow(t, client, ended.ExecutionId, 0)
	f.end()
	f.wantExit(6)
	if string(f.output) != "done\n" {
		t.Errorf("output of what had ended is %q", f.output)
	}
}

func TestScriptIsNotStartedASecondTime(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	counter := m.path("counter")
	j := script("bash", fmt.Sprintf("echo x >>%s; echo hello", counter))
	m.mustStart(client, j)
	state, err := m.startJob(client, j) // while it runs or after
	if err != nil || state.GetExecutionId() != j.ExecutionId {
		t.Fatalf("second Start: %v, %v", state, err)
	}
	m.waitFinished(client, j.ExecutionId)
	m.kill()
	m.start()
	client = m.client()
	state, err = m.startJob(client, j)
	if err != nil || state.GetFinish().GetOutcome() != agentproto.Outcome_OUTCOME_EXITED {
		t.Errorf("Start after a restart of the agent: %v, %v", state, err)
	}
	if _, err := client.Forget(t.Context(), &agentproto.ForgetRequest{ExecutionId: j.ExecutionId}); err != nil {
		t.Fatal(err)
	}
	if m.state(client, j.ExecutionId) != nil {
		t.Error("it is in the list after Forget")
	}
	for range 2 {
		if _, err = m.startJob(client, j); status.Code(err) != codes.AlreadyExists {
			t.Errorf("Start after Forget: %v", err)
		}
		m.kill()
		m.start()
		client = m.client()
	}
	if text, _ := os.ReadFile(counter); string(text) != "x\n" {
		t.Errorf("it ran %d times", strings.Count(string(text), "x"))
	}
}

func TestStartsOfOneExecutionAtTheSameTimeStartItOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	counter := m.path("counter")
	j := script("bash", fmt.Sprintf("echo x >>%s", counter))
	signed, err := manifest.Sign(m.key, j.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	const starts = 8
	results := make(chan error, starts)
	for range starts {
		client := m.client()
		go func() {
			_, err := send(t.Context(), client, signed, j.contents)
			results <- err
		}()
	}
	for range starts {
		if err := <-results; err != nil {
			t.Errorf("start: %v", err)
		}
	}
	m.waitFinished(m.client(), j.ExecutionId)
	if text, _ := os.ReadFile(counter); string(text) != "x\n" {
		t.Errorf("it ran %d times", strings.Count(string(text), "x"))
	}
}

func TestForgetRefusesWhatRunsAndAcceptsWhatIsUnknown(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "sleep 300")
	m.mustStart(client, j)
	_, err := client.Forget(t.Context(), &agentproto.ForgetRequest{ExecutionId: j.ExecutionId})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("forget what runs: %v", err)
	}
	if _, err := client.Forget(t.Context(), &agentproto.ForgetRequest{ExecutionId: newID()}); err != nil {
		t.Errorf("forget what is unknown: %v", err)
	}
}

func TestTerminatedAgentEndsItsScriptsGently(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", `trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.02; done`)
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("ready")
	m.terminate()
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
	if !strings.Contains(string(f.output), "bye\n") || !strings.Contains(f.finish.GetMessage(), "told to end") {
		t.Errorf("output %q, end %v", f.output, f.finish)
	}
	if err := <-m.ended; err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	m.ended <- nil
	m.start()
	f = follow(t, m.client(), j.ExecutionId, f.offset)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
}

func TestSecondAgentOnOneSpoolIsRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.client().Info(t.Context(), &agentproto.InfoRequest{})
	second := m.on(t)
	second.start()
	if err := <-second.ended; err == nil || !strings.Contains(second.stderr.String(), "another agent") {
		t.Errorf("it ended with %v: %s", err, second.stderr)
	}
}

func TestIdleAgentEnds(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "--idle-exit", "300ms")
	client, conn := m.connection()
	j := script("bash", "sleep 0.4; echo done")
	m.mustStart(client, j)
	conn.Close()
	if err := <-m.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	m.ended <- nil
	m.start()
	f := follow(t, m.client(), j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
}

// An engine that stops may do so while a container's agent starts. That is no
// failure of the agent, from whose end the server learns that it may try again.
func TestAnAgentThatIsEndedWhileItStartsEndsInGoodOrder(t *testing.T) {
	t.Parallel()
	for i := range 40 {
		m := newMachine(t)
		time.Sleep(time.Duration(i) * time.Millisecond / 2) // the moment of the signal is what is tried
		m.terminate()
		err := <-m.ended
		m.ended <- nil
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			t.Fatalf("ended after %d half milliseconds, it says %v: %s", i, err, m.stderr)
		}
	}
}

// What an agent for a single script has on its disk is gone with it, so it waits
// for its server however long that takes; one that never had a script does not.
func TestAnAgentForASingleScriptIsIdleOnlyBeforeIt(t *testing.T) {
	t.Parallel()
	unused := newMachine(t, "--single", "--idle-exit", "300ms")
	used := newMachine(t, "--single", "--idle-exit", "300ms")
	client, conn := used.connection()
	j := script("bash", "echo done")
	used.mustStart(client, j)
	used.waitFinished(client, j.ExecutionId)
	conn.Close()
	if err := <-unused.ended; err != nil {
		t.Errorf("the unused one ended with %v", err)
	}
	unused.ended <- nil
	// The other has been alone for as long by now, and again.
	select {
	case err := <-used.ended:
		used.ended <- err
		t.Fatal("the used one ended with what it had to tell")
	case <-time.After(600 * time.Millisecond):
	}
	f := follow(t, used.client(), j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
}

func TestEndedExecutionsAreForgottenAfterAWhile(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	old, young := script("bash", "echo old"), script("bash", "echo young")
	for _, j := range []*job{old, young} {
		m.mustStart(client, j)
		m.waitFinished(client, j.ExecutionId)
	}
	m.kill()
	longAgo := time.Now().Add(-agent.Retention - time.Minute)
	if err := os.Chtimes(filepath.Join(m.spool, "executions", old.ExecutionId, "finish"), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	m.start()
	client = m.client()
	if m.state(client, old.ExecutionId) != nil || m.state(client, young.ExecutionId) == nil {
		t.Error("the old one is kept, or the young one is not")
	}
}

func TestWorkDirectoryIsRemovedWhateverTheScriptDidToIt(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	j := script("bash", "mkdir -p a/b/c; touch a/b/c/x; ln -s / a/root; ln -s . a/loop; chmod 000 a/b/c a/b a; chmod 000 .; exit 0")
	m.run(j).wantExit(0)
	eventually(t, "an empty work directory", func() bool {
		left, err := filepath.Glob(m.path("work/*-*"))
		boxes, _ := filepath.Glob(m.path("work/.*"))
		return err == nil && len(left)+len(boxes) == 0
	})
}
