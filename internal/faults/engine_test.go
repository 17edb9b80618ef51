package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cronium.dev/internal/testenv"
)

// gateway is the address at which containers reach this test.
const gateway = "172.17.0.1"

// engine is a dockerd of this test's own.
type engine struct {
	dir   string
	log   string // file
	host  string // its address
	space *namespace

	daemon *exec.Cmd
	ended  chan struct{} // closed when the daemon has ended
}

// newEngine starts an engine that has the runtime image.
func newEngine(t *testing.T, dir, log string) *engine {
	t.Helper()
	machine := testenv.Engine(t)
	space, err := newNamespace()
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{dir: dir, log: log, host: "unix://" + filepath.Join(dir, "engine.sock"), space: space}
	t.Cleanup(func() {
		if err := e.stop(); err != nil {
			t.Error(err)
		}
		space.close()
	})
	if err := e.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.copyImage(t.Context(), machine); err != nil {
		t.Fatal(err)
	}
	return e
}

// start starts the daemon and waits until it answers.
func (e *engine) start(ctx context.Context) error {
	log, err := os.OpenFile(e.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	e.ended = make(chan struct{})
	e.daemon = exec.Command("dockerd",
		"--host", e.host, "--data-root", filepath.Join(e.dir, "data"), "--exec-root", filepath.Join(e.dir, "exec"),
		"--bip", gateway+"/16", "--pidfile", filepath.Join(e.dir, "engine.pid"), "--log-level", "warn")
	e.daemon.Stdout, e.daemon.Stderr = log, log
	e.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	if err := e.space.do(e.daemon.Start); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	go func(daemon *exec.Cmd, ended chan struct{}) {
		defer close(ended)
		_ = daemon.Wait() // how it ended is in its log
	}(e.daemon, e.ended)
	return await(ctx, time.Minute, "the engine to answer", func() error {
		select {
		case <-e.ended:
			return stopWaiting(errors.New("dockerd ended; its log is " + log.Name()))
		default:
		}
		_, err := e.docker(ctx, "version", "--format", "{{.Server.Version}}")
		return err
	})
}

// signal sends a signal to the daemon and waits for its end, and for that of
// its containerd, which dies with it.
func (e *engine) signal(s os.Signal) error {
	if err := e.daemon.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-e.ended:
	case <-time.After(time.Minute):
		return errors.Join(errors.New("dockerd did not end within a minute"), e.daemon.Process.Kill())
	}
	err := await(context.Background(), time.Minute, "containerd to end", func() error {
		for _, p := range processes(e.dir) {
			if strings.HasPrefix(p.command, "containerd ") {
				return fmt.Errorf("process %d lives", p.pid)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// The next daemon would take a process that has died and was not waited
	// for, or another one of this number, for a containerd that lives, and wait
	// for its answers in vain.
	err = os.Remove(filepath.Join(e.dir, "exec", "containerd", "containerd.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// stop ends the daemon.
func (e *engine) stop() error {
	if e.daemon == nil || e.daemon.Process == nil {
		return nil
	}
	return e.signal(syscall.SIGTERM)
}

// copyImage gives the engine the runtime image of the machine's engine.
func (e *engine) copyImage(ctx context.Context, machine string) error {
	save := exec.CommandContext(ctx, "docker", "--host", machine, "save", testenv.RuntimeImage)
	load := exec.CommandContext(ctx, "docker", "--host", e.host, "load", "--quiet")
	var complaint bytes.Buffer
	save.Stderr, load.Stderr = &complaint, &complaint
	image, err := save.StdoutPipe()
	if err != nil {
		return err
	}
	load.Stdin = image
	if err := save.Start(); err != nil {
		return err
	}
	err = load.Run()
	if err = errors.Join(err, save.Wait()); err != nil {
		return fmt.Errorf("copy the runtime image: %w: %s", err, complaint.String())
	}
	return nil
}

// docker runs a command of the engine's client.
func (e *engine) docker(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, "docker", append([]string{"--host", e.host}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, said)
	}
	return strings.TrimSpace(string(said)), nil
}

// container is one as the engine lists it.
type container struct {
	id      string
	state   string // "running", "exited", …
	purpose string
	process string // the server process that made it
}

// containers lists all that any server has made.
func (e *engine) containers(ctx context.Context) ([]container, error) {
	const columns = `{"id":{{json .ID}},"state":{{json .State}},"purpose":{{json (.Label "cronium.purpose")}},"process":{{json (.Label "cronium.process")}}}`
	said, err := e.docker(ctx, "ps", "--all", "--no-trunc", "--filter", "label=cronium.instance", "--format", columns)
	if err != nil {
		return nil, err
	}
	var all []container
	for line := range strings.Lines(said) {
		var c struct{ ID, State, Purpose, Process string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			return nil, fmt.Errorf("read the list of containers: %w", err)
		}
		all = append(all, container{c.ID, c.State, c.Purpose, c.Process})
	}
	return all, nil
}
