package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/blob"
	"cronium.dev/agent/capture"
	"cronium.dev/agent/helper"
	"cronium.dev/agent/manifest"
	"cronium.dev/agent/process"
	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

const machine = runtime.GOOS + "/" + runtime.GOARCH

// Start implements the service.
func (a *Agent) Start(stream agentproto.Agent_StartServer) error {
	received := time.Now()
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	m, err := manifest.Open(a.config.PublicKey, first.GetManifest())
	if err != nil {
		return refusal(err)
	}
	e := a.find(m.GetExecutionId())
	if e == nil {
		if err := manifest.Check(m, a.config.Target, received); err != nil {
			return refusal(err)
		}
		if a.spool.Used(m.GetExecutionId()) {
			return refusal(spool.ErrUsed)
		}
		pinned, err := a.pull(stream, m, received)
		defer a.unpin(pinned)
		if err != nil {
			return refusal(err)
		}
		if e, err = a.begin(m, received); err != nil {
			return refusal(err)
		}
	}
	select {
	case <-e.ready:
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	}
	if e.refused != nil {
		return refusal(e.refused)
	}
	return stream.Send(&agentproto.StartResponse{Part: &agentproto.StartResponse_Accepted{Accepted: e.state()}})
}

// errStopping and errSingle refuse an execution without naming a fault of it.
var (
	errStopping = errors.New("the agent is being ended")
	errSingle   = errors.New("this agent runs one execution only and has had it")
)

// refusal gives an error the code by which the server knows what to do.
func refusal(err error) error {
	code := codes.Internal
	switch {
	case status.Code(err) != codes.Unknown:
		return err
	case errors.Is(err, manifest.ErrSignature), errors.Is(err, manifest.ErrTarget), errors.Is(err, manifest.ErrGrant):
		code = codes.PermissionDenied
	case errors.Is(err, manifest.ErrForm), errors.Is(err, blob.ErrContent):
		code = codes.InvalidArgument
	case errors.Is(err, manifest.ErrExpired), errors.Is(err, errSingle):
		code = codes.FailedPrecondition
	case errors.Is(err, spool.ErrUsed):
		code = codes.AlreadyExists
	case errors.Is(err, errStopping):
		code = codes.Unavailable
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return status.Errorf(codes.ResourceExhausted, "the agent's disk is full: %v", err)
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	}
	return status.Error(code, err.Error())
}

// begin takes the execution's id for good and starts its process. Whatever
// happens after the id was taken is the execution's own end, not an error.
func (a *Agent) begin(m *agentproto.Manifest, received time.Time) (*execution, error) {
	id := m.GetExecutionId()
	a.mu.Lock()
	if e := a.executions[id]; e != nil {
		a.mu.Unlock()
		return e, nil
	}
	if a.stopping || a.config.Single && a.taken {
		defer a.mu.Unlock()
		if a.stopping {
			return nil, errStopping
		}
		return nil, errSingle
	}
	e := a.newExecution(id, m)
	e.received = received
	a.executions[id] = e
	a.taken = true
	a.running.Add(1) // ended by live
	a.mu.Unlock()
	defer close(e.ready)

	claimed := make(chan error, 1)
	go func() { claimed <- a.spool.Claim(id, time.UnixMilli(m.GetExpiresUnixMs())) }()
	prepared := e.prepare()
	if err := <-claimed; err != nil {
		e.refused = err
		e.abandon()
		return e, nil
	}
	if prepared == nil {
		prepared = e.launch()
	}
	if prepared != nil {
		e.endWithout(prepared)
		a.running.Done()
		return e, nil
	}
	go func() {
		defer a.running.Done()
		e.live()
	}()
	return e, nil
}

// abandon undoes what was prepared for an execution whose id could not be taken.
func (e *execution) abandon() {
	e.release()
	e.removeWork()
	os.RemoveAll(e.agent.spool.Dir(e.id))
	e.agent.mu.Lock()
	delete(e.agent.executions, e.id)
	e.agent.taken = false
	e.agent.mu.Unlock()
	e.agent.running.Done()
}

