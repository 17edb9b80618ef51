package store

import (
	"testing"
	"time"

	"cronium.dev/cronium"
)

func TestTheEndTakesTheLastOutputAlong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, retry := range []bool{false, true} {
		j := f.enqueue(t)
		execution := f.claim(t, j)
		stored, err := f.AppendOutput(f.ctx, execution, f.process, Appended{}, []cronium.Chunk{{Stream: cronium.Stdout, Data: []byte("one\n")}})
		if err != nil {
			t.Fatal(err)
		}
		end := Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionFailure,
			Last: []cronium.Chunk{{Stream: cronium.Stderr, Data: []byte("two\nthree"), At: time.Second}}}
		if retry {
			end.Retry = new(time.Duration)
		}
		// At an offset at which the output does not stand nothing is stored.
		if _, err := f.Finish(f.ctx, end, noRequeue); err != ErrNotOwner {
			t.Fatalf("at the wrong offset: %v", err)
		}
		end.Stored = stored
		if _, err := f.Finish(f.ctx, end, noRequeue); err != nil {
			t.Fatal(err)
		}
		e, err := f.Execution(f.ctx, f.workspace, execution)
		if err != nil || e.Status != cronium.ExecutionFailure || e.OutputBytes != 13 || e.OutputLines != 2 || e.OutputBlocks != 2 {
			t.Errorf("retry %v: %+v, %v", retry, e, err)
		}
		chunks, err := f.Output(f.ctx, f.workspace, execution, 0, 1<<20)
		if err != nil || len(chunks) != 2 || string(chunks[1].Data) != "two\nthree" || chunks[1].FirstLine != 1 || chunks[1].Offset != 4 {
			t.Errorf("retry %v: %+v, %v", retry, chunks, err)
		}
	}
}

// A script that is over before its start was stored has run all the same.
func TestAnEndWithOutputTellsTheStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	j := f.enqueue(t)
	execution := f.claim(t, j)
	end := Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionSuccess, Last: []cronium.Chunk{{Stream: cronium.Stdout, Data: []byte("x")}}}
	if _, err := f.Finish(f.ctx, end, noRequeue); err != nil {
		t.Fatal(err)
	}
	row, err := f.Job(f.ctx, f.workspace, j.ID)
	if err != nil || row.Status != cronium.JobCompleted || row.StartedAt == nil {
		t.Errorf("%+v, %v", row, err)
	}
	e, err := f.Execution(f.ctx, f.workspace, execution)
	if err != nil || e.StartedAt == nil || e.FinishedAt == nil {
		t.Errorf("%+v, %v", e, err)
	}
}
