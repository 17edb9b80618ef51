package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

const (
	readyPoll = 10 * time.Millisecond
	// readyLimit allows for the replay of a large write-ahead log.
	readyLimit = 10 * time.Minute
	quitGrace  = 5 * time.Second
)

// postmaster is the running main process of a cluster, a child of this process
// or not. It is held by a process descriptor, so a signal never reaches
// another process that got the same number later.
type postmaster struct {
	pid    int
	handle *os.File
	exited chan struct{} // closed when the process has ended or release was called
}

// watch follows the process pid until it ends.
func watch(pid int) (*postmaster, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	pm := &postmaster{pid: pid, handle: os.NewFile(uintptr(fd), "pidfd"), exited: make(chan struct{})}
	raw, err := pm.handle.SyscallConn()
	if err != nil {
		pm.handle.Close()
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	go func() {
		defer close(pm.exited)
		// The descriptor becomes readable when the process ends.
		_ = raw.Read(func(fd uintptr) bool {
			poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(poll, 0)
			return err == nil && n > 0
		})
	}()
	return pm, nil
}

func (pm *postmaster) signal(sig unix.Signal) error {
	raw, err := pm.handle.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(sent, unix.ESRCH) {
		return nil
	}
	return sent
}

// release ends watching a postmaster that lives on.
func (pm *postmaster) release() {
	pm.handle.Close()
	<-pm.exited
}

// stop ends the postmaster: a fast shutdown, after the grace or the end of the
// context an immediate one, at last by force.
func (pm *postmaster) stop(ctx context.Context, grace time.Duration) error {
	for _, s := range []struct {
		sig  unix.Signal
		wait time.Duration
	}{{unix.SIGINT, grace}, {unix.SIGQUIT, quitGrace}, {unix.SIGKILL, quitGrace}} {
		if err := pm.signal(s.sig); err != nil {
			return fmt.Errorf("signal process %d: %w", pm.pid, err)
		}
		ended := ctx.Done()
		if s.sig != unix.SIGINT {
			ended = nil
		}
		limit := time.NewTimer(s.wait)
		select {
		case <-pm.exited:
			limit.Stop()
			return nil
		case <-ended:
			limit.Stop()
		case <-limit.C:
		}
	}
	return fmt.Errorf("process %d does not end", pm.pid)
}

// spawn starts a postmaster. It is no part of this process's session and has
// none of its pipes, so it outlives this process if that is killed.
func (c *Cluster) spawn() (*postmaster, error) {
	c.spawned = time.Now()
	log, err := os.Create(c.layout.startupLog)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.bin.path("postgres"), "-D", c.layout.data)
	cmd.Dir = c.layout.data
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = c.owner.sysProcAttr()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pm, err := watch(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	// Reaps the child whenever it ends, even after Stop if other processes
	// keep the cluster; its way of ending is in the log.
	go func() { _ = cmd.Wait() }()
	return pm, nil
}

// find returns the postmaster that runs in this data directory; nil if none does.
func (c *Cluster) find() (*postmaster, error) {
	state, err := readPidFile(c.layout.pidFile())
	if err != nil || !c.runs(state.pid) {
		return nil, named(err)
	}
	pm, err := watch(state.pid)
	if errors.Is(err, unix.ESRCH) { // it ended just now
		return nil, nil
	}
	return pm, err
}

// adopt finds the postmaster that already runs here, started by another process
// or by one that was killed, and waits until it answers. It returns nil if there
// is none, having removed what a dead one left.
func (c *Cluster) adopt(ctx context.Context) (*postmaster, error) {
	for {
		pm, err := c.find()
		if err != nil {
			return nil, err
		}
		if pm == nil {
			if err := os.Remove(c.layout.pidFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, named(err)
			}
			return nil, nil
		}
		ready, err := c.join(ctx, pm)
		if ready {
			c.cfg.Logger.Info("using the PostgreSQL that already runs", "pid", pm.pid)
			return pm, nil
		}
		pm.release()
		if err != nil {
			return nil, err
		}
	}
}

// join waits until the postmaster answers. It is false without an error when
// the postmaster has ended or has not yet said where its socket is.
func (c *Cluster) join(ctx context.Context, pm *postmaster) (bool, error) {
	state, err := readPidFile(c.layout.pidFile())
	if err != nil {
		return false, named(err)
	}
	switch {
	case state.status == "stopping":
		select {
		case <-pm.exited:
			return false, nil
		case <-ctx.Done():
			return false, fmt.Errorf("wait for PostgreSQL (process %d), which is shutting down: %w", pm.pid, context.Cause(ctx))
		}
	case state.pid != pm.pid || state.socketDir == "":
		return false, pause(ctx, pm.exited)
	case c.layout.socketDir == "":
		c.layout.socketDir = state.socketDir
	case c.layout.socketDir != state.socketDir:
		return false, fmt.Errorf("PostgreSQL (process %d) was started with its socket in %s instead of %s; restart Cronium", pm.pid, state.socketDir, c.layout.socketDir)
	}
	if err := c.awaitReady(ctx, pm); err != nil {
		select {
		case <-pm.exited:
			return false, nil
		default:
			return false, err
		}
	}
	return true, nil
}

// runs reports whether pid is a PostgreSQL that works in this data directory.
// A pid alone says little: after a reboot it is somebody else's.
func (c *Cluster) runs(pid int) bool {
	if pid <= 0 {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	cwd, err := os.Stat(filepath.Join(proc, "cwd"))
	if err != nil {
		return false
	}
	data, err := os.Stat(c.layout.data)
	if err != nil || !os.SameFile(cwd, data) {
		return false
	}
	comm, err := os.ReadFile(filepath.Join(proc, "comm"))
	return err == nil && bytes.HasPrefix(comm, []byte("postgres"))
}

// pidFile is what PostgreSQL writes to postmaster.pid.
type pidFile struct {
	pid       int
	socketDir string
	status    string
}

// readPidFile returns a zero pid if the file is not there or not readable as one.
func readPidFile(path string) (pidFile, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return pidFile{}, nil
	}
	if err != nil {
		return pidFile{}, err
	}
	lines := append(strings.Split(string(text), "\n"), make([]string, 8)...)
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, nil
	}
	return pidFile{pid: pid, socketDir: lines[4], status: strings.TrimSpace(lines[7])}, nil
}

// awaitReady waits until the postmaster accepts connections.
func (c *Cluster) awaitReady(ctx context.Context, pm *postmaster) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.AdminURL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-pm.exited:
			return namedByLog("PostgreSQL ended while it started", c.lastLog())
		default:
		}
		if pause(ctx, pm.exited) != nil {
			return fmt.Errorf("PostgreSQL does not answer: %w", errors.Join(context.Cause(ctx), err))
		}
	}
}

// pause waits a moment, less if the process ends; an error means that the
// context has ended.
func pause(ctx context.Context, exited <-chan struct{}) error {
	timer := time.NewTimer(readyPoll)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-exited:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// lastLog is what the postmaster wrote since it was spawned: to startup.log, and
// to its own log once that had begun.
func (c *Cluster) lastLog() string {
	text, _ := os.ReadFile(c.layout.startupLog) // an empty text says as much
	names, _ := filepath.Glob(filepath.Join(c.layout.logDir(), "postgresql-*.log"))
	if len(names) > 0 {
		newest := slices.Max(names)
		if info, err := os.Stat(newest); err == nil && !info.ModTime().Before(c.spawned.Truncate(time.Second)) {
			more, _ := os.ReadFile(newest)
			text = append(text, more...)
		}
	}
	return string(text)
}
