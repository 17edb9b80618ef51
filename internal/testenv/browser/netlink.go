package browser

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// withoutNetlink runs f on a thread of its own which, like every process that f
// starts, cannot open netlink sockets. Chromium hears by them of each network
// interface that comes and goes, and then drops what it is loading, from this
// machine too; containers make interfaces come and go all the time. The thread
// lives until end is closed: a process is killed with the thread that started it.
func withoutNetlink(end <-chan struct{}, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		err := denyNetlink()
		if err == nil {
			err = f()
		}
		done <- err
		<-end
	}()
	return <-done
}

// denyNetlink makes socket(AF_NETLINK, …) fail for this thread with EAFNOSUPPORT.
// It must run on a locked thread.
func denyNetlink() error {
	const (
		setNoNewPrivileges = 38 // PR_SET_NO_NEW_PRIVS
		setSeccomp         = 22 // PR_SET_SECCOMP
		modeFilter         = 2
		allow              = 0x7fff0000
		fail               = 0x00050000 // with the error number in its low half
		load               = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS
		ifEqual            = syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K
		give               = syscall.BPF_RET | syscall.BPF_K
		number, firstArg   = 0, 16 // offsets in struct seccomp_data
	)
	program := []syscall.SockFilter{
		{Code: load, K: number},
		{Code: ifEqual, K: syscall.SYS_SOCKET, Jf: 3},
		{Code: load, K: firstArg},
		{Code: ifEqual, K: syscall.AF_NETLINK, Jf: 1},
		{Code: give, K: fail | uint32(syscall.EAFNOSUPPORT)},
		{Code: give, K: allow},
	}
	filter := syscall.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivileges, 1, 0, 0, 0, 0); e != 0 {
		return fmt.Errorf("give up new privileges: %w", e)
	}
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, setSeccomp, modeFilter, uintptr(unsafe.Pointer(&filter)), 0, 0, 0); e != 0 {
		return fmt.Errorf("deny netlink: %w", e)
	}
	return nil
}
