package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	agentproto "cronium.dev/agent/proto"
)

const (
	usageEvery = 2 * time.Second
	// leftoverWait is how long processes that the script has left behind may
	// still write, so that the last lines of `… | tee` are not lost.
	leftoverWait = 500 * time.Millisecond
	// pipeMoment is how long the reading of the last output takes when nothing
	// else holds the pipes.
	pipeMoment = 10 * time.Millisecond
	// pipeWait is how long the pipes may stay open when nothing of the script
	// is left: something outside must hold them.
	pipeWait = time.Second
	// stopPoll is how often a tree that was asked to end is looked at once its
	// main process has.
	stopPoll = 20 * time.Millisecond
)

// live watches over the process until nothing of it is left, and publishes how
// it ended.
func (e *execution) live() {
	started := time.Now()
	reason := e.run()
	ran := time.Now()
	e.setPhase(agentproto.Phase_PHASE_CLEANUP)
	left := e.cleanUp(reason)

	f := e.outcome(reason, left)
	e.mu.Lock()
	f.SetupUs = e.setup.Microseconds()
	e.mu.Unlock()
	f.RunUs = ran.Sub(started).Microseconds()
	f.CleanupUs = time.Since(ran).Microseconds()
	e.publish(f)
	e.removeWork()
	// It may be kept for days, for a server that does not come back.
	e.manifest, e.capture, e.server = nil, nil, nil
}

// run waits for the end of the main process, and brings it about at a limit or
// when asked to. It returns the first reason for that.
func (e *execution) run() (reason stopReason) {
	limits := e.manifest.GetLimits()
	var limit, grace <-chan time.Time
	if ms := limits.GetRunMs(); ms > 0 {
		timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
		defer timer.Stop()
		limit = timer.C
	}
	usage := time.NewTicker(usageEvery)
	defer usage.Stop()
	stop := func(why stopReason) {
		if reason != stopNone {
			return
		}
		reason = why
		e.tree.Signal(unix.SIGTERM)
		grace = time.After(limitOr(limits.GetGraceMs(), defaultGrace))
	}
	exited := e.tree.Exited()
	for {
		select {
		case <-exited:
			if reason == stopNone || reason == stopKill {
				return reason
			}
			// The others of the tree have the rest of the grace.
			exited = nil
			if e.restEnds(grace) {
				return reason
			}
			grace = nil
			e.kill(limits)
			return reason
		case <-limit:
			stop(stopTimeout)
		case why := <-e.stops[0]:
			stop(why)
		case why := <-e.stops[1]:
			if reason == stopNone {
				reason = why
			}
			e.kill(limits)
			return reason
		case <-grace:
			e.kill(limits)
			return reason
		case <-usage.C:
			e.sample()
		}
	}
}

// restEnds waits for the rest of a tree that was asked to end; false when the
// grace is over or the rest shall be killed.
func (e *execution) restEnds(grace <-chan time.Time) bool {
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	for e.tree.Left() > 0 {
		select {
		case <-poll.C:
		case <-grace:
			return false
		case <-e.stops[1]:
			return false
		}
	}
	return true
}

// kill ends the whole tree, and waits for its main process.
func (e *execution) kill(limits *agentproto.Limits) {
	ctx, cancel := context.WithTimeout(context.Background(), limitOr(limits.GetCleanupMs(), defaultCleanup))
	defer cancel()
	e.tree.Kill(ctx)
	select {
	case <-e.tree.Exited():
	case <-ctx.Done():
	}
}

// cleanUp ends what the main process has left behind and takes the rest of the
// output. It returns how many processes could not be ended.
func (e *execution) cleanUp(reason stopReason) (left int) {
	ctx, cancel := context.WithTimeout(context.Background(), limitOr(e.manifest.GetLimits().GetCleanupMs(), defaultCleanup))
	defer cancel()
	// Mostly the pipes end with the main process. A look at all processes of
	// the machine is only worth its time when they do not.
	if reason == stopNone && !waitFor(e.capture.Done(), pipeMoment) && e.tree.Left() > 0 {
		waitFor(e.capture.Done(), leftoverWait)
	}
	left = e.tree.Kill(ctx)
	e.capture.Drain()
	waitFor(e.capture.Done(), pipeWait)
	e.capture.Close()
	<-e.capture.Done()
	e.server.Close()
	e.tree.Close()
	return left
}

