package store

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"strings"
	"sync"
	"testing"

	"cronium.dev/cronium"
)

const mib = 1 << 20

// uploadOf is an upload of a new execution.
func (f *fixture) uploadOf(t *testing.T, name string) Upload {
	t.Helper()
	j := f.enqueue(t)
	return Upload{WorkspaceID: f.workspace, JobID: j.ID, ExecutionID: f.claim(t, j), Upload: rand.Text(), Name: name}
}

// send sends a file in parts.
func (f *fixture) send(t *testing.T, u Upload, content []byte, part int) *cronium.Artifact {
	t.Helper()
	for at := 0; at < len(content); at += part {
		if _, err := f.AddArtifactPart(f.ctx, u, int64(at), content[at:min(at+part, len(content))], 64*mib); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(content)
	a, err := f.EndArtifact(f.ctx, u, int64(len(content)), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (f *fixture) content(t *testing.T, a *cronium.Artifact) []byte {
	t.Helper()
	var all []byte
	for {
		data, err := f.ArtifactPart(f.ctx, a, int64(len(all)))
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 {
			return all
		}
		all = append(all, data...)
	}
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnArtifactIsReadAsItWasSent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, size := range []int{0, 1, 1000, 100_000} {
		u, content := f.uploadOf(t, "report.csv"), random(t, size)
		a := f.send(t, u, content, 999)
		found, err := f.Artifact(f.ctx, f.workspace, u.ExecutionID, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if found.Size != int64(size) || found.Name != "report.csv" || !bytes.Equal(found.SHA256, sum[:]) {
			t.Errorf("it is %+v", found)
		}
		if !bytes.Equal(f.content(t, found), content) {
			t.Errorf("%d bytes are read differently", size)
		}
		if rest, err := f.ArtifactPart(f.ctx, found, int64(size)); err != nil || len(rest) > 0 {
			t.Errorf("behind the end: %d bytes, %v", len(rest), err)
		}
	}
}

func TestPartsThatComeTwiceCountOnceAndGapsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "a")
	for _, part := range []struct {
		offset int64
		data   string
		size   int64
		ok     bool
	}{
		{0, "hello ", 6, true}, {0, "hello ", 6, true}, {7, "x", 0, false}, {6, "world", 11, true}, {6, "world", 11, true}, {0, "hello ", 11, true},
		{4, "o world!", 0, false}, {-3, "helhello world", 11, true},
	} {
		size, err := f.AddArtifactPart(f.ctx, u, part.offset, []byte(part.data), mib)
		if part.ok != (err == nil) || err == nil && size != part.size || err != nil && cronium.CodeOf(err) != cronium.CodeConflict {
			t.Errorf("%q at %d: %d, %v", part.data, part.offset, size, err)
		}
	}
	sum := sha256.Sum256([]byte("hello world"))
	first, err := f.EndArtifact(f.ctx, u, 11, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.EndArtifact(f.ctx, u, 11, sum[:])
	if err != nil || again.ID != first.ID {
		t.Errorf("ended twice: %+v, %v", again, err)
	}
	if _, err := f.AddArtifactPart(f.ctx, u, 11, []byte("more"), mib); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("a part after the end: %v", err)
	}
	if got := string(f.content(t, first)); got != "hello world" {
		t.Errorf("it is %q", got)
	}
}

func TestAnArtifactThatIsNotWhatWasSentIsNotKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "a")
	if _, err := f.AddArtifactPart(f.ctx, u, 0, []byte("hello"), mib); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("hallo"))
	if _, err := f.EndArtifact(f.ctx, u, 5, sum[:]); cronium.CodeOf(err) != cronium.CodeConflict {
		t.Errorf("end: %v", err)
	}
	if list, err := f.Artifacts(f.ctx, f.workspace, u.JobID); err != nil || len(list) != 0 {
		t.Errorf("kept: %v, %v", list, err)
	}
}

func TestAFileOfTheSameNameIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "a")
	f.send(t, u, []byte("first"), 100)
	u.Upload = rand.Text()
	second := f.send(t, u, []byte("second"), 100)
	u.Upload, u.Name = rand.Text(), "B"
	other := f.send(t, u, []byte("other"), 100)
	list, err := f.Artifacts(f.ctx, f.workspace, u.JobID)
	if err != nil || len(list) != 2 || list[0].ID != second.ID || list[1].ID != other.ID {
		t.Fatalf("kept: %+v, %v", list, err)
	}
	if got := f.count(t, `SELECT count(*) FROM artifact_parts WHERE execution_id = $1`, u.ExecutionID); got != 2 {
		t.Errorf("%d parts are there", got)
	}
}

func TestTheLimitOfArtifactsHoldsForUploadsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "")
	var stored, refused int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			mine := u
			mine.Upload, mine.Name = rand.Text(), strings.Repeat("n", i+1)
			_, err := f.AddArtifactPart(f.ctx, mine, 0, make([]byte, mib/2), 2*mib)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				stored++
			case cronium.CodeOf(err) == cronium.CodeInvalid && strings.Contains(err.Error(), "limits.artifact_mib"):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if stored != 4 || refused != 4 {
		t.Errorf("%d parts of 512 KiB were stored and %d refused at a limit of 2 MiB", stored, refused)
	}
}

func TestTheNumberOfArtifactsIsBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "")
	f.exec(t, `INSERT INTO artifacts (execution_id, id, workspace_id, job_id, upload, name, sha256)
		SELECT $1, gen_random_uuid(), $2, $3, 'u' || n, 'n' || n, '' FROM generate_series(1, $4::int) n`, u.ExecutionID, f.workspace, u.JobID, cronium.MaxArtifacts)
	u.Name = "one more"
	if _, err := f.AddArtifactPart(f.ctx, u, 0, []byte("x"), mib); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("one more: %v", err)
	}
	u.Name = "n7" // in place of one that is there
	f.send(t, u, []byte("x"), 1)
}

func TestArtifactsOfAnotherWorkspaceAreNotThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "a")
	a := f.send(t, u, []byte("x"), 1)
	other := cronium.NewID()
	if _, err := f.Artifact(f.ctx, other, u.ExecutionID, a.Name); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("found: %v", err)
	}
	if list, err := f.Artifacts(f.ctx, other, u.JobID); err != nil || len(list) != 0 {
		t.Errorf("listed: %v, %v", list, err)
	}
	foreign := *a
	foreign.WorkspaceID = other
	if data, err := f.ArtifactPart(f.ctx, &foreign, 0); err != nil || len(data) != 0 {
		t.Errorf("read: %q, %v", data, err)
	}
}

func TestMovedArtifactsNameTheirObjectAndLeaveNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "large")
	a := f.send(t, u, random(t, 3000), 1000)
	u.Upload, u.Name = rand.Text(), "small"
	f.send(t, u, random(t, 10), 1000)
	moving, object, err := f.ArtifactToMove(f.ctx, 1000)
	if err != nil || moving == nil || moving.ID != a.ID {
		t.Fatalf("to move: %+v, %v", moving, err)
	}
	if again, _, err := f.ArtifactToMove(f.ctx, 1000); err != nil || again != nil {
		t.Errorf("another process would move it too: %+v, %v", again, err)
	}
	if left, err := f.LeftoverObjects(f.ctx, 10); err != nil || len(left) != 0 {
		t.Errorf("an object on its way is left over: %v, %v", left, err)
	}
	if err := f.ArtifactMoved(f.ctx, moving, object); err != nil {
		t.Fatal(err)
	}
	found, err := f.Artifact(f.ctx, f.workspace, u.ExecutionID, a.Name)
	if err != nil || found.Object != object {
		t.Errorf("moved: %+v, %v", found, err)
	}
	if got := f.count(t, `SELECT count(*) FROM artifact_parts WHERE artifact_id = $1`, a.ID); got != 0 {
		t.Errorf("%d parts are still in the database", got)
	}
	if got := f.count(t, `SELECT count(*) FROM artifact_leftovers`); got != 0 {
		t.Errorf("%d leftovers", got)
	}

	// Replaced, its object is to be removed.
	u.Upload, u.Name = rand.Text(), "large"
	f.send(t, u, []byte("x"), 1)
	if left, err := f.LeftoverObjects(f.ctx, 10); err != nil || len(left) != 1 || left[0] != object {
		t.Errorf("left over: %v, %v", left, err)
	}
	if err := f.ObjectRemoved(f.ctx, object); err != nil {
		t.Fatal(err)
	}
	if got := f.count(t, `SELECT count(*) FROM artifact_leftovers`); got != 0 {
		t.Errorf("%d leftovers", got)
	}
}

func TestAnArtifactThatWasReplacedWhileItMovedLeavesItsObjectToBeRemoved(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u := f.uploadOf(t, "a")
	f.send(t, u, random(t, 2000), 1000)
	moving, object, err := f.ArtifactToMove(f.ctx, 1000)
	if err != nil || moving == nil {
		t.Fatalf("to move: %+v, %v", moving, err)
	}
	u.Upload = rand.Text()
	f.send(t, u, []byte("x"), 1)
	if err := f.ArtifactMoved(f.ctx, moving, object); err != nil {
		t.Fatal(err)
	}
	if left, err := f.LeftoverObjects(f.ctx, 10); err != nil || len(left) != 1 || left[0] != object {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestUploadsOfEndedScriptsAreDropped(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	running, ended := f.uploadOf(t, "a"), f.uploadOf(t, "a")
	for _, u := range []Upload{running, ended} {
		if _, err := f.AddArtifactPart(f.ctx, u, 0, []byte("x"), mib); err != nil {
			t.Fatal(err)
		}
	}
	kept := ended
	kept.Upload, kept.Name = rand.Text(), "kept"
	f.send(t, kept, []byte("x"), 1)
	f.exec(t, `UPDATE executions SET status = 'FAILURE', finished_at = now() - interval '2 minutes' WHERE id = $1`, ended.ExecutionID)
	if err := f.DropUploads(f.ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		u Upload
		n int
	}{{running, 1}, {ended, 1}} {
		if got := f.count(t, `SELECT count(*) FROM artifact_parts WHERE execution_id = $1`, want.u.ExecutionID); got != want.n {
			t.Errorf("%d parts of %v, want %d", got, want.u, want.n)
		}
	}
	if list, err := f.Artifacts(f.ctx, f.workspace, ended.JobID); err != nil || len(list) != 1 || list[0].Name != "kept" {
		t.Errorf("kept: %+v, %v", list, err)
	}
}

// count is what a query counts, across workspaces.
func (f *fixture) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	if err := f.worker.QueryRow(f.ctx, sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
