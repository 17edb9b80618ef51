// Package process runs scripts and makes sure that nothing of them is left.
//
// A Host is the parent of all that the agent starts. It is the subreaper of its
// descendants (or process 1 of a container), so a process whose parent ends
// becomes a child of the agent however it was started: by double fork, in a
// session of its own, detached. A Tree is one script and all that came from it.
//
//	host, err := process.NewHost()
//	tree, err := host.Start(process.Command{...})
//	<-tree.Exited()             // the main process has ended
//	left := tree.Kill(ctx)      // now nothing of it is left
//
// Only one Host may be in a program, and nothing else there may wait for
// children: the host reaps every one.
package process

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host starts processes and reaps them. Its methods may be called concurrently.
type Host struct {
	signals chan os.Signal
	done    chan struct{}
	stopped sync.WaitGroup
	null    *os.File

	// mu is held while a process is forked, so that the reaper cannot meet a
	// child that is not registered yet.
	mu     sync.Mutex
	trees  map[int]*Tree // by the main process's id, until the tree is closed
	reaped chan struct{} // closed and made anew at each round of reaping
}

// NewHost makes this process the reaper of all its descendants.
func NewHost() (*Host, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphaned processes: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	h := &Host{
		signals: make(chan os.Signal, 1), done: make(chan struct{}), null: null,
		trees: map[int]*Tree{}, reaped: make(chan struct{}),
	}
	signal.Notify(h.signals, unix.SIGCHLD)
	h.stopped.Go(h.reapLoop)
	return h, nil
}

// Close ends the reaping. Processes that still run are not touched.
func (h *Host) Close() {
	signal.Stop(h.signals)
	close(h.done)
	h.stopped.Wait()
	h.null.Close()
}

func (h *Host) reapLoop() {
	h.reap() // as process 1, children may have ended before
	for {
		select {
		case <-h.signals:
			h.reap()
		case <-h.done:
			return
		}
	}
}

// reap takes every child that has ended. One SIGCHLD may stand for many.
func (h *Host) reap() {
	h.mu.Lock()
	defer h.mu.Unlock()
	any := false
	for {
		var status unix.WaitStatus
		var usage unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, &usage)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		any = true
		if t := h.trees[pid]; t != nil && !t.hasExited() {
			t.exit(status, usage)
		} else if t := h.ownerOf(pid); t != nil {
			t.addUsage(usage)
		}
	}
	if any {
		close(h.reaped)
		h.reaped = make(chan struct{})
	}
}

// ownerOf is the tree that an orphan which has ended belonged to, nil if that is
// not known. h.mu is held.
func (h *Host) ownerOf(pid int) *Tree {
	if t := h.onlyTree(); t != nil {
		return t
	}
	for _, t := range h.trees {
		if t.owns(pid) {
			return t
		}
	}
	return nil
}

// onlyTree is the tree that an orphan must belong to, nil if there are several.
// h.mu is held.
func (h *Host) onlyTree() *Tree {
	if len(h.trees) != 1 {
		return nil
	}
	for _, t := range h.trees {
		return t
	}
	return nil
}

// nextReap is closed when children have been reaped after the call.
func (h *Host) nextReap() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reaped
}

// Command is what to run.
type Command struct {
	Path string   // of the program, absolute
	Args []string // the first one is the name of the program
	Env  []string // all of it: nothing of the agent's is added
	Dir  string
	// Stdout and Stderr are the ends that the process writes to. Its input is
	// empty.
	Stdout, Stderr *os.File
	// Terminal, if not nil, takes the place of all three, and controls the
	// session.
	Terminal *os.File
	// As is the user as whom it runs; nil: the agent's own.
	As *syscall.Credential
	// Mark is an entry of Env, "NAME=value", by which processes of this tree
	// are known among those of others.
	Mark string
}

// Start runs a command as the leader of a new session and process group. The
// error is the system's: ENOENT, EACCES, ENOEXEC and the like.
func (h *Host) Start(c Command) (*Tree, error) {
	oomBefore := oomKills()
	h.mu.Lock()
	defer h.mu.Unlock()
	attr := &syscall.ProcAttr{Dir: c.Dir, Env: c.Env, Sys: &syscall.SysProcAttr{Setsid: true, Credential: c.As}}
	// Fd would make the files blocking; these already are.
	if c.Terminal != nil {
		attr.Files = []uintptr{c.Terminal.Fd(), c.Terminal.Fd(), c.Terminal.Fd()}
		attr.Sys.Setctty = true
	} else {
		attr.Files = []uintptr{h.null.Fd(), c.Stdout.Fd(), c.Stderr.Fd()}
	}
	pid, err := syscall.ForkExec(c.Path, c.Args, attr)
	if err != nil {
		return nil, err
	}
	t := &Tree{
		host: h, pid: pid, mark: c.Mark, started: time.Now(), oomBefore: oomBefore,
		exited: make(chan struct{}), seen: map[int]uint64{},
	}
	h.trees[pid] = t
	preferAsVictim(pid)
	return t, nil
}

// preferAsVictim has the kernel take the script before the agent when memory
// runs out. Children inherit it. A system that does not allow it changes nothing.
func preferAsVictim(pid int) {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	f.WriteString("1000")
}
