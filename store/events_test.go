package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

var ann = Author{ID: cronium.NewID(), Name: "Ann"}

func (f *fixture) create(t *testing.T, name string) *cronium.Event {
	t.Helper()
	e := &cronium.Event{Name: name, Type: cronium.EventBash, Status: cronium.EventActive}
	if err := f.CreateEvent(f.ctx, f.workspace, e, cronium.NewContent(cronium.EventBash), "first", ann); err != nil {
		t.Fatal(err)
	}
	return e
}

func wantCode(t *testing.T, err error, code cronium.Code, words ...string) {
	t.Helper()
	if err == nil || cronium.CodeOf(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestAnEventKeepsEveryByteOfItsScript(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	content := cronium.NewContent(cronium.EventBash)
	content.Files[0].Content = "echo '<&>\x00\\u0000 ümlaut 🙂'\r\n\tend"
	content.Environment = []cronium.Variable{{Name: "A", Value: "'\"$(x)`"}}
	e := &cronium.Event{Name: "Exact", Description: "d", Type: cronium.EventBash}
	if err := f.CreateEvent(f.ctx, f.workspace, e, content, "n", ann); err != nil {
		t.Fatal(err)
	}
	v, err := f.EventVersion(f.ctx, f.workspace, e.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if v.Content.Files[0].Content != content.Files[0].Content || v.Content.Environment[0] != content.Environment[0] {
		t.Errorf("read back %+v", v.Content)
	}
	if e.Status != cronium.EventDraft || v.AuthorName != "Ann" || v.Note != "n" {
		t.Errorf("%+v %+v", e, v)
	}
	if rows, err := f.Events(f.ctx, f.workspace, EventFilter{}); err != nil || len(rows) != 2 {
		t.Fatalf("list with a NUL in a script: %d rows, %v", len(rows), err)
	}
}

func TestAnEventsNameIsItsOwnUntilItIsArchived(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.create(t, "Nightly report")
	e := &cronium.Event{Name: "nightly REPORT", Type: cronium.EventBash}
	err := f.CreateEvent(f.ctx, f.workspace, e, cronium.NewContent(cronium.EventBash), "", ann)
	wantCode(t, err, cronium.CodeConflict, "already an event named", "name")
	if _, err := f.SetEventStatus(f.ctx, f.workspace, first.ID, cronium.EventArchived); err != nil {
		t.Fatal(err)
	}
	second := f.create(t, "nightly REPORT")
	_, err = f.SetEventStatus(f.ctx, f.workspace, first.ID, cronium.EventActive)
	wantCode(t, err, cronium.CodeConflict, "Nightly report")
	if _, err := f.UpdateEvent(f.ctx, f.workspace, second.ID, "Backup", ""); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("renamed to a taken name: %v", err)
	}
	if _, err := f.UpdateEvent(f.ctx, f.workspace, second.ID, " padded ", ""); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("renamed to a name with spaces around it: %v", err)
	}
}

func TestASaveOnTopOfAnUnseenVersionSaysWhoSavedWhat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "a")
	content := cronium.NewContent(cronium.EventBash)
	content.Concurrency = 3
	v, err := f.SaveVersion(f.ctx, f.workspace, e.ID, 1, content, "three at once", Author{cronium.NewID(), "Bob"})
	if err != nil || v.Number != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	_, err = f.SaveVersion(f.ctx, f.workspace, e.ID, 1, content, "mine", ann)
	wantCode(t, err, cronium.CodeConflict, "Bob saved version 2", "three at once", fmt.Sprint(time.Now().UTC().Year()))
	_, err = f.SaveVersion(f.ctx, f.workspace, e.ID, 7, content, "mine", ann)
	wantCode(t, err, cronium.CodeConflict, "no version 7")
	versions, err := f.EventVersions(f.ctx, f.workspace, e.ID, VersionPage{})
	if err != nil || len(versions) != 2 || versions[0].Number != 2 {
		t.Fatalf("%+v, %v", versions, err)
	}
	var concurrency int
	if err := f.worker.QueryRow(f.ctx, `SELECT concurrency FROM events WHERE id = $1`, e.ID).Scan(&concurrency); err != nil || concurrency != 3 {
		t.Errorf("claims see a limit of %d, %v", concurrency, err)
	}
}

func TestAReplacementIsAllOrNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "a")
	f.create(t, "taken")
	content, description := cronium.NewContent(cronium.EventBash), "new"
	replace := func(base int, name string, content cronium.Content) error {
		_, err := f.ReplaceEvent(f.ctx, f.workspace, e.ID, base, Replacement{Name: &name, Description: &description, Content: &content, Note: "n", Author: ann})
		return err
	}
	wantCode(t, replace(1, "Taken", content), cronium.CodeConflict, "already an event named")
	wantCode(t, replace(0, "b", content), cronium.CodeConflict, "saved version 1")
	bad := content
	bad.Limits.CPUs = 0
	wantCode(t, replace(1, "", bad), cronium.CodeInvalid, "limits.cpus", "name")
	if got, err := f.Event(f.ctx, f.workspace, e.ID); err != nil || got.Version != 1 || got.Description != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := replace(1, "b", content); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Event(f.ctx, f.workspace, e.ID); err != nil || got.Version != 2 || got.Name != "b" || got.Description != "new" {
		t.Fatalf("%+v, %v", got, err)
	}
	name := "c"
	_, err := f.ReplaceEvent(f.ctx, f.workspace, e.ID, 1, Replacement{Name: &name})
	wantCode(t, err, cronium.CodeConflict, "saved version 2")
	got, err := f.ReplaceEvent(f.ctx, f.workspace, e.ID, 2, Replacement{Name: &name})
	if err != nil || got.Version != 2 || got.Name != "c" || got.Description != "new" {
		t.Fatalf("what was not given did not stay: %+v, %v", got, err)
	}
}

func TestOfTwoSavesAtOnceOneWins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "a")
	results := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := f.SaveVersion(f.ctx, f.workspace, e.ID, 1, cronium.NewContent(cronium.EventBash), "", ann)
			results <- err
		}()
	}
	saved := 0
	for range 8 {
		switch err := <-results; {
		case err == nil:
			saved++
		case cronium.CodeOf(err) != cronium.CodeConflict:
			t.Error(err)
		}
	}
	if saved != 1 {
		t.Errorf("%d saves on top of version 1 succeeded", saved)
	}
}

func TestRestoringMakesANewVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "a")
	changed := cronium.NewContent(cronium.EventBash)
	changed.Files[0].Content = "exit 1"
	if _, err := f.SaveVersion(f.ctx, f.workspace, e.ID, 1, changed, "", ann); err != nil {
		t.Fatal(err)
	}
	v, err := f.RestoreVersion(f.ctx, f.workspace, e.ID, 1, 2, ann)
	if err != nil || v.Number != 3 || v.Note != "Restored version 1" || v.Content.Files[0].Content == "exit 1" {
		t.Fatalf("%+v, %v", v, err)
	}
}

func TestEventStatusFollowsTheRules(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "a")
	for _, status := range []cronium.EventStatus{"PAUSED", "PAUSED", "ACTIVE", "ARCHIVED", "PAUSED"} {
		if got, err := f.SetEventStatus(f.ctx, f.workspace, e.ID, status); err != nil || got.Status != status {
			t.Fatalf("%s: %v", status, err)
		}
	}
	_, err := f.SetEventStatus(f.ctx, f.workspace, e.ID, cronium.EventDraft)
	wantCode(t, err, cronium.CodeConflict, "cannot become DRAFT; it can become ACTIVE or ARCHIVED")
	_, err = f.SetEventStatus(f.ctx, f.workspace, e.ID, "GONE")
	wantCode(t, err, cronium.CodeInvalid, "status")
}

func TestOnlyAnArchivedOrUnusedEventIsDeleted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	unused := f.create(t, "unused")
	if err := f.DeleteEvent(f.ctx, f.workspace, unused.ID); err != nil {
		t.Fatal(err)
	}
	j := f.enqueue(t)
	wantCode(t, f.DeleteEvent(f.ctx, f.workspace, f.event), cronium.CodeConflict, "1 of the event's jobs")
	if _, err := f.Cancel(f.ctx, f.workspace, j.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.DeleteEvent(f.ctx, f.workspace, f.event), cronium.CodeConflict, "Archive it first")
	if _, err := f.SetEventStatus(f.ctx, f.workspace, f.event, cronium.EventArchived); err != nil {
		t.Fatal(err)
	}
	_, err := f.SaveVersion(f.ctx, f.workspace, f.event, 1, cronium.NewContent(cronium.EventPython), "", ann)
	wantCode(t, err, cronium.CodeConflict, "archived")
	if err := f.DeleteEvent(f.ctx, f.workspace, f.event); err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.DeleteEvent(f.ctx, f.workspace, f.event), cronium.CodeNotFound)
}

