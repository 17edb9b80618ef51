// Package blob keeps the files that a server has sent, by their digest, so that
// what was sent before costs nothing.
//
// A file enters through a Writer, which checks size and digest while it writes;
// a wrong one leaves nothing behind. Place copies a blob to where a script
// finds it. The cache is bounded by bytes; what was not used for longest goes
// first. An agent that runs one execution only and then ends has nothing to
// reuse: with a limit of 0 a blob is moved instead of copied.
package blob

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrContent says that what was sent is not what the manifest names.
var ErrContent = errors.New("the file is not what the manifest says")

// Cache is a directory of blobs. Its methods may be called concurrently.
type Cache struct {
	dir   string
	limit int64 // bytes

	mu    sync.Mutex
	byKey map[string]*list.Element // of *entry
	order *list.List               // most recently used first
	bytes int64
}

type entry struct {
	digest string
	size   int64
	pinned int // Starts in progress that need it
}

// Open reads what a directory holds, making it if needed. limit is in bytes.
func Open(dir string, limit int64) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open blob cache: %w", err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open blob cache: %w", err)
	}
	c := &Cache{dir: dir, limit: limit, byKey: map[string]*list.Element{}, order: list.New()}
	var found []os.FileInfo
	for _, n := range names {
		info, err := n.Info()
		if err != nil || len(n.Name()) != 2*sha256.Size || !info.Mode().IsRegular() {
			os.Remove(filepath.Join(dir, n.Name())) // a part of a transfer that was cut
			continue
		}
		found = append(found, info)
	}
	slices.SortFunc(found, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, info := range found {
		c.byKey[info.Name()] = c.order.PushBack(&entry{digest: info.Name(), size: info.Size()})
		c.bytes += info.Size()
	}
	c.shrink()
	return c, nil
}

// Pin tells whether the blob is there, and if so keeps it until Unpin.
func (c *Cache) Pin(digest string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.byKey[digest]
	if ok {
		el.Value.(*entry).pinned++
		c.order.MoveToFront(el)
	}
	return ok
}

// Unpin lets go of a blob that Pin or Commit has kept.
func (c *Cache) Unpin(digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.byKey[digest]; ok {
		el.Value.(*entry).pinned--
		c.shrink()
	}
}

// Place writes the blob to a new file at path with the given permission bits.
// With last set nothing else needs the blob for this execution.
func (c *Cache) Place(digest, path string, mode os.FileMode, last bool) error {
	source := filepath.Join(c.dir, digest)
	if c.limit == 0 && last {
		if err := os.Rename(source, path); err == nil {
			c.forget(digest)
			return os.Chmod(path, mode)
		} else if !errors.Is(err, unix.EXDEV) {
			return fmt.Errorf("place file: %w", err)
		}
	}
	return c.copy(digest, path, mode)
}

// copy checks the digest again: a script of an earlier execution runs as the
// same user and may have changed what lies in the cache.
func (c *Cache) copy(digest, path string, mode os.FileMode) error {
	source := filepath.Join(c.dir, digest)
	in, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("place file: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("place file: %w", err)
	}
	defer out.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), in); err != nil {
		return fmt.Errorf("place file: %w", err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != digest {
		os.Remove(source)
		c.forget(digest)
		return fmt.Errorf("%w: %s was changed in the agent's cache; start again to send it anew", ErrContent, digest)
	}
	if err := out.Chmod(mode); err != nil { // whatever the umask says
		return fmt.Errorf("place file: %w", err)
	}
	now := time.Now()
	os.Chtimes(source, now, now) // the order of use outlives the agent
	return nil
}

func (c *Cache) forget(digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.byKey[digest]; ok {
		c.bytes -= el.Value.(*entry).size
		c.order.Remove(el)
		delete(c.byKey, digest)
	}
}

// shrink removes the least recently used blobs that nothing needs. c.mu is held.
func (c *Cache) shrink() {
	for el := c.order.Back(); el != nil && c.bytes > c.limit; {
		e, previous := el.Value.(*entry), el.Prev()
		if e.pinned <= 0 {
			os.Remove(filepath.Join(c.dir, e.digest))
			c.bytes -= e.size
			c.order.Remove(el)
			delete(c.byKey, e.digest)
		}
		el = previous
	}
}

// Writer receives one blob.
type Writer struct {
	cache  *Cache
	file   *os.File
	sum    hash.Hash
	digest string
	left   int64 // bytes still to come
	size   int64
}

// Create begins to receive a blob of a known digest and size in bytes.
func (c *Cache) Create(digest string, size int64) (*Writer, error) {
	file, err := os.CreateTemp(c.dir, "part-*")
	if err != nil {
		return nil, fmt.Errorf("receive file: %w", err)
	}
	return &Writer{cache: c, file: file, sum: sha256.New(), digest: digest, left: size, size: size}, nil
}

// Write adds bytes. More than were announced fail with ErrContent.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.left {
		return 0, fmt.Errorf("%w: more than %d bytes came for %s", ErrContent, w.size, w.digest)
	}
	w.left -= int64(len(p))
	w.sum.Write(p)
	n, err := w.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("receive file: %w", err)
	}
	return n, nil
}

// Commit checks the digest and makes the blob available, pinned. It, or Abort,
// ends the writer.
func (w *Writer) Commit() error {
	if w.left != 0 {
		w.Abort()
		return fmt.Errorf("%w: %d of %d bytes of %s are missing", ErrContent, w.left, w.size, w.digest)
	}
	if got := hex.EncodeToString(w.sum.Sum(nil)); got != w.digest {
		w.Abort()
		return fmt.Errorf("%w: SHA-256 is %s and should be %s", ErrContent, got, w.digest)
	}
	part := w.file.Name()
	if err := w.file.Close(); err != nil {
		os.Remove(part)
		return fmt.Errorf("receive file: %w", err)
	}
	c := w.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.byKey[w.digest]; ok { // another Start was faster
		os.Remove(part)
		el.Value.(*entry).pinned++
		return nil
	}
	if err := os.Rename(part, filepath.Join(c.dir, w.digest)); err != nil {
		os.Remove(part)
		return fmt.Errorf("receive file: %w", err)
	}
	c.byKey[w.digest] = c.order.PushFront(&entry{digest: w.digest, size: w.size, pinned: 1})
	c.bytes += w.size
	c.shrink()
	return nil
}

// Abort throws away what has come. It does nothing after Commit.
func (w *Writer) Abort() {
	if w.file.Close() == nil {
		os.Remove(w.file.Name())
	}
}
