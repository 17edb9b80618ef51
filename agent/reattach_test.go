package agent_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

// TestOutputIsWholeWhateverCutsTheConnection cuts the connection at random
// places, goes on at what was stored, and compares the whole.
func TestOutputIsWholeWhateverCutsTheConnection(t *testing.T) {
	t.Parallel()
	const lines = 20_000
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			m := newMachine(t)
			j := script("python3", fmt.Sprintf(`
import sys
for i in range(%d):
    print("line %%d" %% i, file=sys.stderr if i %% 7 == 0 else sys.stdout)
`, lines))
			j.Limits.SpoolBytes = 1 << (14 + random.IntN(6))
			m.mustStart(m.client(), j)
			var stored []byte
			var streams []agentproto.Stream
			for {
				client, conn := m.connection()
				f := follow(t, client, j.ExecutionId, uint64(len(stored)))
				f.output, f.streams, f.quiet = stored, streams, true
				for n := random.IntN(12); n >= 0 && f.finish == nil; n-- {
					if err := f.next(); err != nil {
						t.Fatal(err)
					}
				}
				if f.finish != nil {
					conn.Close()
					f.wantExit(0)
					wantNumbered(t, f, lines)
					return
				}
				// A record may have been stored in part.
				keep := len(stored) + random.IntN(len(f.output)-len(stored)+1)
				stored, streams = f.output[:keep], f.streams[:keep]
				if random.IntN(2) == 0 {
					f.acknowledge(keep)
				}
				conn.Close()
			}
		})
	}
}

// wantNumbered compares each stream: two pipes do not tell the order between them.
func wantNumbered(t *testing.T, f *follower, lines int) {
	t.Helper()
	want := map[agentproto.Stream]*bytes.Buffer{
		agentproto.Stream_STREAM_STDOUT: {}, agentproto.Stream_STREAM_STDERR: {},
	}
	for i := range lines {
		stream := agentproto.Stream_STREAM_STDOUT
		if i%7 == 0 {
			stream = agentproto.Stream_STREAM_STDERR
		}
		fmt.Fprintf(want[stream], "line %d\n", i)
	}
	for stream, text := range want {
		if got := f.of(stream); !bytes.Equal(got, text.Bytes()) {
			t.Errorf("%v: %d bytes came where %d were written, or others", stream, len(got), text.Len())
		}
	}
}

func TestOutputThatWasNotAcknowledgedCanBeReadAgainFromAnyByte(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "printf 'hello '; sleep 0.05; printf world")
	m.mustStart(client, j)
	m.waitFinished(client, j.ExecutionId)
	for from := range uint64(12) {
		f := follow(t, client, j.ExecutionId, from)
		f.quiet = true
		f.end()
		if want := "hello world"[from:]; string(f.output) != want {
			t.Errorf("from %d came %q, want %q", from, f.output, want)
		}
	}
}

func TestOffsetsThatAreNotKeptAreRefused(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "head -c 3000000 /dev/zero")
	m.mustStart(client, j)
	follow(t, client, j.ExecutionId, 0).end()
	for _, from := range []uint64{0, 3_000_001} {
		f := follow(t, client, j.ExecutionId, from)
		err := f.next()
		for err == nil {
			err = f.next()
		}
		if status.Code(err) != codes.OutOfRange {
			t.Errorf("from %d: %v", from, err)
		}
	}
}

func TestNewerAttachEndsTheOlderOne(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two")
	m.mustStart(client, j)
	older := follow(t, client, j.ExecutionId, 0)
	older.untilOutput("one")
	newer := follow(t, client, j.ExecutionId, older.offset)
	newer.until("that it runs", func() bool { return newer.started })
	var err error
	for err == nil {
		err = older.next()
	}
	if status.Code(err) != codes.Aborted {
		t.Errorf("the older one ended with %v", err)
	}
	m.touch(j, "go")
	newer.end()
	if string(newer.output) != "two\n" || string(older.output) != "one\n" {
		t.Errorf("the older one has %q, the newer one %q", older.output, newer.output)
	}
}

func TestScriptIsSlowedWhileNobodyTakesItsOutputAndNothingGrows(t *testing.T) {
	t.Parallel()
	const size, spool = 64 << 20, 1 << 20
	m := newMachine(t)
	client := m.client()
	j := script("bash", fmt.Sprintf("head -c %d /dev/zero; echo done >&2", size))
	j.Limits.SpoolBytes = spool
	m.mustStart(client, j)
	f := follow(t, client, j.ExecutionId, 0)
	f.quiet, f.ignore = true, true
	// All that may be kept comes, and not more.
	f.until("the limit", func() bool { return f.offset >= spool })
	before := m.state(client, j.ExecutionId).GetOutputOffset()
	if before > spool+2*32<<10 {
		t.Errorf("%d bytes are kept, the limit is %d", before, spool)
	}
	if state := m.state(client, j.ExecutionId); state.GetPhase() != agentproto.Phase_PHASE_RUNNING {
		t.Errorf("it is in %v", state.GetPhase())
	}
	if rss := residentMemory(t, m.process.Process.Pid); rss > 60<<20 {
		t.Errorf("the agent takes %d MiB", rss>>20)
	}
	f.cancel()
	again := follow(t, client, j.ExecutionId, f.offset)
	again.ignore = true
	again.end()
	again.wantExit(0)
	if again.offset != size+5 {
		t.Errorf("%d bytes came of %d", again.offset, size+5)
	}
}

func TestEndDoesNotWaitForAServerWhenTheSpoolIsFull(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "head -c 20000000 /dev/zero")
	j.Limits.SpoolBytes, j.Limits.RunMs, j.Limits.GraceMs = 64<<10, 300, 100
	m.mustStart(client, j)
	m.waitFinished(client, j.ExecutionId)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_TIMEOUT)
	if uint64(len(f.output)) != f.finish.GetOutputBytes() || len(f.output) < 64<<10 {
		t.Errorf("%d bytes came, %v", len(f.output), f.finish)
	}
}

// TestWhatIsInThePipesAtTheEndIsKept lets a script end while nobody reads its
// pipe for want of room.
func TestWhatIsInThePipesAtTheEndIsKept(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2")
	j.Limits.SpoolBytes = 64 << 10
	m.mustStart(client, j)
	m.waitFinished(client, j.ExecutionId)
	f := follow(t, client, j.ExecutionId, 0)
	f.end()
	f.wantExit(0)
	if len(f.output) != 200_000 {
		t.Errorf("%d bytes came", len(f.output))
	}
}

func TestFirstBytesComeAtOnceAndTheRestTogether(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	f := m.run(script("python3", "import os\nfor i in range(3000): os.write(1, b'x')"))
	f.wantExit(0)
	if len(f.output) != 3000 || f.records > 100 {
		t.Errorf("%d bytes came in %d records", len(f.output), f.records)
	}
}
