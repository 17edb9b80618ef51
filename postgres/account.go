package postgres

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that PostgreSQL runs as: this process's own, or, as
// PostgreSQL refuses to run as root, another one when this process is root.
type account struct {
	uid, gid int
	other    bool // not this process's own user
	name     string
}

// accountFor chooses the owner of the data directory where there is one, else
// the system user "postgres".
func accountFor(dir string) (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid(), name: "uid " + strconv.Itoa(os.Geteuid())}, nil
	}
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err == nil && st.Uid != 0 {
		return account{uid: int(st.Uid), gid: int(st.Gid), other: true, name: "uid " + strconv.Itoa(int(st.Uid))}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return account{}, fmt.Errorf("%w: PostgreSQL does not run as root and the system user \"postgres\" does not exist; make it with: useradd --system postgres", ErrPermission)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		return account{}, fmt.Errorf("read the user \"postgres\": uid %q, gid %q", u.Uid, u.Gid)
	}
	return account{uid: uid, gid: gid, other: true, name: `user "postgres"`}, nil
}

// sysProcAttr puts a process in a session of its own, so that Ctrl-C in a
// terminal does not reach it, and under the account.
func (a account) sysProcAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// mkdir makes a directory that only the account may use; one that exists is
// made so.
func (a account) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	return a.take(dir)
}

// take gives a file or directory to the account alone.
func (a account) take(path string) error {
	if a.other {
		if err := os.Chown(path, a.uid, a.gid); err != nil {
			return err
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&0o700)
}

// owns reports whether dir is a directory that only the account may use.
func (a account) owns(dir string) bool {
	var st syscall.Stat_t
	return syscall.Lstat(dir, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFDIR &&
		int(st.Uid) == a.uid && st.Mode&0o077 == 0
}

// canReach checks that the account may enter every folder above dir.
func (a account) canReach(dir string) error {
	if !a.other {
		return nil
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		var st syscall.Stat_t
		if err := syscall.Stat(parent, &st); err != nil {
			return err
		}
		enter := uint32(0o001)
		switch {
		case int(st.Uid) == a.uid:
			enter = 0o100
		case int(st.Gid) == a.gid:
			enter = 0o010
		}
		if st.Mode&enter == 0 {
			return fmt.Errorf("%w: PostgreSQL runs as the %s, who may not enter %s; choose a data directory elsewhere (/var/lib/cronium), or run: chmod o+x %s",
				ErrPermission, a.name, parent, parent)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}
