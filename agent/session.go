package agent

import (
	"context"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/process"
	agentproto "cronium.dev/agent/proto"
)

// How much output of a terminal is kept until the client has taken it; a
// program that prints more waits, also while no client is there, so that a
// recording has everything.
const (
	shellBuffer = 256 << 10
	shellPiece  = 32 << 10
)

// shells are the terminals of an agent, by session.
type shells struct {
	mu   sync.Mutex
	byID map[string]*shell
	shut bool
}

// shell is one session: a program with a terminal, and what it printed that no
// client has taken yet.
type shell struct {
	id     string
	path   string // of the program
	linger time.Duration
	master *os.File
	tree   *process.Tree
	ending chan struct{} // closed when the agent ends

	mu      sync.Mutex
	changed chan struct{} // closed and made anew when anything below changes
	kept    []byte        // output from start on
	start   uint64
	client  *shellClient // the present one, nil: none
	left    time.Time    // since when there is none
	end     *agentproto.ShellEnd
}

// shellClient is one stream to a session; replaced is closed when another has
// taken its place.
type shellClient struct{ replaced chan struct{} }

// open finds a session or starts it.
func (l *shells) open(a *Agent, open *agentproto.ShellOpen) (s *shell, resumed bool, err error) {
	if id, err := uuid.Parse(open.GetSession()); err != nil || id.String() != open.GetSession() {
		return nil, false, status.Error(codes.InvalidArgument, "a session is named by a UUID")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.byID[open.GetSession()]; s != nil {
		return s, true, nil
	}
	switch {
	case l.shut:
		return nil, false, refusal(errStopping)
	case open.GetFromOffset() > 0:
		return nil, false, status.Error(codes.NotFound, "the session has ended: nobody was connected for too long, or the agent was started anew")
	case len(l.byID) >= shellsAtOnce:
		return nil, false, status.Errorf(codes.ResourceExhausted, "%d terminals are open on this machine; close one", len(l.byID))
	}
	s, err = a.newShell(open)
	if err != nil {
		return nil, false, err
	}
	if l.byID == nil {
		l.byID = map[string]*shell{}
	}
	l.byID[s.id] = s
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		s.live()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.byID, s.id)
	}()
	return s, false, nil
}

// count is how many sessions there are.
func (l *shells) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byID)
}

// stop hangs all sessions up and lets no other begin.
func (l *shells) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return
	}
	l.shut = true
	for _, s := range l.byID {
		close(s.ending)
	}
}

// newShell starts the login shell of the agent's user on a new terminal.
func (a *Agent) newShell(open *agentproto.ShellOpen) (*shell, error) {
	path, env, dir := loginShell(a.config.Work)
	for name, value := range open.GetEnvironment() {
		env[name] = value
	}
	mark := "CRONIUM_TERMINAL=" + open.GetSession()
	list := []string{mark}
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return nil, status.Errorf(codes.InvalidArgument, "%q is no name and value of an environment variable", name)
		}
		list = append(list, name+"="+value)
	}
	linger := time.Duration(open.GetLingerMs()) * time.Millisecond
	if linger <= 0 {
		linger = shellLinger
	}
	master, terminal, err := process.OpenTerminal()
	if err != nil {
		return nil, status.Errorf(codes.ResourceExhausted, "This machine gives no terminal: %v", err)
	}
	defer terminal.Close()
	s := &shell{
		id: open.GetSession(), path: path, linger: min(linger, longestLinger), master: master,
		ending: make(chan struct{}), changed: make(chan struct{}), left: time.Now(),
	}
	s.resize(open.GetSize())
	s.tree, err = a.host.Start(process.Command{
		Path: path, Args: []string{"-" + filepath.Base(path)}, Env: list, Dir: dir, Terminal: terminal, Mark: mark,
	})
	if err != nil {
		master.Close()
		return nil, status.Error(codes.FailedPrecondition, whyNotStarted(path, err).Error())
	}
	return s, nil
}

// loginShell is the program of /etc/passwd, or another shell where that is not
// there, with the environment and the folder of a login. In a container, home is
// the work directory.
func loginShell(work string) (path string, env map[string]string, dir string) {
	env = inherited(os.Getpid() == 1, os.Environ())
	if env["PATH"] == "" {
		env["PATH"] = defaultPath
	}
	if env["LANG"] == "" {
		env["LANG"] = "C.UTF-8"
	}
	home := work
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil {
		env["USER"], env["LOGNAME"] = u.Username, u.Username
		if info, err := os.Stat(u.HomeDir); os.Getpid() != 1 && err == nil && info.IsDir() {
			home = u.HomeDir
		}
	}
	env["HOME"] = home
	for _, path = range []string{passwdShell("/etc/passwd", os.Getuid()), "/bin/bash", "/bin/sh"} {
		if filepath.IsAbs(path) && unix.Access(path, unix.X_OK) == nil {
			break
		}
	}
	env["SHELL"] = path
	return path, env, home
}

// passwdShell reads the seventh field of passwd(5).
func passwdShell(file string, uid int) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) == 7 && fields[2] == strconv.Itoa(uid) {
			return fields[6]
		}
	}
	return ""
}

// live reads the terminal until the shell has ended and the client has taken
// everything, or nobody came for too long.
func (s *shell) live() {
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.read()
	}()
	s.untilUnwanted(read)
	s.hangUp()
	waitFor(s.tree.Exited(), hangUpGrace)
	kill, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.tree.Kill(kill)
	s.tree.Close()
	s.finish() // for a client that is still there
	s.master.Close()
	<-read
}

// untilUnwanted waits until the session can be removed: it has ended and its
// client has left with the news, or it has had no client for too long.
func (s *shell) untilUnwanted(read <-chan struct{}) {
	exited := s.tree.Exited()
	for {
		s.mu.Lock()
		changed, alone, since := s.changed, s.client == nil, s.left
		over := s.end != nil && len(s.kept) == 0 && alone
		s.mu.Unlock()
		if over {
			return
		}
		if read == nil && exited == nil { // both only once
			s.finish()
		}
		var lonely <-chan time.Time
		if alone {
			lonely = time.After(time.Until(since.Add(s.linger)))
		}
		select {
		case <-changed:
		case <-read:
			read = nil
		case <-exited:
			// The kernel has hung the terminal up: what is left to read is little.
			exited = nil
		case <-lonely:
			return
		case <-s.ending:
			return
		}
	}
}
