package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxSocketPath is how long the path of a Unix socket may be on Linux.
const maxSocketPath = 107

const socketName = ".s.PGSQL." + port

// keptLogs is how many log files of up to 10 MB remain.
const keptLogs = 5

// layout is where things are in the data directory.
type layout struct {
	data       string
	startupLog string
	usersLock  string
	startLock  string
	ownSocket  string // the place of the socket if its path is short enough
	socketNote string // says where the socket is, if that is elsewhere
	socketDir  string // where it is; set by adopt or chooseSocketDir
}

// prepare makes the data directory and checks that the account can use it.
func prepare(dir string, owner account) (layout, error) {
	l := layout{
		data:       filepath.Join(dir, "data"),
		startupLog: filepath.Join(dir, "startup.log"),
		usersLock:  filepath.Join(dir, "users.lock"),
		startLock:  filepath.Join(dir, "start.lock"),
		ownSocket:  filepath.Join(dir, "socket"),
		socketNote: filepath.Join(dir, "socket-directory"),
	}
	// Folders above it that do not exist are made so that the account can
	// pass through them and see nothing.
	if err := os.MkdirAll(filepath.Dir(dir), 0o711); err != nil {
		return l, err
	}
	if err := owner.mkdir(dir); err != nil {
		return l, err
	}
	return l, owner.canReach(dir)
}

func (l *layout) pidFile() string { return filepath.Join(l.data, "postmaster.pid") }

func (l *layout) logDir() string { return filepath.Join(l.data, "log") }

// chooseSocketDir makes the directory of the socket. It is in the data
// directory, or, where that path is too long, in a short one that is noted, so
// that it is used again.
func (l *layout) chooseSocketDir(owner account) error {
	if l.socketDir != "" {
		return owner.mkdir(l.socketDir)
	}
	if len(filepath.Join(l.ownSocket, socketName)) <= maxSocketPath {
		l.socketDir = l.ownSocket
		return owner.mkdir(l.socketDir)
	}
	if noted, err := os.ReadFile(l.socketNote); err == nil && owner.owns(string(noted)) {
		l.socketDir = string(noted)
		return nil
	}
	dir, err := shortDir()
	if err != nil {
		return err
	}
	if err := owner.take(dir); err != nil {
		return err
	}
	l.socketDir = dir
	return os.WriteFile(l.socketNote, []byte(dir), 0o600)
}

// removeSocket removes the socket of a postmaster that is known to be dead.
// PostgreSQL would take its lock for a live one's as long as any process has
// that number.
func (l *layout) removeSocket() error {
	for _, name := range []string{socketName, socketName + ".lock"} {
		if err := os.Remove(filepath.Join(l.socketDir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// shortDir makes a private directory with a short path.
func shortDir() (string, error) {
	var errs []error
	for _, parent := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/run", os.TempDir(), "/tmp"} {
		if parent == "" || len(parent) > 60 {
			continue
		}
		dir, err := os.MkdirTemp(parent, "cronium-")
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("no directory with a short path can be written: %w", errors.Join(errs...))
}

// removeSocketDir removes a directory that shortDir made.
func (l *layout) removeSocketDir() {
	if l.socketDir == l.ownSocket || !strings.HasPrefix(filepath.Base(l.socketDir), "cronium-") {
		return
	}
	os.Remove(l.socketDir)
	os.Remove(l.socketNote)
}

// pruneLogs removes all but the newest log files. Their names sort by time.
func pruneLogs(dir string) {
	names, err := filepath.Glob(filepath.Join(dir, "postgresql-*.log"))
	if err != nil || len(names) <= keptLogs {
		return
	}
	slices.Sort(names)
	for _, name := range names[:len(names)-keptLogs] {
		os.Remove(name)
	}
}
