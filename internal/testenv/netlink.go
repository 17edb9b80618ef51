package testenv

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// withoutNetlink names, in the environment of a process of this test binary,
// the program that Main is to become.
const withoutNetlink = "CRONIUM_TEST_WITHOUT_NETLINK"

// WithoutNetlink gives the program to start instead of the one at path, and
// what its environment needs besides: it becomes that one, in which no netlink
// sockets can be opened. Chromium hears by them of each network interface that
// comes and goes, and then drops what it is loading, from this machine too;
// containers make interfaces come and go all the time.
func WithoutNetlink(path string) (program, environment string, err error) {
	program, err = os.Executable()
	return program, withoutNetlink + "=" + path, err
}

// becomeWithoutNetlink does not return if it works.
func becomeWithoutNetlink(path string) error {
	runtime.LockOSThread()
	if err := denyNetlink(); err != nil {
		return err
	}
	if err := os.Unsetenv(withoutNetlink); err != nil {
		return err
	}
	return syscall.Exec(path, append([]string{path}, os.Args[1:]...), os.Environ())
}

// denyNetlink makes socket(AF_NETLINK, …) fail with EAFNOSUPPORT for this thread
// and for what it starts. The thread must be locked.
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
