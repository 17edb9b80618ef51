package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// settled is after what time a container that nobody claims is taken for left
// over: between making one and storing its Ref lie seconds at most.
const settled = time.Minute

// Sweep removes what was left over: containers of server processes that are
// not alive, and older ones of this process that no execution uses. open tells
// of a container's id whether an execution that is not final references it. Containers of other living processes and of other
// installations are left alone. It gives the number removed.
func (b *Backend) Sweep(ctx context.Context, alive func(process string) bool, open func(name string) bool) (int, error) {
	found, err := b.engine.list(ctx, labelInstance, b.config.Instance)
	if err != nil {
		return 0, fmt.Errorf("sweep containers: %w", err)
	}
	b.forgetOthers(found)
	removed, idle := 0, b.pool.ids()
	var failed error
	for _, c := range found {
		process := c.labels[labelProcess]
		ours := process == b.config.Process && !idle[c.id] && !b.unsettled(c)
		if alive(process) && !ours {
			continue
		}
		if open(c.id) {
			continue
		}
		if err := b.engine.remove(ctx, c.id); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		b.forget(c.id)
		removed++
	}
	failed = errors.Join(failed, b.agent.sweep(ctx))
	if failed != nil {
		return removed, fmt.Errorf("sweep containers: %w", failed)
	}
	return removed, nil
}

// unsettled tells whether a container of this process may be on its way to an
// execution.
func (b *Backend) unsettled(c state) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.unkept[c.id] && (time.Since(c.created) < settled || time.Since(b.taken[c.id]) < settled)
}

// forgetOthers forgets containers that are not there any more: other processes
// remove what they took over.
func (b *Backend) forgetOthers(found []state) {
	there := make(map[string]bool, len(found))
	for _, c := range found {
		there[c.id] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.taken, func(id string, at time.Time) bool { return !there[id] && time.Since(at) > settled })
	maps.DeleteFunc(b.unkept, func(id string, _ bool) bool { return !there[id] })
}
