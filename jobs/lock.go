package jobs

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"cronium.dev/cronium"
)

// processLock is a file that a process holds locked while it lives. The kernel
// frees the lock when the process dies, however it dies, so that others on the
// machine know at once.
type processLock struct {
	dir  string
	id   cronium.ID
	file *os.File
}

func newProcessLock(dir string, id cronium.ID) (*processLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of process locks: %w", err)
	}
	l := &processLock{dir: dir, id: id}
	// It gets its name when it is locked: others take a file that is not for
	// that of a dead process, and remove it.
	unnamed := filepath.Join(dir, "starting-"+id.String())
	var err error
	if l.file, err = lockFile(unnamed, os.O_CREATE|os.O_RDWR); err != nil {
		return nil, fmt.Errorf("lock this process's file: %w", err)
	}
	if err := os.Rename(unnamed, filepath.Join(dir, id.String())); err != nil {
		l.file.Close()
		return nil, fmt.Errorf("name this process's file: %w", err)
	}
	return l, nil
}

// lockFile opens a file and locks it, or fails at once when another has it.
func lockFile(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// dead lists processes of this machine that have died.
func (l *processLock) dead() []cronium.ID {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil
	}
	var ids []cronium.ID
	for _, entry := range entries {
		id, ok := cronium.ParseID(entry.Name())
		if !ok || id == l.id {
			continue
		}
		if file, err := lockFile(filepath.Join(l.dir, entry.Name()), os.O_RDWR); err == nil {
			file.Close()
			ids = append(ids, id)
		}
	}
	return ids
}

// forget removes the file of a process that is dead.
func (l *processLock) forget(id cronium.ID) { os.Remove(filepath.Join(l.dir, id.String())) }

func (l *processLock) release() {
	l.forget(l.id)
	l.file.Close()
}
