package process

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity names a process for good: also after its id is used again and after
// the machine was started again. It is empty if there is no such process.
func Identity(pid int) string {
	p, ok := readProc(pid, make([]byte, 1024))
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d %d %s", pid, p.started, bootID())
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// Sweep ends what is left of a tree that another agent has started: the process
// with the identity, its session and descendants, and every process whose
// environment holds the mark. It returns how many were left when the context
// ended.
func (h *Host) Sweep(ctx context.Context, identity, mark string) (left int) {
	var main int
	fmt.Sscanf(identity, "%d", &main)
	if main == 0 || Identity(main) != identity {
		main = 0 // gone, or another process has its id now
	}
	known := map[int]uint64{}
	for {
		all := scan()
		set := map[int]bool{}
		for pid, p := range all {
			start, seen := known[pid]
			if seen && start == p.started || main != 0 && (pid == main || p.session == main) || marked(pid, mark) {
				set[pid] = true
			}
		}
		delete(set, os.Getpid())
		withDescendants(all, set)
		left = 0
		for pid := range set {
			if all[pid].zombie {
				continue
			}
			left++
			known[pid] = all[pid].started
			unix.Kill(pid, unix.SIGSTOP)
		}
		if left == 0 {
			return 0
		}
		for pid := range set {
			unix.Kill(pid, unix.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return left
		case <-time.After(5 * time.Millisecond):
		}
	}
}
