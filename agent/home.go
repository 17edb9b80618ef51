package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Files of a Home.
const (
	socketFile = "agent.sock"
	logFile    = "agent.log"
	lockFile   = "start.lock"
	spoolDir   = "spool"
	workDir    = "w" // short: the path of a socket in it has at most 107 bytes
)

// Joined is the line that Home.Join writes before the stream begins.
const Joined = "joined\n"

// startRetry is how often a serve that ended at once is tried again: the agent
// before it may be about to end.
const startRetry = 200 * time.Millisecond

// Home is the directory of an agent on a machine that a server reaches by a
// command: its spool, its socket. The agent there is detached from
// whoever started it, and is started again on its spool when it has ended.
type Home struct {
	Dir       string // of the login's user, readable by nobody else
	Target    string // that manifests must name
	PublicKey string // of the server, base64
	Idle      time.Duration
	Program   string // the agent's binary
}

// Join joins a stream to the agent, which it starts where none answers.
func (h Home) Join(ctx context.Context, wait time.Duration, in io.Reader, out io.Writer) error {
	if err := h.check(); err != nil {
		return err
	}
	conn, err := h.ensure(ctx, wait)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, Joined); err != nil {
		conn.Close()
		return fmt.Errorf("tell that the agent answers: %w", err)
	}
	return join(ctx, conn, in, out)
}

// check refuses a directory into which another user could have put something.
func (h Home) check() error {
	info, err := os.Lstat(h.Dir)
	if err != nil {
		return fmt.Errorf("look at the agent's directory: %w", err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || int(owner) != os.Getuid() {
		return fmt.Errorf("%s must be a directory of this user alone, mode 0700", h.Dir)
	}
	return nil
}

// ensure connects to the agent. One process at a time starts it.
func (h Home) ensure(ctx context.Context, wait time.Duration) (*net.UnixConn, error) {
	if conn, err := h.dial(); err == nil {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	lock, err := h.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	for {
		conn, err := h.dial()
		if err == nil {
			return conn, nil
		}
		if conn, err = h.start(ctx); err == nil {
			h.removeOld()
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(startRetry):
		}
	}
}

// dial connects to an agent of this user.
func (h Home) dial() (*net.UnixConn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(h.Dir, socketFile), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("connect to the agent: %w", err)
	}
	who, err := peerOf(conn)
	if err == nil && int(who.Uid) != os.Getuid() {
		err = fmt.Errorf("user %d listens there", who.Uid)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to the agent: %w", err)
	}
	return conn, nil
}

// lock waits for its turn to start the agent.
func (h Home) lock(ctx context.Context) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(h.Dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start the agent: %w", err)
	}
	for unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			lock.Close()
			return nil, errors.New("start the agent: another process has been starting it for too long")
		case <-time.After(connectRetry):
		}
	}
	return lock, nil
}

