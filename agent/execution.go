package agent

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cronium.dev/agent/capture"
	"cronium.dev/agent/helper"
	"cronium.dev/agent/process"
	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

// Limits that a manifest leaves open.
const (
	defaultSetup   = 5 * time.Minute
	defaultCleanup = time.Minute
	defaultGrace   = 10 * time.Second
)

// stopReason is why the agent ends a script. The first one counts.
type stopReason int

const (
	stopNone stopReason = iota
	stopTimeout
	stopCancel
	stopKill
	stopShutdown
)

// execution is one run of one script, from its id in the spool to Forget.
type execution struct {
	agent    *Agent
	id       string
	manifest *agentproto.Manifest // nil once it has ended
	received time.Time            // when Start came
	log      *spool.Log
	calls    *helper.Calls

	// Set before ready is closed.
	box     *helper.Box
	server  *helper.Server
	capture *capture.Capture
	tree    *process.Tree
	account *account // as whom it runs; nil: as the agent
	refused error    // why the id was not taken; the execution does not exist then

	ready chan struct{}      // closed when it runs, or has ended without
	stops [2]chan stopReason // gentle and hard; capacity 1, a repetition is dropped

	mu       sync.Mutex
	phase    agentproto.Phase
	setup    time.Duration
	finish   *agentproto.Finish
	ended    time.Time // when finish was published
	usage    *agentproto.Usage
	attached *attachment
}

func (a *Agent) newExecution(id string, m *agentproto.Manifest) *execution {
	e := &execution{
		agent: a, id: id, manifest: m, received: time.Now(),
		log:   spool.NewLog(a.spool.Dir(id), m.GetLimits().GetSpoolBytes()),
		ready: make(chan struct{}),
		stops: [2]chan stopReason{make(chan stopReason, 1), make(chan stopReason, 1)},
		phase: agentproto.Phase_PHASE_SETUP,
	}
	e.calls = helper.NewCalls(e.wake)
	return e
}

// workDir is where the script runs.
func (e *execution) workDir() string {
	if e.agent.config.Single {
		return filepath.Join(e.agent.config.Work, "run")
	}
	return filepath.Join(e.agent.config.Work, e.id)
}

func (e *execution) boxDir() string { return filepath.Join(e.agent.config.Work, boxName(e.id)) }

// boxName is short, because the path of a Unix socket is: it holds the random
// part of the id.
func boxName(id string) string { return "." + id[len(id)-12:] }

// stopFor asks the execution's goroutine to end the script.
func (e *execution) stopFor(reason stopReason) {
	stops := e.stops[0]
	if reason == stopKill {
		stops = e.stops[1]
	}
	select {
	case stops <- reason:
	default:
	}
}

// wake tells whoever is attached that something has changed. It never waits.
func (e *execution) wake() {
	e.mu.Lock()
	at := e.attached
	e.mu.Unlock()
	if at != nil {
		select {
		case at.wake <- struct{}{}:
		default:
		}
	}
}

// attach makes at the one that is told; the one before is ended.
func (e *execution) attach(at *attachment) {
	e.mu.Lock()
	before := e.attached
	e.attached = at
	e.mu.Unlock()
	if before != nil {
		close(before.superseded)
	}
}

// detach undoes attach, unless another has attached since.
func (e *execution) detach(at *attachment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.attached == at {
		e.attached = nil
	}
}

func (e *execution) state() *agentproto.ExecutionState {
	e.mu.Lock()
	defer e.mu.Unlock()
	return &agentproto.ExecutionState{
		ExecutionId:  e.id,
		Phase:        e.phase,
		OutputOffset: e.log.End(),
		Acknowledged: e.log.Acknowledged(),
		Finish:       e.finish,
	}
}

func (e *execution) setPhase(p agentproto.Phase) {
	e.mu.Lock()
	e.phase = p
	e.mu.Unlock()
}

func (e *execution) finished() *agentproto.Finish {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.finish
}

// publish makes the end known, and keeps it on disk for an agent to come.
func (e *execution) publish(f *agentproto.Finish) {
	if err := e.keepFinish(f); err != nil {
		e.agent.config.Log.Warn("the end of an execution is not on disk", "execution", e.id, "error", err)
	}
	e.mu.Lock()
	e.phase = agentproto.Phase_PHASE_FINISHED
	e.finish, e.ended = f, time.Now()
	e.mu.Unlock()
	e.wake()
}

// endedAt is zero while it runs.
func (e *execution) endedAt() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}

// limitOr is a limit of a manifest, or another where it leaves the limit open.
func limitOr(ms int64, otherwise time.Duration) time.Duration {
	if ms <= 0 {
		return otherwise
	}
	return time.Duration(ms) * time.Millisecond
}

// removeWork removes the script's directories.
func (e *execution) removeWork() {
	for _, dir := range []string{e.workDir(), e.boxDir()} {
		if err := removeAll(dir); err != nil {
			e.agent.config.Log.Warn("remove work directory", "execution", e.id, "error", err)
		}
	}
}

// removeAll also removes directories from which the script has taken the
// permission to do so.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || os.Getuid() == 0 {
		return err // permissions do not hinder root, whom a link could lead astray below
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700) // called before the directory is read
		}
		return nil
	})
	return os.RemoveAll(dir)
}
