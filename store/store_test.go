package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
)

func noQueue(context.Context, pgx.Tx) error { return nil }

func noRequeue(context.Context, pgx.Tx, cronium.Job, time.Time) error { return nil }

// fixture is a workspace with one event and one server process.
type fixture struct {
	*Store
	ctx       context.Context
	workspace cronium.ID
	event     cronium.ID
	process   cronium.ID
	follows   bool // what is accepted from now on has something that follows
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return fixtureOn(t, testDatabase(t))
}

func fixtureOn(t *testing.T, url string) *fixture {
	t.Helper()
	ctx := t.Context()
	s, err := Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	f := &fixture{Store: s, ctx: ctx, workspace: cronium.NewID(), event: cronium.NewID(), process: cronium.NewID()}
	f.exec(t, `INSERT INTO workspaces (id, slug, name) VALUES ($1, $2, 'w')`, f.workspace, "w-"+f.workspace.String()[24:])
	f.exec(t, `INSERT INTO events (id, workspace_id, name, type, status, version) VALUES ($1, $2, 'backup', 'PYTHON', 'ACTIVE', 1)`, f.event, f.workspace)
	f.exec(t, `INSERT INTO event_versions (workspace_id, event_id, number, content, author_id, author_name) VALUES ($1, $2, 1, '{"target":"container"}', $3, 'a')`,
		f.workspace, f.event, cronium.NewID())
	if err := s.RenewLease(ctx, Process{ID: f.process, Hostname: "h", PID: 1, Version: "v"}); err != nil {
		t.Fatal(err)
	}
	// Nobody renews it, and a test may take longer than a lease.
	f.exec(t, `UPDATE processes SET lease_until = now() + interval '1 hour' WHERE id = $1`, f.process)
	return f
}

func (f *fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := f.worker.Exec(f.ctx, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (f *fixture) enqueue(t *testing.T) *cronium.Job {
	t.Helper()
	j := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: f.event, Version: 1,
		Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual, TriggeredBy: "ann", Follows: f.follows, Input: []byte(`{"a":"\u0000"}`)}
	if _, err := f.Enqueue(f.ctx, j, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	return j
}

func (f *fixture) claim(t *testing.T, j *cronium.Job) cronium.ID {
	t.Helper()
	execution := cronium.NewID()
	if _, err := f.Claim(f.ctx, Claim{JobID: j.ID, ExecutionID: execution, Owner: f.process, Target: cronium.TargetContainer, TargetRef: "c1"}, false); err != nil {
		t.Fatal(err)
	}
	return execution
}

func TestAJobIsClaimedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	j := f.enqueue(t)
	results := make(chan error, 20)
	for range 20 {
		go func() {
			_, err := f.Claim(f.ctx, Claim{JobID: j.ID, ExecutionID: cronium.NewID(), Owner: f.process, Target: cronium.TargetContainer}, false)
			results <- err
		}()
	}
	won := 0
	for range 20 {
		switch err := <-results; err {
		case nil:
			won++
		case ErrNotQueued:
		default:
			t.Error(err)
		}
	}
	executions, err := f.Executions(f.ctx, f.workspace, j.ID)
	if err != nil || won != 1 || len(executions) != 1 {
		t.Fatalf("claimed %d times, %d executions, %v", won, len(executions), err)
	}
}

func TestOutputIsStoredOnceWhenAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	execution := f.claim(t, f.enqueue(t))
	chunks := []cronium.Chunk{{Stream: cronium.Stdout, Data: []byte("one\ntwo")}, {Stream: cronium.Stderr, Data: []byte("\xff\x00!\n"), At: time.Second}}
	first, err := f.AppendOutput(f.ctx, execution, f.process, Appended{}, chunks)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.AppendOutput(f.ctx, execution, f.process, Appended{}, chunks)
	if err != nil || again != first {
		t.Fatalf("stored again: %v, %v", again, err)
	}
	if _, err := f.AppendOutput(f.ctx, execution, cronium.NewID(), first, chunks); err != ErrNotOwner {
		t.Fatalf("another process stored output: %v", err)
	}
	got, err := f.Output(f.ctx, f.workspace, execution, 0, 1<<20)
	if err != nil || len(got) != 2 || string(got[1].Data) != "\xff\x00!\n" || got[1].FirstLine != 1 || got[1].Stream != cronium.Stderr {
		t.Fatalf("read %+v, %v", got, err)
	}
}

