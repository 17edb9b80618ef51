package agent_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	agentproto "cronium.dev/agent/proto"
)

// Scripts start children whose arguments hold a word that only this test uses,
// so that what is left of them can be looked for.
func secretWord() string { return "left" + strings.ReplaceAll(newID(), "-", "") }

func TestNothingIsLeftOfAScript(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{
		"children in the background":   `bash nap & (bash nap; true) & echo ready`,
		"a child that keeps no pipe":   `bash nap >/dev/null 2>&1 & echo ready`,
		"a detached session":           `setsid bash nap & echo ready`,
		"a double fork":                `(setsid env -i bash -c 'bash nap & bash nap' >/dev/null 2>&1 &); echo ready`,
		"a child that ignores SIGTERM": `bash -c 'trap "" TERM; while :; do bash nap; done' & echo ready`,
		"a stopped child":              `bash nap & kill -STOP $!; echo ready`,
	}
	m := newMachine(t)
	for name, text := range scripts {
		t.Run(name, func(t *testing.T) {
			word := secretWord()
			j := script("bash", text)
			j.add("nap", "exec -a "+word+" sleep 300")
			f := m.on(t).run(j)
			f.wantExit(0)
			if string(f.output) != "ready\n" {
				t.Errorf("output is %q", f.output)
			}
			if running(word) {
				t.Error("a process is left")
			}
		})
	}
}

func TestLastLinesOfAProcessSubstitutionAreKept(t *testing.T) {
	t.Parallel()
	f := newMachine(t).run(script("bash", `exec > >(sleep 0.1; cat); echo last words`))
	f.wantExit(0)
	if string(f.output) != "last words\n" {
		t.Errorf("output is %q", f.output)
	}
}

func TestCancelEndsAScriptThatListensAndOneThatDoesNot(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	polite := script("bash", `trap 'echo going; exit 3' TERM; echo ready; while :; do sleep 0.02; done`)
	m.mustStart(client, polite)
	f := follow(t, client, polite.ExecutionId, 0)
	f.untilOutput("ready")
	m.signal(polite.ExecutionId, agentproto.Stop_STOP_CANCEL)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
	if !bytes.Contains(f.output, []byte("going")) || f.finish.GetExitCode() != 3 {
		t.Errorf("it could not say goodbye: %q, %v", f.output, f.finish)
	}

	word := secretWord()
	deaf := script("bash", strings.ReplaceAll(`trap '' TERM; (trap '' TERM; exec -a WORD sleep 300) & echo ready; while :; do wait; done`, "WORD", word))
	m.mustStart(client, deaf)
	f = follow(t, client, deaf.ExecutionId, 0)
	f.untilOutput("ready")
	m.signal(deaf.ExecutionId, agentproto.Stop_STOP_CANCEL)
	m.signal(deaf.ExecutionId, agentproto.Stop_STOP_CANCEL) // harmless
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
	if f.finish.GetSignal() != 9 || running(word) {
		t.Errorf("it ended with %v, child running: %v", f.finish, running(word))
	}
}

func TestKillEndsAScriptWithoutGrace(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", `trap '' TERM; echo ready; while :; do sleep 0.02; done`)
	j.Limits.GraceMs = 60_000
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("ready")
	m.signal(j.ExecutionId, agentproto.Stop_STOP_CANCEL)
	m.signal(j.ExecutionId, agentproto.Stop_STOP_KILL)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
}

func TestTimeLimitHoldsWhileNoServerIsThere(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", `trap '' TERM; while :; do sleep 0.02; done`)
	j.Limits.RunMs, j.Limits.GraceMs = 200, 100
	m.mustStart(client, j)
	m.waitFinished(client, j.ExecutionId)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_TIMEOUT)
	if f.finish.GetTimeoutPhase() != agentproto.Phase_PHASE_RUNNING || !strings.Contains(f.finish.GetMessage(), "200ms") {
		t.Errorf("it ended with %v", f.finish)
	}
	if ran := time.Duration(f.finish.GetRunUs()) * time.Microsecond; ran < 300*time.Millisecond {
		t.Errorf("it ran for %s, before limit and grace were over", ran)
	}
}

func TestScriptThatClosesItsOutputRunsOn(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", `echo one; exec >&- 2>&-; while [ ! -e go ]; do sleep 0.02; done; exit 5`)
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("one")
	list, err := client.List(t.Context(), &agentproto.ListRequest{})
	if err != nil || list.GetExecutions()[0].GetPhase() != agentproto.Phase_PHASE_RUNNING {
		t.Fatalf("after its output was closed: %v, %v", list, err)
	}
	m.touch(j, "go")
	f.end()
	f.wantExit(5)
}

func TestPipeThatSomethingOutsideHoldsDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", `echo $$; while [ ! -e go ]; do sleep 0.02; done`)
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("\n")
	held, err := os.OpenFile(fmt.Sprintf("/proc/%s/fd/1", bytes.TrimSpace(f.output)), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	m.touch(j, "go")
	f.end()
	f.wantExit(0)
}

func TestBytesOfAnyKindArriveAsTheyWere(t *testing.T) {
	t.Parallel()
	want := []byte("\x00\xff\xfe\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\r\n\xc3\x28\x80")
	j := script("python3", "import sys, os\nos.write(1, bytes(open('data','rb').read()))")
	j.add("data", string(want))
	f := newMachine(t).run(j)
	f.wantExit(0)
	if !bytes.Equal(f.output, want) {
		t.Errorf("output is %q", f.output)
	}
}

func TestOneLineOfAHundredMegabytesArrivesWholeInLittleMemory(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	m := newMachine(t)
	client := m.client()
	j := script("bash", fmt.Sprintf(`head -c %d /dev/zero; sleep 0.2`, size))
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.ignore = true
	f.until("all bytes", func() bool { return f.offset == size })
	if rss := residentMemory(t, m.process.Process.Pid); rss > 60<<20 {
		t.Errorf("the agent takes %d MiB", rss>>20)
	}
	f.end()
	f.wantExit(0)
}

func TestOutputBeyondItsLimitIsCountedAndDropped(t *testing.T) {
	t.Parallel()
	const size, limit = 1 << 30, 1_000_001
	m := newMachine(t)
	client := m.client()
	j := script("bash", fmt.Sprintf(`head -c %d /dev/zero; exit 4`, size))
	j.Limits.OutputBytes = limit
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	f.wantExit(4)
	if len(f.output) != limit || f.finish.GetOutputBytes() != limit || f.finish.GetOutputDropped() != size-limit {
		t.Errorf("%d bytes came; end %v", len(f.output), f.finish)
	}
}

func TestForkBombEnds(t *testing.T) {
	t.Parallel()
	word := secretWord()
	m := newMachine(t)
	client := m.client()
	// Each process keeps two others alive, at most a few hundred at a time.
	j := script("python3", `
import os, sys, time
print("ready", flush=True)
def grow(depth):
    while True:
        pids = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                os.setsid()
                if depth == 0:
                    time.sleep(300)
                grow(depth - 1)
            pids.append(pid)
        for p in pids:
            os.waitpid(p, 0)
grow(5)
`)
	j.Command = []string{"bash", "-c", `exec -a ` + word + ` python3 "$0"`, "{entry}"}
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.untilOutput("ready")
	m.signal(j.ExecutionId, agentproto.Stop_STOP_KILL)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_CANCELLED)
	if running(word) {
		t.Error("a process is left")
	}
}
