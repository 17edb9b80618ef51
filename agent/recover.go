package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"cronium.dev/agent/helper"
	"cronium.dev/agent/process"
	agentproto "cronium.dev/agent/proto"
	"cronium.dev/agent/spool"
)

// Files in an execution's directory of the spool, beside its output.
const (
	finishName  = "finish"  // a serialized Finish
	processName = "process" // the identity of the main process
)

// keepFinish writes the end of an execution to the spool.
func (e *execution) keepFinish(f *agentproto.Finish) error {
	raw, err := proto.Marshal(f)
	if err != nil {
		return fmt.Errorf("keep end of execution: %w", err)
	}
	name := filepath.Join(e.agent.spool.Dir(e.id), finishName)
	if err := os.WriteFile(name+".new", raw, 0o600); err != nil {
		return fmt.Errorf("keep end of execution: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("keep end of execution: %w", err)
	}
	return nil
}

// recover makes an execution of what an earlier agent has left in the spool.
func (a *Agent) recover(id string) *execution {
	e := a.newExecution(id, nil)
	close(e.ready)
	e.calls.Close()
	dir := a.spool.Dir(id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		a.config.Log.Warn("recover execution", "execution", id, "error", err)
	}
	if log, err := spool.OpenLog(dir); err == nil {
		e.log = log
	} else {
		a.config.Log.Warn("recover output", "execution", id, "error", err)
	}
	if f, at, err := readFinish(filepath.Join(dir, finishName)); err == nil {
		e.phase, e.finish, e.ended = agentproto.Phase_PHASE_FINISHED, f, at
		return e
	}
	e.lose()
	return e
}

// readFinish reads what keepFinish wrote, and when.
func readFinish(name string) (*agentproto.Finish, time.Time, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read end of execution: %w", err)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read end of execution: %w", err)
	}
	f := &agentproto.Finish{}
	if err := proto.Unmarshal(raw, f); err != nil {
		return nil, time.Time{}, fmt.Errorf("read end of execution: %w", err)
	}
	return f, info.ModTime(), nil
}

// lose kills what is left of an execution whose agent has died, and says that
// its end is not known.
func (e *execution) lose() {
	identity, _ := os.ReadFile(filepath.Join(e.agent.spool.Dir(e.id), processName))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	left := e.agent.host.Sweep(ctx, string(identity), e.mark())
	f := &agentproto.Finish{
		Outcome:     agentproto.Outcome_OUTCOME_LOST,
		Message:     "The agent itself was ended while the script ran, so nobody saw how the script ended.",
		OutputBytes: e.log.End(),
	}
	if left > 0 {
		f.Message += fmt.Sprintf(" %d of its processes could not be ended.", left)
	}
	if output, condition, err := helper.OpenBox(e.boxDir()).Values(); err == nil {
		f.Output, f.Condition = output, condition
	}
	e.publish(f)
	e.removeWork()
}

// mark is the entry of the environment by which the processes of this execution
// are known.
func (e *execution) mark() string { return "CRONIUM_EXECUTION_ID=" + e.id }

// keepProcess notes which process is the main one.
func (e *execution) keepProcess() {
	name := filepath.Join(e.agent.spool.Dir(e.id), processName)
	if err := os.WriteFile(name, []byte(process.Identity(e.tree.PID())), 0o600); err != nil {
		e.agent.config.Log.Warn("note the process of an execution", "execution", e.id, "error", err)
	}
}