func TestEventsOfAnotherWorkspaceDoNotExist(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := cronium.NewID()
	content := cronium.NewContent(cronium.EventPython)
	_, update := f.UpdateEvent(f.ctx, other, f.event, "x", "")
	_, status := f.SetEventStatus(f.ctx, other, f.event, cronium.EventPaused)
	_, save := f.SaveVersion(f.ctx, other, f.event, 1, content, "", ann)
	draft := f.EnqueueDraft(f.ctx, &cronium.Job{ID: cronium.NewID(), WorkspaceID: other, EventID: f.event}, Draft{content, ann}, noQueue)
	_, duplicate := f.DuplicateEvent(f.ctx, other, f.event, "", ann)
	_, read := f.Event(f.ctx, other, f.event)
	_, version := f.EventVersion(f.ctx, other, f.event, 1)
	_, versions := f.EventVersions(f.ctx, other, f.event, VersionPage{})
	for i, err := range []error{update, status, save, draft, duplicate, read, version, versions, f.DeleteEvent(f.ctx, other, f.event)} {
		if cronium.CodeOf(err) != cronium.CodeNotFound {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestTheListOfEventsPagesWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 23 {
		f.create(t, fmt.Sprintf("Event %c%02d", "aB"[i%2], i))
	}
	for _, sort := range []EventSort{SortName, SortNewest} {
		seen := map[cronium.ID]bool{}
		var last string
		filter := EventFilter{Query: "event", Sort: sort, Limit: 5}
		for {
			rows, err := f.Events(f.ctx, f.workspace, filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				if seen[r.ID] || sort == SortName && strings.ToLower(r.Name) < last {
					t.Fatalf("%s: %s is repeated or out of order", sort, r.Name)
				}
				seen[r.ID], last = true, strings.ToLower(r.Name)
			}
			cursor := rows[len(rows)-1].Cursor()
			filter.After = &cursor
		}
		if len(seen) != 23 {
			t.Errorf("%s: %d events, want 23", sort, len(seen))
		}
	}
}

func TestTheListOfEventsShowsTheLastTenJobsAndFilters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var last cronium.ID
	for range 12 {
		last = f.enqueue(t).ID
	}
	f.exec(t, `UPDATE jobs SET trigger = 'TEST' WHERE id = $1`, f.enqueue(t).ID)
	f.exec(t, `UPDATE jobs SET status = 'FAILED', result = 'FAILURE', finished_at = now() WHERE id = $1`, last)
	f.create(t, "other")
	rows, err := f.Events(f.ctx, f.workspace, EventFilter{Query: "BACK", Type: cronium.EventPython, Status: []cronium.EventStatus{cronium.EventActive}})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	r := rows[0]
	if len(r.Recent) != 10 || r.Last().ID != last || r.Last().Result != cronium.ResultFailure || r.Last().FinishedAt == nil || r.Target != cronium.TargetContainer {
		t.Errorf("%+v", r)
	}
	for _, hostile := range []string{"'", `"; DROP TABLE events --`, "%", "_", `\`} {
		if rows, err := f.Events(f.ctx, f.workspace, EventFilter{Query: hostile}); err != nil || len(rows) != 0 {
			t.Errorf("filter %q: %d rows, %v", hostile, len(rows), err)
		}
	}
	if n, err := f.EventCount(f.ctx, f.workspace); err != nil || n != 2 {
		t.Errorf("%d events, %v", n, err)
	}
}

func TestCopiesFindAFreeName(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, strings.Repeat("ü", 120))
	for _, suffix := range []string{"ü copy", "ü copy 2", "ü copy 3"} {
		c, err := f.DuplicateEvent(f.ctx, f.workspace, e.ID, "", ann)
		if err != nil || !strings.HasSuffix(c.Name, suffix) || c.Status != cronium.EventDraft {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if c, err := f.DuplicateEvent(f.ctx, f.workspace, e.ID, "Named", ann); err != nil || c.Name != "Named" {
		t.Fatalf("%+v, %v", c, err)
	}
}

// Lists must not slow down as jobs pile up, also where the planner knows nothing
// of them yet: the index of jobs by event is read and no job is sorted.
func TestTheListOfEventsReadsTheIndexOfJobs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, `INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, trigger, triggered_by)
		SELECT (substr($3::text, 1, 24) || lpad(to_hex(i), 12, '0'))::uuid, $1, $2, 1, 'NORMAL', 'QUEUED', 'API', '' FROM generate_series(1, 20000) i`,
		f.workspace, f.event, cronium.NewID().String())
	var plan []string
	err := f.inWorkspace(f.ctx, f.workspace, indexAlone, func(tx pgx.Tx) error {
		rows, err := tx.Query(f.ctx, `EXPLAIN SELECT id FROM jobs WHERE event_id = $1 AND trigger <> 'TEST' ORDER BY id DESC LIMIT 10`, f.event)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	text := strings.Join(plan, "\n")
	if err != nil || strings.Contains(text, "Sort") || !strings.Contains(text, "Index Scan") || strings.Contains(text, "Seq Scan") {
		t.Errorf("%v\n%s", err, text)
	}
}
