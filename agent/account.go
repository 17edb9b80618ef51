package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user as whom a script runs, where the manifest names one.
type account struct {
	name, home string
	uid, gid   int
	groups     []uint32
}

// accountOf finds the manifest's user; nil where it names none. An agent that is
// not root can only be itself. The error is a sentence.
func accountOf(name string) (*account, error) {
	if name == "" {
		return nil, nil
	}
	found, err := user.Lookup(name)
	var unknown user.UnknownUserError
	if errors.As(err, &unknown) {
		return nil, sentence(fmt.Sprintf("There is no user %s in /etc/passwd of this machine. Make one, or let the event run as another.", name))
	}
	if err != nil {
		return nil, sentence(fmt.Sprintf("The user %s could not be looked up: %v.", name, err))
	}
	a := &account{name: found.Username, home: found.HomeDir}
	if a.uid, err = strconv.Atoi(found.Uid); err == nil {
		a.gid, err = strconv.Atoi(found.Gid)
	}
	if err != nil {
		return nil, sentence(fmt.Sprintf("The user %s has no usable ids in /etc/passwd.", name))
	}
	if os.Getuid() != 0 && a.uid != os.Getuid() {
		return nil, sentence(fmt.Sprintf("The agent of this machine runs as the user %s and can run nothing as %s. Let the event run as %s, or install the agent as root.", ownName(), name, ownName()))
	}
	ids, err := found.GroupIds()
	if err != nil {
		return nil, sentence(fmt.Sprintf("The groups of the user %s could not be looked up: %v.", name, err))
	}
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			a.groups = append(a.groups, uint32(n))
		}
	}
	return a, nil
}

// ownName is the agent's own user.
func ownName() string {
	if own, err := user.Current(); err == nil {
		return own.Username
	}
	return strconv.Itoa(os.Getuid())
}

// credential is what a process of the account is started with; nil where that is
// the agent's own.
func (a *account) credential() *syscall.Credential {
	if a == nil || a.uid == os.Getuid() {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: a.groups}
}

// give makes everything below the directories the account's. Nobody else has had
// a hand in them yet, so there is nothing in them that leads elsewhere.
func (a *account) give(dirs ...string) error {
	if a.credential() == nil {
		return nil
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, a.uid, a.gid)
		})
		if err != nil {
			return fmt.Errorf("give the files to %s: %w", a.name, err)
		}
	}
	return nil
}

// givePipes lets a script open its own output again, as /dev/stdout does.
func (a *account) givePipes(pipes ...*os.File) error {
	if a.credential() == nil {
		return nil
	}
	for _, pipe := range pipes {
		if err := pipe.Chown(a.uid, a.gid); err != nil {
			return fmt.Errorf("give the output to %s: %w", a.name, err)
		}
	}
	return nil
}

// environment is what a login of the account would have set.
func (a *account) environment() map[string]string {
	if a == nil {
		return nil
	}
	env := map[string]string{"HOME": a.home, "USER": a.name, "LOGNAME": a.name}
	if a.credential() != nil {
		env["PATH"] = defaultPath // the agent's own leads to what only the agent may run
	}
	return env
}