func TestCompactedOutputReadsTheSame(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	j := f.enqueue(t)
	execution := f.claim(t, j)
	var stored Appended
	var want []byte
	for i := range 300 {
		data := make([]byte, 1+i*7)
		for k := range data {
			data[k] = byte(k*i) | byte(i%3)
		}
		want = append(want, data...)
		var err error
		if stored, err = f.AppendOutput(f.ctx, execution, f.process, stored, []cronium.Chunk{{Stream: cronium.Stdout, Data: data, At: time.Duration(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Finish(f.ctx, Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionSuccess}, noRequeue); err != nil {
		t.Fatal(err)
	}
	read := func() []byte {
		var all []byte
		var line int64
		for {
			chunks, err := f.OutputAfter(f.ctx, f.workspace, execution, line, int64(len(all)), 10_000)
			if err != nil {
				t.Fatal(err)
			}
			if len(chunks) == 0 {
				return all
			}
			for _, c := range chunks {
				if c.Offset != int64(len(all)) {
					t.Fatalf("chunk at %d after %d bytes", c.Offset, len(all))
				}
				all = append(all, c.Data...)
				line = c.FirstLine
			}
		}
	}
	if string(read()) != string(want) {
		t.Fatal("output differs before compaction")
	}
	if err := f.compactOne(f.ctx, f.workspace, execution); err != nil {
		t.Fatal(err)
	}
	e, err := f.Execution(f.ctx, f.workspace, execution)
	if err != nil || e.OutputBlocks >= 10 {
		t.Fatalf("%d blocks after compaction, %v", e.OutputBlocks, err)
	}
	if string(read()) != string(want) {
		t.Fatal("output differs after compaction")
	}
}

func TestAFinishedExecutionStaysAsItIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	j := f.enqueue(t)
	execution := f.claim(t, j)
	if err := f.Start(f.ctx, Started{ExecutionID: execution, JobID: j.ID, Owner: f.process}); err != nil {
		t.Fatal(err)
	}
	code := 3
	end := Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionFailure, ExitCode: &code,
		Error: "bad\x00\xff", Output: []byte(`{"x":"\u0000"}`), Run: time.Second}
	if status, err := f.Finish(f.ctx, end, noRequeue); err != nil || status != cronium.JobFailed {
		t.Fatalf("%s, %v", status, err)
	}
	end.Status = cronium.ExecutionSuccess
	if _, err := f.Finish(f.ctx, end, noRequeue); err != ErrNotOwner {
		t.Fatalf("finished twice: %v", err)
	}
	if _, err := f.AppendOutput(f.ctx, execution, f.process, Appended{}, []cronium.Chunk{{Stream: 1, Data: []byte("x")}}); err != ErrNotOwner {
		t.Fatalf("output after the end: %v", err)
	}
	row, err := f.Job(f.ctx, f.workspace, j.ID)
	if err != nil || row.Result != cronium.ResultFailure || row.EventName != "backup" || row.StartedAt == nil || row.FinishedAt == nil {
		t.Fatalf("%+v, %v", row, err)
	}
	e, err := f.Execution(f.ctx, f.workspace, execution)
	if err != nil || *e.ExitCode != 3 || e.Run != time.Second {
		t.Fatalf("%+v, %v", e, err)
	}
}

func TestARetryPutsTheJobBackAndACancelledOneDoesNot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, cancelled := range []bool{false, true} {
		j := f.enqueue(t)
		execution := f.claim(t, j)
		if cancelled {
			if _, err := f.Cancel(f.ctx, f.workspace, j.ID, "bob"); err != nil {
				t.Fatal(err)
			}
		}
		wait, queued := time.Minute, 0
		status, err := f.Finish(f.ctx, Finish{ExecutionID: execution, JobID: j.ID, Owner: f.process, Status: cronium.ExecutionFailure, Retry: &wait},
			func(_ context.Context, _ pgx.Tx, _ cronium.Job, at time.Time) error { queued++; return nil })
		want, wantQueued := cronium.JobQueued, 1
		if cancelled {
			want, wantQueued = cronium.JobCancelled, 0
		}
		if err != nil || status != want || queued != wantQueued {
			t.Fatalf("cancelled %v: %s, queued %d, %v", cancelled, status, queued, err)
		}
	}
}

func TestExecutionsOfTheDeadAreTakenOverOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	j := f.enqueue(t)
	execution := f.claim(t, j)
	heir := cronium.NewID()
	if err := f.RenewLease(f.ctx, Process{ID: heir, Hostname: "h", PID: 2, Version: "v"}); err != nil {
		t.Fatal(err)
	}
	if adopted, err := f.TakeOver(f.ctx, heir, Serves{Targets: []cronium.TargetKind{cronium.TargetContainer}}, nil, 10); err != nil || len(adopted) != 0 {
		t.Fatalf("took %d from the living, %v", len(adopted), err)
	}
	if err := f.EndLease(f.ctx, f.process); err != nil {
		t.Fatal(err)
	}
	adopted, err := f.TakeOver(f.ctx, heir, Serves{Targets: []cronium.TargetKind{cronium.TargetContainer}}, nil, 10)
	if err != nil || len(adopted) != 1 || adopted[0].Execution.ID != execution || adopted[0].Job.ID != j.ID {
		t.Fatalf("took %+v, %v", adopted, err)
	}
	if err := f.Start(f.ctx, Started{ExecutionID: execution, JobID: j.ID, Owner: f.process}); err != ErrNotOwner {
		t.Fatalf("the old owner wrote: %v", err)
	}
}

