// Package spool is what an agent keeps on its own disk: which executions it has
// accepted, how they ended, and their output until the server has stored it.
//
// A Spool is a directory with a journal of identifiers and one directory for
// each execution. Claim writes an identifier to the journal and waits for the
// disk, which is what makes "a script starts at most once" true: it comes
// before the process, and a claimed identifier is never claimed again. All else
// is written without waiting for the disk: it outlives the death of the agent,
// not a power cut, after which an execution is lost anyway.
//
// A Log is the output of one execution: records in a ring of segment files.
package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrUsed says that an identifier was claimed before.
var ErrUsed = errors.New("the execution's id was used before")

// journalLimit is the size in bytes below which the journal is not written anew
// to be rid of what is not needed any more.
const journalLimit = 64 << 10

// Spool is the agent's directory. Its methods may be called concurrently.
type Spool struct {
	dir      string
	instance string
	lock     *os.File

	mu        sync.Mutex
	journal   *os.File
	size      int64
	compacted int64                // size after the last time it was written anew
	open      map[string]time.Time // claimed and not forgotten: expiry of the manifest
	used      map[string]time.Time // forgotten, until the expiry
}

// Open reads the spool, making it if needed. It fails when another agent has
// it open.
func Open(dir string) (*Spool, error) {
	if err := os.MkdirAll(filepath.Join(dir, "executions"), 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open spool %s: another agent uses it", dir)
	}
	s := &Spool{dir: dir, lock: lock, open: map[string]time.Time{}, used: map[string]time.Time{}}
	if err := s.load(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return s, nil
}

// Close lets another agent open the spool.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.journal.Close(), s.lock.Close())
}

// Instance is a random name that lasts as long as the spool holds anything.
func (s *Spool) Instance() string { return s.instance }

// Dir is the directory of one execution.
func (s *Spool) Dir(id string) string { return filepath.Join(s.dir, "executions", id) }

// Executions are the identifiers that were claimed and not forgotten.
func (s *Spool) Executions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.open))
	for id := range s.open {
		ids = append(ids, id)
	}
	return ids
}

// Used tells whether the identifier was claimed before, forgotten ones included.
func (s *Spool) Used(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, open := s.open[id]
	_, used := s.used[id]
	return open || used
}

// Claim marks the identifier as used, durably. It fails with ErrUsed if it was
// before. expiry is the manifest's: until then it stays known as used even
// after Forget.
func (s *Spool) Claim(id string, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[id]; ok {
		return ErrUsed
	}
	if _, ok := s.used[id]; ok {
		return ErrUsed
	}
	if err := s.append(line('C', id, expiry)); err != nil {
		return fmt.Errorf("write id to spool: %w", err)
	}
	if err := unix.Fdatasync(int(s.journal.Fd())); err != nil {
		return fmt.Errorf("write id to spool: %w", err)
	}
	s.open[id] = expiry
	return nil
}

// Forget removes what is kept of an execution. Forgetting an unknown one
// succeeds.
func (s *Spool) Forget(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	expiry, ok := s.open[id]
	if !ok {
		return nil
	}
	if err := os.RemoveAll(s.Dir(id)); err != nil {
		return fmt.Errorf("forget execution: %w", err)
	}
	delete(s.open, id)
	s.used[id] = expiry
	// Without this line the execution would come back as one without output.
	if err := s.append(line('F', id, expiry)); err != nil {
		return fmt.Errorf("forget execution: %w", err)
	}
	if s.size > max(journalLimit, 2*s.compacted) {
		return s.compact()
	}
	return nil
}

func line(kind byte, id string, expiry time.Time) string {
	return fmt.Sprintf("%c %s %d\n", kind, id, expiry.UnixMilli())
}

// append writes whole lines only: a part of one is cut off again. s.mu is held.
func (s *Spool) append(text string) error {
	n, err := s.journal.WriteAt([]byte(text), s.size)
	if err != nil {
		s.journal.WriteAt(make([]byte, n), s.size)
		return err
	}
	s.size += int64(n)
	return nil
}

// load reads the journal and writes it anew, shorter.
func (s *Spool) load() error {
	raw, err := os.ReadFile(s.path("journal"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	text, _, _ := bytes.Cut(raw, []byte{0}) // the rest is for lines to come
	for line := range strings.Lines(string(text)) {
		s.replay(line)
	}
	if err := s.loadInstance(); err != nil {
		return err
	}
	return s.compact()
}

// replay ignores what is not a whole line: the end of a write that was cut.
func (s *Spool) replay(text string) {
	fields := strings.Fields(text)
	if len(fields) != 3 || !strings.HasSuffix(text, "\n") {
		return
	}
	ms, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return
	}
	switch id, expiry := fields[1], time.UnixMilli(ms); fields[0] {
	case "C":
		s.open[id] = expiry
	case "F":
		delete(s.open, id)
		s.used[id] = expiry
	}
}

func (s *Spool) loadInstance() error {
	old, err := os.ReadFile(s.path("instance"))
	if err == nil && len(old) > 0 && len(s.open) > 0 {
		s.instance = string(old)
		return nil
	}
	random := make([]byte, 16)
	rand.Read(random)
	s.instance = hex.EncodeToString(random)
	return os.WriteFile(s.path("instance"), []byte(s.instance), 0o600)
}

// compact replaces the journal by one that holds what is still needed. s.mu is
// held or not needed yet.
func (s *Spool) compact() error {
	var text strings.Builder
	for id, expiry := range s.open {
		text.WriteString(line('C', id, expiry))
	}
	now := time.Now()
	for id, expiry := range s.used {
		if now.After(expiry) {
			delete(s.used, id)
			continue
		}
		text.WriteString(line('F', id, expiry))
	}
	size := int64(text.Len())
	// Space is written ahead: the disk then takes a line without having to note
	// that the file has grown, which is most of the time of a Claim.
	text.Write(make([]byte, max(journalLimit, size)))
	next, err := os.OpenFile(s.path("journal.new"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("shorten journal: %w", err)
	}
	if err := replaceWith(next, text.String(), s.path("journal")); err != nil {
		next.Close()
		return fmt.Errorf("shorten journal: %w", err)
	}
	if s.journal != nil {
		s.journal.Close()
	}
	s.journal, s.size, s.compacted = next, size, size
	return nil
}

// replaceWith writes the text, and gives the file its name once all is on disk.
func replaceWith(file *os.File, text, name string) error {
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func (s *Spool) path(name string) string { return filepath.Join(s.dir, name) }
