package faults

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a thread with a network and a mount table of its own. What is
// started or opened on it belongs there, and both vanish with the last process
// in them.
type namespace struct{ work chan func() }

func newNamespace() (*namespace, error) {
	n := &namespace{work: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, because no other
		// goroutine must ever run on it.
		runtime.LockOSThread()
		err := enterNew()
		ready <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	}()
	return n, <-ready
}

func enterNew() error {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make namespaces (this test runs as root): %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if said, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("start the loopback: %w: %s", err, said)
	}
	return nil
}

// do runs f on the thread and waits for it.
func (n *namespace) do(f func() error) error {
	done := make(chan error)
	n.work <- func() { done <- f() }
	return <-done
}

// close ends the thread. Processes that were started on it are told to stop, if
// they asked for that.
func (n *namespace) close() { close(n.work) }
