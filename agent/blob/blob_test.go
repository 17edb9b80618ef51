package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cronium.dev/agent/blob"
)

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func open(t *testing.T, dir string, limit int64) *blob.Cache {
	t.Helper()
	c, err := blob.Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put sends a blob and lets go of it.
func put(t *testing.T, c *blob.Cache, content []byte) string {
	t.Helper()
	w, err := c.Create(digest(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	c.Unpin(digest(content))
	return digest(content)
}

func has(c *blob.Cache, digest string) bool {
	if !c.Pin(digest) {
		return false
	}
	c.Unpin(digest)
	return true
}

func TestWrongContentIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir, 1<<20)
	want := []byte("the right content")
	for name, content := range map[string]string{
		"other": "the wrong content", "short": "the right", "long": "the right content and more", "none": "",
	} {
		w, err := c.Create(digest(want), int64(len(want)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write([]byte(content))
		if err == nil {
			err = w.Commit()
		}
		w.Abort()
		if !errors.Is(err, blob.ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
		if files, _ := os.ReadDir(dir); len(files) != 0 || has(c, digest(want)) {
			t.Errorf("%s: %v is left", name, files)
		}
	}
}

func TestLeastRecentlyUsedGoesFirstAndWhatIsNeededStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir, 300)
	block := func(b byte) []byte { return bytes.Repeat([]byte{b}, 100) }
	needed := put(t, c, block(0))
	if !c.Pin(needed) {
		t.Fatal("it is not there")
	}
	first, second := put(t, c, block(1)), put(t, c, block(2))
	has(c, first) // used again
	third := put(t, c, block(3))
	if !has(c, needed) || !has(c, first) || has(c, second) || !has(c, third) {
		t.Errorf("kept: needed %v, first %v, second %v, third %v", has(c, needed), has(c, first), has(c, second), has(c, third))
	}
	var total int64
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 300 {
		t.Errorf("%d bytes are on disk", total)
	}
}

func TestCacheIsThereAfterARestartInItsOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir, 1000)
	older, newer := put(t, c, []byte("older")), put(t, c, []byte("newer"))
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(dir, older), past, past); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "part-1"), []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, 5)
	if has(c, older) || !has(c, newer) {
		t.Errorf("older %v, newer %v", has(c, older), has(c, newer))
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%v is on disk", files)
	}
}

func TestPlacedFileHasContentAndModeAndNeverReplacesAnother(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int64{"copied": 1000, "moved": 0} {
		c := open(t, t.TempDir(), limit)
		content := []byte("content")
		w, err := c.Create(digest(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		w.Write(content)
		if err := w.Commit(); err != nil { // stays pinned
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "file")
		if err := c.Place(digest(content), path, 0o777, true); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(got) != "content" || info.Mode().Perm() != 0o777 {
			t.Errorf("%s: %q, %v, %v, %v", name, got, err, info, statErr)
		}
		if kept := has(c, digest(content)); kept != (limit > 0) {
			t.Errorf("%s: still in the cache: %v", name, kept)
		}
		if limit > 0 && c.Place(digest(content), path, 0o777, true) == nil {
			t.Errorf("%s: an existing file was replaced", name)
		}
	}
}