// release closes what prepare has opened.
func (e *execution) release() {
	if e.server != nil {
		e.server.Close()
	}
	e.calls.Close()
	if e.capture != nil && e.tree == nil {
		e.capture.Close()
	}
}

// endWithout is the end of an execution whose process could not be started.
func (e *execution) endWithout(reason error) {
	e.release()
	setup := time.Since(e.received)
	e.publish(&agentproto.Finish{
		Outcome: agentproto.Outcome_OUTCOME_NOT_STARTED,
		Message: reason.Error(),
		SetupUs: setup.Microseconds(),
	})
	e.removeWork()
	e.manifest, e.capture, e.server = nil, nil, nil
}

// prepare makes everything that the process needs. Its error is a
// sentence.
func (e *execution) prepare() error {
	if err := e.prepareFiles(); err != nil {
		return whyNotPrepared(err)
	}
	return nil
}

func (e *execution) prepareFiles() (err error) {
	a := e.agent
	if err := os.Mkdir(a.spool.Dir(e.id), 0o700); err != nil {
		return err
	}
	if e.account, err = accountOf(e.manifest.GetRunAs()); err != nil {
		return err
	}
	if err := helper.Install(a.config.Work, a.config.Program); err != nil {
		return err
	}
	if e.box, err = helper.NewBox(e.boxDir(), e.manifest.GetInput(), e.manifest.GetEvent()); err != nil {
		return err
	}
	if e.server, err = helper.Serve(e.box, e.calls); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(e.boxDir(), "tmp"), 0o700); err != nil {
		return err
	}
	if err := e.placeFiles(); err != nil {
		return err
	}
	return e.account.give(e.workDir(), e.boxDir())
}

func (e *execution) placeFiles() error {
	if err := os.Mkdir(e.workDir(), 0o700); err != nil {
		return err
	}
	uses := map[string]int{}
	for _, f := range e.manifest.GetFiles() {
		uses[f.GetSha256()]++
	}
	for _, f := range e.manifest.GetFiles() {
		path := filepath.Join(e.workDir(), filepath.FromSlash(f.GetName()))
		if dir := filepath.Dir(path); dir != e.workDir() {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		mode := os.FileMode(f.GetMode()&0o777) | 0o400
		if f.GetMode() == 0 {
			mode = 0o644
		}
		uses[f.GetSha256()]--
		if err := e.agent.blobs.Place(f.GetSha256(), path, mode, uses[f.GetSha256()] == 0); err != nil {
			return fmt.Errorf("%s: %w", f.GetName(), err)
		}
	}
	return nil
}

// launch starts the process. Its error is a sentence.
func (e *execution) launch() error {
	env := e.environment()
	path, args, err := e.command(env)
	if err != nil {
		return err
	}
	entries := make([]string, 0, len(env))
	for name, value := range env {
		entries = append(entries, name+"="+value)
	}
	output, stdout, stderr, err := capture.New(e.log, e.manifest.GetLimits().GetOutputBytes(), e.wake)
	if err != nil {
		return whyNotPrepared(err)
	}
	e.capture = output
	defer stdout.Close()
	defer stderr.Close()
	if err := e.account.givePipes(stdout, stderr); err != nil {
		return whyNotPrepared(err)
	}
	e.tree, err = e.agent.host.Start(process.Command{
		Path: path, Args: args, Env: entries, Dir: e.workDir(),
		Stdout: stdout, Stderr: stderr, Mark: e.mark(), As: e.account.credential(),
	})
	if err != nil {
		return whyNotStarted(path, err)
	}
	e.capture.Begin(time.Now())
	e.mu.Lock()
	e.phase = agentproto.Phase_PHASE_RUNNING
	e.setup = time.Since(e.received)
	e.mu.Unlock()
	e.keepProcess()
	return nil
}