// start starts an agent in a session of its own and waits until it answers.
func (h Home) start(ctx context.Context) (*net.UnixConn, error) {
	log, err := os.OpenFile(filepath.Join(h.Dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start the agent: %w", err)
	}
	defer log.Close()
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("start the agent: %w", err)
	}
	serve := exec.Command(h.Program, "serve",
		"--target", h.Target, "--public-key", h.PublicKey, "--idle-exit", h.Idle.String(),
		"--spool", filepath.Join(h.Dir, spoolDir), "--work", filepath.Join(h.Dir, workDir),
		"--socket", filepath.Join(h.Dir, socketFile))
	serve.Dir, serve.Env = "/", hostEnvironment(os.Environ())
	serve.Stdout, serve.Stderr = log, log
	serve.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := serve.Start(); err != nil {
		return nil, fmt.Errorf("start the agent: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Wait() }() // as long as the agent, which outlives this program
	for {
		conn, err := h.dial()
		if err == nil {
			return conn, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("the agent ended at once: %s", h.logSince(before))
		case <-ctx.Done():
			return nil, fmt.Errorf("the agent does not answer; it said: %s", h.logSince(before))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// logSince is what the agent wrote last, for an error.
func (h Home) logSince(offset int64) string {
	text, _ := os.ReadFile(filepath.Join(h.Dir, logFile)) // the error is told without it
	if offset <= int64(len(text)) {
		text = text[offset:]
	}
	return strings.Join(strings.Fields(string(text[max(0, len(text)-1000):])), " ")
}

// hostEnvironment is what an agent on a host gets of a login's environment.
func hostEnvironment(environ []string) []string {
	kept := map[string]bool{"PATH": true, "HOME": true, "USER": true, "LOGNAME": true, "SHELL": true, "LANG": true, "TZ": true}
	var env []string
	for _, entry := range environ {
		if name, _, _ := strings.Cut(entry, "="); kept[name] {
			env = append(env, entry)
		}
	}
	return env
}

// oldHome is the age at which what is left of another version may be removed.
const oldHome = time.Hour

// removeOld removes the directories of other versions for the same server that
// nothing needs any more, because no agent runs there and no execution waits to
// be fetched, and binaries that no directory belongs to. A directory is named
// SERVER-VERSION, its binary agent-VERSION, in the same directory.
func (h Home) removeOld() {
	base, name := filepath.Split(filepath.Clean(h.Dir))
	server, _, ok := strings.Cut(name, "-")
	if !ok {
		return
	}
	entries, _ := os.ReadDir(base) // what is not seen now is removed another time
	needed := map[string]bool{}
	for _, e := range entries {
		of, version, _ := strings.Cut(e.Name(), "-")
		if e.IsDir() && (of != server || e.Name() == name || !removeUnused(filepath.Join(base, e.Name()))) {
			needed[version] = true
		}
	}
	for _, e := range entries {
		kind, version, _ := strings.Cut(e.Name(), "-")
		binary := kind == "agent" && !needed[version] || kind == "part"
		if info, err := e.Info(); binary && err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > oldHome {
			os.Remove(filepath.Join(base, e.Name()))
		}
	}
}

// removeUnused removes the directory of an agent unless it is needed.
func removeUnused(home string) bool {
	info, err := os.Lstat(home)
	if err != nil || time.Since(info.ModTime()) < oldHome {
		return false
	}
	if left, err := os.ReadDir(filepath.Join(home, spoolDir, "executions")); err == nil && len(left) > 0 {
		return false
	}
	unlock, err := lockSpool(home)
	if err != nil {
		return false
	}
	defer unlock()
	return os.RemoveAll(home) == nil
}

// lockSpool fails where an agent runs.
func lockSpool(home string) (unlock func(), err error) {
	lock, err := os.OpenFile(filepath.Join(home, spoolDir, "lock"), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, err
	}
	return func() { lock.Close() }, nil
}

// Remove ends the agent of the directory and removes it. It refuses while a
// script runs there.
func (h Home) Remove(ctx context.Context, wait time.Duration) error {
	if err := h.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		unlock, err := lockSpool(h.Dir)
		if err == nil {
			defer unlock()
			if err := os.RemoveAll(h.Dir); err != nil {
				return fmt.Errorf("remove the agent's directory: %w", err)
			}
			return nil
		}
		if err := h.end(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the agent in %s did not end", h.Dir)
		case <-time.After(connectRetry):
		}
	}
}

// end asks the agent to end unless a script runs.
func (h Home) end() error {
	conn, err := h.dial()
	if err != nil {
		return nil // it is about to end; the spool's lock tells
	}
	defer conn.Close()
	if n := h.running(); n > 0 {
		return fmt.Errorf("%d scripts run there; stop them first", n)
	}
	who, err := peerOf(conn)
	if err != nil {
		return err
	}
	if err := unix.Kill(int(who.Pid), unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end the agent: %w", err)
	}
	return nil
}

// running counts the executions whose end is not on the disk.
func (h Home) running() int {
	running := 0
	executions, _ := os.ReadDir(filepath.Join(h.Dir, spoolDir, "executions"))
	for _, e := range executions {
		if _, err := os.Stat(filepath.Join(h.Dir, spoolDir, "executions", e.Name(), finishName)); errors.Is(err, fs.ErrNotExist) {
			running++
		}
	}
	return running
}
