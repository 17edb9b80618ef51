package capture

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// arrivals tells which of the two pipes can be read, in the order in which they
// became so: a script that writes to one and then to the other, with a moment
// for us in between, is read in this order. The kernel keeps no order of what is
// in both pipes already, so writes that come faster than they are read may
// change places. It is for one goroutine.
type arrivals struct {
	epoll   *os.File
	raw     syscall.RawConn
	queue   []int   // pipes to read, the first one first
	waiting [2]bool // in the queue
	hungUp  [2]bool // nobody can write to it any more
}

func newArrivals(pipes [2]*os.File) (*arrivals, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch pipes: %w", err)
	}
	// The runtime waits for it as it does for sockets, without a thread.
	err = unix.SetNonblock(fd, true)
	a := &arrivals{epoll: os.NewFile(uintptr(fd), "epoll")}
	for i, pipe := range pipes {
		// Edge-triggered, because then a pipe is told in its turn each time that
		// something comes into it.
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(i)}
		err = errors.Join(err, control(pipe, func(pipe int) error { return unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, pipe, &event) }))
	}
	if err == nil {
		a.raw, err = a.epoll.SyscallConn()
	}
	if err != nil {
		a.epoll.Close()
		return nil, fmt.Errorf("watch pipes: %w", err)
	}
	return a, nil
}

// control does something with a file's descriptor while it cannot be closed.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}

// next waits for a pipe to read. It fails once the arrivals are closed.
func (a *arrivals) next() (int, error) {
	err := a.raw.Read(func(fd uintptr) bool {
		a.gather(int(fd))
		return len(a.queue) > 0
	})
	if err != nil {
		return 0, err
	}
	i := a.queue[0]
	a.queue = a.queue[1:]
	a.waiting[i] = false
	return i, nil
}

// gather puts the pipes that have become readable behind those that wait.
func (a *arrivals) gather(fd int) {
	var events [2]unix.EpollEvent
	n, err := unix.EpollWait(fd, events[:], 0)
	if err != nil {
		return // interrupted: the runtime asks again
	}
	for _, e := range events[:n] {
		a.hungUp[e.Fd] = a.hungUp[e.Fd] || e.Events&unix.EPOLLHUP != 0
		a.add(int(e.Fd))
	}
}

// more says that a pipe was read and not to its end. Where all that was in it
// was taken, it waits for its next turn.
func (a *arrivals) more(i int, emptied bool) {
	if !emptied || a.hungUp[i] {
		a.add(i)
	}
}

func (a *arrivals) add(i int) {
	if !a.waiting[i] {
		a.queue, a.waiting[i] = append(a.queue, i), true
	}
}
