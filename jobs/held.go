package jobs

import (
	"context"
	"slices"

	"cronium.dev/cronium"
)

// Holder is a backend whose servers dial in: only the process that is connected
// to one can run anything there.
type Holder interface {
	// Holds tells whether this process is connected to the server now.
	Holds(server cronium.ID) bool
	// Held are the servers that this process is connected to now.
	Held() []cronium.ID
}

// held are the servers whose executions this process can drive.
func (e *Engine) held() []cronium.ID {
	var held []cronium.ID
	for _, backend := range e.Backends {
		if holder, ok := backend.(Holder); ok {
			held = append(held, holder.Held()...)
		}
	}
	return held
}

// giveUpMoved leaves executions to the processes to which their agents are
// connected now.
func (e *Engine) giveUpMoved(ctx context.Context) error {
	moved := e.unheld()
	if len(moved) == 0 {
		return nil
	}
	servers := make([]cronium.ID, 0, len(moved))
	for _, r := range moved {
		servers = append(servers, *r.execution.ServerID)
	}
	elsewhere, err := e.Store.HoldersElsewhere(ctx, e.id, servers)
	if err != nil || len(elsewhere) == 0 {
		return err
	}
	moved = slices.DeleteFunc(moved, func(r *run) bool {
		_, ok := elsewhere[*r.execution.ServerID]
		return !ok
	})
	executions := make([]cronium.ID, len(moved))
	for i, r := range moved {
		executions[i] = r.execution.ID
	}
	if err := e.Store.GiveUp(ctx, e.id, executions); err != nil {
		return err
	}
	for _, r := range moved {
		r.log().Info("the agent is connected to another process, which goes on with the execution")
		r.giveUp()
	}
	return nil
}

// unheld are the runs of this process on servers that it is not connected to.
func (e *Engine) unheld() []*run {
	e.mu.Lock()
	defer e.mu.Unlock()
	var runs []*run
	for _, r := range e.runs {
		if holder, ok := e.Backends[r.execution.Target].(Holder); ok && r.driven.Load() && !holder.Holds(*r.execution.ServerID) {
			runs = append(runs, r)
		}
	}
	return runs
}
