// Package process runs each execution as a process of this machine, without
// any isolation. It exists for developing Cronium: a script can read and
// destroy whatever the server can. It is off unless switched on, and the pages
// say so loudly.
//
// Each execution has a folder of its own with an agent of its own, which is
// detached from the server and survives it. A connection is the agent's Unix
// socket in that folder.
package process

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Times of an agent's life.
const (
	startTimeout = 10 * time.Second // until its socket answers
	endTimeout   = 5 * time.Second  // from SIGTERM to SIGKILL
)

// Files of an execution's folder.
const (
	socketFile = "agent.sock"
	pidFile    = "agent.pid" // pid and start time of the agent, for Destroy by another server
	logFile    = "agent.log"
	workFolder = "w"
)

// Config is what a Backend needs to know.
type Config struct {
	Dir   string            // absolute; one folder an execution is made in it
	Agent string            // file of the agent's binary
	Key   ed25519.PublicKey // of the instance; agents accept its manifests alone
	Log   *slog.Logger
}

// Backend starts agents on this machine. Its methods may be called
// concurrently.
type Backend struct{ config Config }

// New makes the folder, readable by this user alone.
func New(config Config) (*Backend, error) {
	if !filepath.IsAbs(config.Dir) {
		return nil, fmt.Errorf("folder of processes: %q is not absolute", config.Dir)
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of processes: %w", err)
	}
	return &Backend{config: config}, nil
}

// Warm has nothing: an agent starts in a moment.
func (b *Backend) Warm(executor.Spec) executor.Place { return nil }

// Create starts an agent for one execution. Its limits of memory, processors
// and network are not applied.
func (b *Backend) Create(ctx context.Context, _ executor.Spec, _ func(string)) (executor.Place, error) {
	p := &place{dir: filepath.Join(b.config.Dir, newName())}
	if err := b.spawn(ctx, p); err != nil {
		_ = p.Destroy(context.WithoutCancel(ctx)) // the first error tells more
		return nil, &cronium.Error{
			Code:    cronium.CodeUnavailable,
			Message: "An agent could not be started on this machine: " + err.Error() + ".",
			Err:     err,
		}
	}
	return p, nil
}

// nameLength is that of a folder's name: short, because the path of a script's
// socket in it has at most 107 bytes.
const nameLength = 16

// newName is that many hexadecimal digits at random.
func newName() string {
	id := uuid.New()
	return hex.EncodeToString(id[:nameLength/2])
}

