package store

import (
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

func TestDamagedOutputDoesNotHoldUpTheCompactionOfOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var executions []cronium.ID
	for range 2 {
		j := f.enqueue(t)
		execution := f.claim(t, j)
		var stored Appended
		for range 3 {
			var err error
			if stored, err = f.AppendOutput(f.ctx, execution, f.process, stored, []cronium.Chunk{{Stream: cronium.Stdout, Data: []byte("line\n")}}); err != nil {
				t.Fatal(err)
			}
		}
		end := Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionSuccess}
		if _, err := f.Finish(f.ctx, end, noRequeue); err != nil {
			t.Fatal(err)
		}
		executions = append(executions, execution)
	}
	damaged, sound := executions[0], executions[1]
	f.exec(t, `UPDATE output SET data = '\xff' WHERE execution_id = $1 AND start = 5`, damaged)

	deadline := time.Now().Add(time.Minute) // an execution is left alone in its first second
	for {
		n, err := f.CompactOutput(f.ctx, 1)
		if err != nil && !strings.Contains(err.Error(), damaged.String()) {
			t.Fatalf("%v: want the damaged execution's id", err)
		}
		e, err := f.Execution(f.ctx, f.workspace, sound)
		if err != nil {
			t.Fatal(err)
		}
		if e.OutputBlocks == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sound output has still %d blocks; the last call looked at %d", e.OutputBlocks, n)
		}
	}
	if n, err := f.CompactOutput(f.ctx, 1); n != 0 || err != nil {
		t.Errorf("looked at %d again, %v", n, err)
	}
	if e, err := f.Execution(f.ctx, f.workspace, damaged); err != nil || e.OutputBlocks != 3 {
		t.Errorf("the damaged output was changed: %+v, %v", e, err)
	}
}
