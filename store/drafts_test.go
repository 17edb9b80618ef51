package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// testRun accepts a test run and returns its job.
func (f *fixture) testRun(t *testing.T, event cronium.ID, queue func(context.Context, pgx.Tx) error) (*cronium.Job, error) {
	t.Helper()
	j := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: event, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerTest}
	return j, f.EnqueueDraft(f.ctx, j, Draft{cronium.NewContent(cronium.EventBash), ann}, queue)
}

func (f *fixture) drafts(t *testing.T) int {
	t.Helper()
	var count int
	if err := f.worker.QueryRow(f.ctx, `SELECT count(*) FROM event_versions WHERE number < 0`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestDraftsAreNotInTheHistoryAndDoNotChangeTheEvent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "a")
	for want := -1; want >= -3; want-- {
		if j, err := f.testRun(t, e.ID, noQueue); err != nil || j.Version != want {
			t.Fatalf("%+v, %v, want %d", j, err, want)
		}
	}
	versions, err := f.EventVersions(f.ctx, f.workspace, e.ID, VersionPage{})
	if err != nil || len(versions) != 1 {
		t.Fatalf("%d versions, %v", len(versions), err)
	}
	if _, err := f.EventVersion(f.ctx, f.workspace, e.ID, -2); err != nil {
		t.Error(err)
	}
	if _, err := f.RestoreVersion(f.ctx, f.workspace, e.ID, -2, 1, ann); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("restored a draft: %v", err)
	}
}

func TestARefusedTestRunLeavesNoDraft(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	full := errors.New("the queue is full")
	if _, err := f.testRun(t, f.event, func(context.Context, pgx.Tx) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if n := f.drafts(t); n != 0 {
		t.Errorf("%d drafts are left", n)
	}
	bad := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: f.event, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerTest}
	wantCode(t, f.EnqueueDraft(f.ctx, bad, Draft{}, noQueue), cronium.CodeInvalid, "files")
}

func TestADraftIsKeptAsLongAsAJobNamesIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	named, err := f.testRun(t, f.event, noQueue)
	if err != nil {
		t.Fatal(err)
	}
	f.exec(t, `INSERT INTO event_versions (workspace_id, event_id, number, content, author_id, author_name, created_at)
		SELECT $1, $2, -10 - n, '{}', $3, 'a', now() - make_interval(mins => n) FROM generate_series(0, 260) n`, f.workspace, f.event, cronium.NewID())
	f.exec(t, `UPDATE event_versions SET created_at = now() - interval '1 year' WHERE number = $1`, named.Version)

	// One more is named by a job that is accepted just now.
	again := *named
	again.ID, again.Version = cronium.NewID(), -270
	_, err = f.Enqueue(f.ctx, &again, nil, func(context.Context, pgx.Tx) error { return f.Tidy(f.ctx, time.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Tidy(f.ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{named.Version, again.Version} {
		if _, err := f.EventVersion(f.ctx, f.workspace, f.event, number); err != nil {
			t.Errorf("draft %d, which a job names: %v", number, err)
		}
	}
	// 60 are younger than an hour.
	if n := f.drafts(t); n != 62 {
		t.Errorf("%d drafts are left, want 62", n)
	}
	again.ID, again.Version = cronium.NewID(), -200
	_, err = f.Enqueue(f.ctx, &again, nil, noQueue)
	wantCode(t, err, cronium.CodeNotFound)
}

func TestWhatADeletedEventLeftIsRemovedPieceByPiece(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	kept := f.create(t, "kept")
	other := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: kept.ID, Version: 1, Priority: cronium.PriorityLow, Trigger: cronium.TriggerAPI}
	if _, err := f.Enqueue(f.ctx, other, nil, noQueue); err != nil {
		t.Fatal(err)
	}
	const jobs, blocks = deletedJobs + 20, deletedBlocks + 10
	for range jobs {
		f.enqueue(t)
	}
	f.exec(t, `UPDATE jobs SET status = 'COMPLETED', result = 'SUCCESS' WHERE event_id = $1`, f.event)
	f.exec(t, `INSERT INTO executions (id, workspace_id, job_id, attempt, target, status) SELECT id, workspace_id, id, 1, 'container', 'SUCCESS' FROM jobs`)
	f.exec(t, `INSERT INTO output (execution_id, workspace_id, first_line, start, size, encoding, data)
		SELECT (SELECT id FROM jobs WHERE event_id = $1 ORDER BY id LIMIT 1), $2, n, n, 1, 0, 'x' FROM generate_series(1, $3::int) n`, f.event, f.workspace, blocks)
	f.exec(t, `INSERT INTO output (execution_id, workspace_id, first_line, start, size, encoding, data) VALUES ($1, $2, 0, 0, 1, 0, 'x')`, other.ID, f.workspace)
	if _, err := f.SetEventStatus(f.ctx, f.workspace, f.event, cronium.EventArchived); err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteEvent(f.ctx, f.workspace, f.event); err != nil {
		t.Fatal(err)
	}
	rows := func() (n [3]int) {
		t.Helper()
		if err := f.worker.QueryRow(f.ctx, `SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM executions), (SELECT count(*) FROM output)`).Scan(&n[0], &n[1], &n[2]); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i, want := range [][3]int{
		{jobs + 1, jobs + 1, blocks - deletedBlocks + 1}, // the longest output first, and not all of it
		{jobs - deletedJobs + 1, jobs - deletedJobs + 1, 1},
		{1, 1, 1},
	} {
		if more, err := f.RemoveDeleted(f.ctx); err != nil || !more || rows() != want {
			t.Fatalf("piece %d: %v rows are left, want %v; more %t, %v", i, rows(), want, more, err)
		}
	}
	for _, want := range []bool{true, false} { // that nothing is left has to be seen
		if more, err := f.RemoveDeleted(f.ctx); err != nil || more != want {
			t.Fatal(more, err)
		}
	}
	if _, err := f.Job(f.ctx, f.workspace, other.ID); err != nil || rows() != [3]int{1, 1, 1} {
		t.Errorf("another event's job: %v, %v", rows(), err)
	}
}