func (b *Backend) spawn(ctx context.Context, p *place) error {
	if err := os.MkdirAll(filepath.Join(p.dir, workFolder), 0o700); err != nil {
		return fmt.Errorf("make the folder of an execution: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(p.dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("make the agent's log: %w", err)
	}
	defer log.Close()
	agent := exec.Command(b.config.Agent, "serve", "--single",
		"--target", p.TargetID(),
		"--public-key", base64.StdEncoding.EncodeToString(b.config.Key),
		"--spool", filepath.Join(p.dir, "spool"),
		"--work", filepath.Join(p.dir, workFolder),
		"--socket", socketFile,
	)
	agent.Dir = p.dir
	agent.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	agent.Stdout, agent.Stderr = log, log
	agent.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := agent.Start(); err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	pid := agent.Process.Pid
	ended := make(chan struct{})
	go func() { // as long as the agent, which may outlive this server
		defer close(ended)
		_ = agent.Wait() // its log tells more
	}()
	mark := fmt.Sprintf("%d %s\n", pid, startTime(pid))
	if err := os.WriteFile(filepath.Join(p.dir, pidFile), []byte(mark), 0o600); err != nil {
		return fmt.Errorf("note the agent's process: %w", err)
	}
	return p.meet(ctx, ended)
}

// Find finds the agent of a Ref.
func (b *Backend) Find(ctx context.Context, ref string) (executor.Place, error) {
	name, instance, ok := strings.Cut(ref, "/")
	if !ok || len(name) != nameLength || strings.Trim(name, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%w: %q names no process", executor.ErrGone, ref)
	}
	p := &place{dir: filepath.Join(b.config.Dir, name), instance: instance}
	stream, err := p.Dial(ctx)
	if err != nil {
		return nil, err
	}
	stream.Close()
	return p, nil
}

// Sweep removes folders that no execution which is not final references,
// whatever process made them. Folders younger than two minutes are left alone:
// their Ref may be on its way to the database.
func (b *Backend) Sweep(ctx context.Context, _ func(process string) bool, open func(name string) bool) (int, error) {
	folders, err := os.ReadDir(b.config.Dir)
	if err != nil {
		return 0, fmt.Errorf("sweep processes: %w", err)
	}
	removed := 0
	for _, f := range folders {
		info, err := f.Info()
		if err != nil || time.Since(info.ModTime()) < 2*time.Minute || open(f.Name()) {
			continue
		}
		p := &place{dir: filepath.Join(b.config.Dir, f.Name())}
		b.config.Log.InfoContext(ctx, "removing what is left of an execution", "folder", p.dir)
		if err := p.Destroy(ctx); err != nil {
			return removed, fmt.Errorf("sweep processes: %w", err)
		}
		removed++
	}
	return removed, nil
}

// place is one agent and its folder.
type place struct {
	dir      string
	instance string
}

// Ref is the folder's name and the agent's instance.
func (p *place) Ref() string { return filepath.Base(p.dir) + "/" + p.instance }

// Warm is false: there is no pool.
func (p *place) Warm() bool { return false }

// TargetID is a name that this agent alone was given.
func (p *place) TargetID() string { return "process-" + filepath.Base(p.dir) }

// Instance is the agent's.
func (p *place) Instance() string { return p.instance }

// TakeLink has none: a connection costs nothing here.
func (p *place) TakeLink() *executor.Link { return nil }

// meet waits until the agent answers or has ended.
func (p *place) meet(ctx context.Context, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		stream, err := p.Dial(ctx)
		if err == nil {
			link, err := executor.Connect(ctx, stream)
			if err != nil {
				return err
			}
			defer link.Close()
			p.instance = link.Info.GetInstance()
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("the agent ended at once; it said: %s", p.log())
		case <-ctx.Done():
			return fmt.Errorf("wait for the agent: %w (%w)", ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *place) log() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, logFile)) // for an error message alone
	return strings.TrimSpace(string(text[max(0, len(text)-1000):]))
}

// Dial connects to the agent's socket. The folder is opened first and the
// socket named through it, because a socket's path has at most 107 bytes.
func (p *place) Dial(ctx context.Context) (net.Conn, error) {
	dir, err := os.Open(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its folder was removed", executor.ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
	}
	defer dir.Close()
	var d net.Dialer
	stream, err := d.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(int(dir.Fd()))+"/"+socketFile)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: its agent does not run: %w", executor.ErrGone, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
	}
	return stream, nil
}

// Destroy ends the agent, which ends its script, and removes the folder. Should
// the agent have been killed, what it ran is looked for and killed too.
func (p *place) Destroy(ctx context.Context) error {
	if err := p.end(ctx); err != nil {
		return err
	}
	for kill(p.dir) > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("end what the agent left: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove the folder of an execution: %w", err)
	}
	return nil
}

// end stops the agent if it runs.
func (p *place) end(ctx context.Context) error {
	mark, err := os.ReadFile(filepath.Join(p.dir, pidFile))
	if err != nil {
		return nil // it was never started
	}
	number, started, _ := strings.Cut(strings.TrimSpace(string(mark)), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 1 {
		return nil
	}
	kill := time.Now().Add(endTimeout)
	signal := syscall.SIGTERM
	for startTime(pid) == started && started != "" {
		if signal != 0 {
			_ = syscall.Kill(pid, signal) // it may end in between
			signal = 0
		}
		if time.Now().After(kill) {
			kill, signal = time.Now().Add(endTimeout), syscall.SIGKILL
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("end the agent: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
