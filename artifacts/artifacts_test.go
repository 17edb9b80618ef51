package artifacts_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/artifacts"
	"cronium.dev/artifacts/bucket"
	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/internal/testenv/objects"
	"cronium.dev/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// scene is a store, an object storage and a keeper between them that is at work.
type scene struct {
	*artifacts.Keeper
	store   *store.Store
	storage *objects.Storage
	upload  store.Upload
}

func newScene(t *testing.T) *scene {
	t.Helper()
	db, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s := &scene{store: db, storage: objects.New(t)}
	b, err := bucket.New(bucket.Config{URL: s.storage.URL(), Region: objects.Region, AccessKey: objects.AccessKey, SecretKey: objects.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s.Keeper = artifacts.New(artifacts.Config{Records: db, Objects: b, Least: 1000, Every: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	s.upload = store.Upload{WorkspaceID: cronium.NewID(), JobID: cronium.NewID(), ExecutionID: cronium.NewID()}
	return s
}

// run has the keeper work until the test ends.
func (s *scene) run(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func (s *scene) save(t *testing.T, name string, size int) (*cronium.Artifact, []byte) {
	t.Helper()
	content := make([]byte, size)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	u := s.upload
	u.Upload, u.Name = rand.Text(), name
	for at := 0; at < size; at += 700 {
		if _, err := s.store.AddArtifactPart(t.Context(), u, int64(at), content[at:min(at+700, size)], 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256(content)
	a, err := s.store.EndArtifact(t.Context(), u, int64(size), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return a, content
}

// now is the artifact as the database knows it.
func (s *scene) now(t *testing.T, a *cronium.Artifact) *cronium.Artifact {
	t.Helper()
	found, err := s.store.Artifact(t.Context(), a.WorkspaceID, a.ExecutionID, a.Name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (s *scene) wantContent(t *testing.T, a *cronium.Artifact, content []byte) {
	t.Helper()
	for _, from := range []int{0, 699, 701, len(content)} {
		r, err := s.Open(t.Context(), s.now(t, a), int64(from))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, content[from:]) {
			t.Errorf("read %d bytes of %s from %d, %v", len(got), a.Name, from, err)
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("not so after a minute: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestLargeArtifactsMoveToTheStorageAndAreReadFromThere(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	large, content := s.save(t, "large", 3000)
	small, few := s.save(t, "small", 999)
	s.wantContent(t, large, content) // before
	s.run(t)
	eventually(t, "moved", func() bool { return s.now(t, large).Object != "" })
	s.wantContent(t, large, content)
	s.wantContent(t, small, few)
	if object := s.now(t, small).Object; object != "" {
		t.Errorf("the small one was moved to %s", object)
	}
	s.save(t, "large", 10) // in its place
	eventually(t, "its object is removed", func() bool { return len(s.storage.Names()) == 0 })
	if n := s.storage.Refused(); n != 0 {
		t.Errorf("%d requests were refused", n)
	}
}

func TestWhileTheStorageIsAwayNothingIsLost(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.storage.Away(true)
	s.run(t)
	large, content := s.save(t, "large", 3000)
	s.wantContent(t, large, content)
	if names := s.storage.Names(); len(names) != 0 {
		t.Fatalf("there are %v", names)
	}
	s.storage.Away(false)
	eventually(t, "moved", func() bool { return s.now(t, large).Object != "" })
	s.wantContent(t, large, content)
	s.storage.Away(true)
	if _, err := s.Open(t.Context(), s.now(t, large), 0); cronium.CodeOf(err) != cronium.CodeUnavailable || strings.Contains(err.Error(), objects.SecretKey) {
		t.Errorf("read from a storage that is away: %v", err)
	}
}

func TestWithoutAStorageEverythingStays(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Keeper = artifacts.New(artifacts.Config{Records: s.store, Every: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	s.run(t)
	large, content := s.save(t, "large", 3000)
	s.wantContent(t, large, content)
	gone := *large
	gone.Object = "a/b/c"
	if _, err := s.Open(t.Context(), &gone, 0); cronium.CodeOf(err) != cronium.CodeUnavailable {
		t.Errorf("read from no storage: %v", err)
	}
}