func TestTheConcurrencyLimitHoldsUnderACrowd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `UPDATE events SET concurrency = 2 WHERE id = $1`, f.event)
	type answer struct {
		job *cronium.Job
		id  cronium.ID
		err error
	}
	answers := make(chan answer, 10)
	for range 10 {
		j := f.enqueue(t)
		go func() {
			id := cronium.NewID()
			_, err := f.Claim(f.ctx, Claim{JobID: j.ID, ExecutionID: id, Owner: f.process, Target: cronium.TargetContainer}, true)
			answers <- answer{j, id, err}
		}()
	}
	var running []answer
	for range 10 {
		a := <-answers
		if a.err == nil {
			running = append(running, a)
		} else if w := (*Waits)(nil); !errors.As(a.err, &w) {
			t.Fatal(a.err)
		}
	}
	if len(running) != 2 {
		t.Fatalf("%d run at once, want 2", len(running))
	}
	released := 0
	_, err := f.Finish(f.ctx, Finish{ExecutionID: running[0].id, JobID: running[0].job.ID, Owner: f.process, Status: cronium.ExecutionSuccess, Limited: true},
		func(context.Context, pgx.Tx, cronium.Job, time.Time) error { released++; return nil })
	if err != nil || released != 1 {
		t.Fatalf("the end of one released %d, %v", released, err)
	}
}

func TestAKeyIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	make := func(request string) (*cronium.ID, error) {
		j := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: f.event, Version: 1, Priority: cronium.PriorityLow, Trigger: cronium.TriggerAPI}
		return f.Enqueue(f.ctx, j, &Idempotency{Key: "k", Request: []byte(request)}, noQueue)
	}
	if first, err := make("a"); first != nil || err != nil {
		t.Fatal(first, err)
	}
	if first, err := make("a"); first == nil || err != nil {
		t.Fatal(first, err)
	}
	if _, err := make("b"); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Fatal(err)
	}
	if jobs, err := f.Jobs(f.ctx, f.workspace, JobFilter{}); err != nil || len(jobs) != 1 {
		t.Fatal(len(jobs), err)
	}
}

func TestEveryTableOfATenantHasRowLevelSecurity(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var open []string
	rows, err := f.worker.Query(f.ctx, `
		SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'workspace_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
		  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`)
	if err != nil {
		t.Fatal(err)
	}
	if open, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(open) > 0 {
		t.Fatalf("without row-level security: %v, %v", open, err)
	}
	f.enqueue(t)
	var seen int
	if err := f.pool.QueryRow(f.ctx, `SELECT count(*) FROM jobs`).Scan(&seen); err != nil || seen != 0 {
		t.Fatalf("without a workspace %d jobs are seen, %v", seen, err)
	}
	other, err := f.Jobs(f.ctx, cronium.NewID(), JobFilter{})
	if err != nil || len(other) != 0 {
		t.Fatalf("another workspace sees %d jobs, %v", len(other), err)
	}
}

func TestTheFirstOutputTellsTheStart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	j := f.enqueue(t)
	execution := f.claim(t, j)
	started := Started{ExecutionID: execution, JobID: j.ID, Owner: f.process, Setup: time.Second}
	chunks := []cronium.Chunk{{Stream: cronium.Stdout, Data: []byte("one\n")}}
	stored, err := f.StartWithOutput(f.ctx, started, Appended{}, chunks)
	if err != nil || stored.Lines != 1 {
		t.Fatal(stored, err)
	}
	row, err := f.Job(f.ctx, f.workspace, j.ID)
	if err != nil || row.Status != cronium.JobRunning || row.StartedAt == nil {
		t.Fatalf("%+v, %v", row, err)
	}
	e, err := f.Execution(f.ctx, f.workspace, execution)
	if err != nil || e.Status != cronium.ExecutionRunning || e.StartedAt == nil || e.Setup != time.Second {
		t.Fatalf("%+v, %v", e, err)
	}
	if again, err := f.StartWithOutput(f.ctx, started, Appended{}, chunks); err != nil || again != stored {
		t.Fatalf("stored again: %v, %v", again, err)
	}
}

func TestARoleThatPoliciesDoNotBindIsRefused(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), testenv.AdminURL(t))
	if err == nil {
		s.Close()
	}
	if cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("opened as a superuser: %v", err)
	}
}
