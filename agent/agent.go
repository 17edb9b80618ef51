// Package agent is what runs on a target: it starts scripts that the server has
// signed, watches over them while the server is away, and keeps their output
// until the server has it.
//
// An Agent implements the service of agent/proto. Serve gives it a Unix socket
// and, in a container, the stream on standard input and output. The parts:
//
//	manifest  who may ask for what
//	blob      the files that were sent before
//	spool     what is on disk: used ids, output, ends
//	process   the process tree, to its last orphan
//	capture   from the script's pipes to the spool
//	helper    what the script itself may ask
//
// The life of one execution is one goroutine (execution.live). Everything else
// reads its state under a lock or asks it through channels.
package agent

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"cronium.dev/agent/blob"
	"cronium.dev/agent/helper"
	"cronium.dev/agent/process"
	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

// DefaultCacheBytes is how much of the files sent before is kept.
const DefaultCacheBytes = 64 << 20

// Config is what an agent needs to know.
type Config struct {
	Spool      string            // directory of what must not get lost
	Work       string            // directory in which scripts run
	Target     string            // the target id that manifests must name
	PublicKey  ed25519.PublicKey // of the server
	Single     bool              // one execution only, then never another
	CacheBytes int64             // of files sent before; ignored when Single
	Version    string
	Program    string // the agent's own binary, which is also `cronium` of scripts
	Log        *slog.Logger
	// Installed is set for an agent that is installed on its machine.
	Installed *Installed
}

// Agent is one agent. Its methods may be called concurrently.
type Agent struct {
	agentproto.UnimplementedAgentServer
	config Config
	spool  *spool.Spool
	blobs  *blob.Cache
	host   *process.Host
	shells shells

	running sync.WaitGroup // the goroutines of executions

	draining atomic.Bool
	updating sync.Mutex // held while a new program comes

	mu         sync.Mutex
	executions map[string]*execution
	taken      bool // an execution was started here: the only one when Single
	stopping   bool
}

// New opens the spool and takes note of what an earlier agent has left there:
// what it had running is lost, and what is left of it is killed.
func New(config Config) (*Agent, error) {
	var err error
	for _, dir := range []*string{&config.Work, &config.Spool} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, fmt.Errorf("start agent: %w", err)
		}
	}
	if err := checkWork(config.Work); err != nil {
		return nil, err
	}
	if err := helper.Install(config.Work, config.Program); err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	a := &Agent{config: config, executions: map[string]*execution{}}
	if a.spool, err = spool.Open(config.Spool); err != nil {
		return nil, fmt.Errorf("start agent: %w", err)
	}
	cache, cacheBytes := filepath.Join(config.Spool, "blobs"), config.CacheBytes
	if config.Single { // on the file system of the work directory a blob is moved
		cache, cacheBytes = filepath.Join(config.Work, ".blobs"), 0
	}
	if a.blobs, err = blob.Open(cache, cacheBytes); err != nil {
		return nil, errors.Join(fmt.Errorf("start agent: %w", err), a.spool.Close())
	}
	if a.host, err = process.NewHost(); err != nil {
		return nil, errors.Join(fmt.Errorf("start agent: %w", err), a.spool.Close())
	}
	for _, id := range a.spool.Executions() {
		a.executions[id] = a.recover(id)
		a.taken = true
	}
	a.expire(time.Now())
	return a, nil
}

// maxSocketPath is what Linux takes for the path of a Unix socket.
const maxSocketPath = 107

func checkWork(work string) error {
	longest := filepath.Join(work, boxName("00000000-0000-0000-0000-000000000000"), "sock")
	if len(longest) > maxSocketPath {
		return fmt.Errorf("start agent: the work directory %s is %d bytes too long for a Unix socket in it; choose a shorter one",
			work, len(longest)-maxSocketPath)
	}
	if err := os.MkdirAll(work, 0o700); err != nil {
		return fmt.Errorf("start agent: %w", err)
	}
	return nil
}

// Stop ends every execution as a cancel would, and waits for that or for the
// context. No execution starts afterwards.
func (a *Agent) Stop(ctx context.Context) {
	a.mu.Lock()
	a.stopping = true
	a.shells.stop()
	for _, e := range a.executions {
		e.stopFor(stopShutdown)
	}
	a.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		a.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// Close lets go of the spool. What runs goes on without the agent: call Stop
// before.
func (a *Agent) Close() error {
	a.host.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.executions {
		e.log.Close()
	}
	return a.spool.Close()
}

// Busy tells whether a script or a terminal runs. One that is there for a single
// script is busy from its start on: its end is kept nowhere else.
func (a *Agent) Busy() bool {
	if a.shells.count() > 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.executions {
		if e.finished() == nil {
			return true
		}
	}
	return a.config.Single && a.taken
}

func (a *Agent) find(id string) *execution {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.executions[id]
}