// waitFor waits for a channel to be closed, for at most limit, and tells
// whether it was.
func waitFor(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// outcome says how the script ended.
func (e *execution) outcome(reason stopReason, left int) *agentproto.Finish {
	total := e.tree.Total()
	f := &agentproto.Finish{
		OutputBytes:     e.log.End(),
		OutputDropped:   e.capture.Dropped(),
		CpuUs:           total.CPU.Microseconds(),
		PeakMemoryBytes: total.Peak,
	}
	status := e.tree.Status()
	if status.Signaled() {
		f.Outcome, f.Signal = agentproto.Outcome_OUTCOME_SIGNALED, int32(status.Signal())
	} else {
		f.Outcome, f.ExitCode = agentproto.Outcome_OUTCOME_EXITED, int32(status.ExitStatus())
	}
	var notes []string
	switch reason {
	case stopNone:
		notes = e.judgeMemory(f)
	case stopTimeout:
		f.Outcome, f.TimeoutPhase = agentproto.Outcome_OUTCOME_TIMEOUT, agentproto.Phase_PHASE_RUNNING
		notes = append(notes, fmt.Sprintf("It was stopped at its time limit of %s.", limitOr(e.manifest.GetLimits().GetRunMs(), 0)))
	case stopShutdown:
		f.Outcome = agentproto.Outcome_OUTCOME_CANCELLED
		notes = append(notes, "It was stopped because its agent was told to end.")
	default:
		f.Outcome = agentproto.Outcome_OUTCOME_CANCELLED
	}
	if left > 0 {
		if reason == stopNone {
			f.Outcome, f.TimeoutPhase = agentproto.Outcome_OUTCOME_TIMEOUT, agentproto.Phase_PHASE_CLEANUP
		}
		notes = append(notes, fmt.Sprintf("%d of its processes could not be ended: they belong to another user or hang in the kernel.", left))
	}
	var err error
	if f.Output, f.Condition, err = e.box.Values(); err != nil {
		notes = append(notes, fmt.Sprintf("A value it gave is missing: %v.", err))
	}
	if err := e.log.Trouble(); err != nil {
		notes = append(notes, fmt.Sprintf("The target's disk took no more output for a while: %v.", err))
	}
	f.Message = strings.Join(notes, " ")
	return f
}

// judgeMemory tells an end by the kernel's out-of-memory killer from others.
// When a child was killed and the script passed that on as shells do, with exit
// code 137, it counts as well.
func (e *execution) judgeMemory(f *agentproto.Finish) []string {
	killed := e.tree.OutOfMemory()
	if killed == 0 {
		return nil
	}
	if f.GetSignal() == int32(unix.SIGKILL) || f.GetExitCode() == 128+int32(unix.SIGKILL) {
		f.Outcome = agentproto.Outcome_OUTCOME_OUT_OF_MEMORY
		return []string{"The kernel ended it because it used more memory than its limit."}
	}
	return []string{fmt.Sprintf("The kernel ended %d of its processes because they used more memory than the limit.", killed)}
}

// sample tells the server what the script uses now.
func (e *execution) sample() {
	now := e.tree.Sample()
	usage := &agentproto.Usage{
		CpuUs:         now.CPU.Microseconds(),
		MemoryBytes:   now.Memory,
		OutputDropped: e.capture.Dropped(),
	}
	// The capture calls wake under its own lock, so nothing of it is called
	// under this one.
	e.mu.Lock()
	e.usage = usage
	e.mu.Unlock()
	e.wake()
}
