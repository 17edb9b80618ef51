package process

import (
	"context"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is one script's main process and all that came from it.
type Tree struct {
	host      *Host
	pid       int
	mark      string
	started   time.Time
	oomBefore int64
	exited    chan struct{}

	mu     sync.Mutex
	seen   map[int]uint64 // processes found to belong here, with their start
	status unix.WaitStatus
	cpu    time.Duration // of all that has been reaped
	peak   int64         // bytes
}

// PID is the main process's id, which is also that of its session and group.
func (t *Tree) PID() int { return t.pid }

// Exited is closed when the main process has ended. Others may be left.
func (t *Tree) Exited() <-chan struct{} { return t.exited }

// Status is how the main process ended; valid after Exited.
func (t *Tree) Status() unix.WaitStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

func (t *Tree) hasExited() bool {
	select {
	case <-t.exited:
		return true
	default:
		return false
	}
}

func (t *Tree) exit(status unix.WaitStatus, usage unix.Rusage) {
	t.mu.Lock()
	t.status = status
	t.mu.Unlock()
	t.addUsage(usage)
	close(t.exited)
}

func (t *Tree) addUsage(usage unix.Rusage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cpu += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	t.peak = max(t.peak, usage.Maxrss<<10)
}

// owns tells whether a process was found to belong to the tree.
func (t *Tree) owns(pid int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.seen[pid]
	return known
}

// members finds the living processes of the tree.
func (t *Tree) members() map[int]proc {
	all := scan()
	// Asked afterwards: a main process that was seen is known by now.
	mains, only := t.host.mains(t)
	self := os.Getpid()
	t.mu.Lock()
	defer t.mu.Unlock()
	set := map[int]bool{}
	for pid, p := range all {
		start, known := t.seen[pid]
		switch {
		case pid == t.pid && mains[pid], p.session == t.pid, known && start == p.started:
			set[pid] = true
		case p.parent == self && !mains[pid]:
			// An orphan that came to the agent.
			set[pid] = only || marked(pid, t.mark)
		}
	}
	withDescendants(all, set)
	living := map[int]proc{}
	clear(t.seen)
	for pid, in := range set {
		if !in {
			continue
		}
		p := all[pid]
		t.seen[pid] = p.started // a zombie as well: reap asks whose it was
		if !p.zombie {
			living[pid] = p
		}
	}
	return living
}

// mains are the main processes that have not ended, and whether t is the only
// tree.
func (h *Host) mains(t *Tree) (mains map[int]bool, only bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	mains = make(map[int]bool, len(h.trees))
	for pid, tree := range h.trees {
		if !tree.hasExited() {
			mains[pid] = true
		}
	}
	return mains, h.onlyTree() == t
}

// Signal sends a signal to every process of the tree.
func (t *Tree) Signal(signal unix.Signal) {
	for pid := range t.members() {
		unix.Kill(pid, signal)
	}
}

// Left counts the living processes of the tree.
func (t *Tree) Left() int { return len(t.members()) }

// Kill ends every process of the tree and returns when none is left, or how
// many are when the context ends: processes of another user, or some that hang
// in the kernel.
func (t *Tree) Kill(ctx context.Context) (left int) {
	for {
		reaped := t.host.nextReap()
		members := t.members()
		if len(members) == 0 {
			t.host.reap() // so that Total is complete
			return 0
		}
		// What is stopped cannot start another while the rest is killed.
		for pid := range members {
			unix.Kill(pid, unix.SIGSTOP)
		}
		for pid := range members {
			unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return len(members)
		case <-reaped:
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Close lets go of a tree after Kill.
func (t *Tree) Close() {
	t.host.mu.Lock()
	defer t.host.mu.Unlock()
	delete(t.host.trees, t.pid)
}

// Usage is what the tree has used so far.
type Usage struct {
	CPU    time.Duration // user and system
	Memory int64         // bytes resident now
	Peak   int64         // bytes: the largest process, or the largest sum seen
}

// clockTick is the unit of /proc/PID/stat, the same on all Linux systems.
const clockTick = 10 * time.Millisecond

// Sample looks at the living processes of the tree.
func (t *Tree) Sample() Usage {
	members := t.members()
	t.mu.Lock()
	defer t.mu.Unlock()
	u := Usage{CPU: t.cpu}
	for _, p := range members {
		u.CPU += time.Duration(p.cpuTicks) * clockTick
		u.Memory += p.rssPages * int64(os.Getpagesize())
	}
	t.peak = max(t.peak, u.Memory)
	u.Peak = t.peak
	return u
}

// Total is what the tree has used, valid when nothing of it is left.
func (t *Tree) Total() Usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Usage{CPU: t.cpu, Peak: t.peak}
}

// OutOfMemory tells how many processes the kernel has killed at the memory
// limit since the tree was started. Where several trees share one limit they
// cannot be told apart.
func (t *Tree) OutOfMemory() int64 { return max(oomKills()-t.oomBefore, 0) }
