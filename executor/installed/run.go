package installed

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
)

const (
	// holdEvery is how often the database is told who is held.
	holdEvery = 3 * time.Second
	// keysEvery is how often keys are looked at unasked.
	keysEvery = 30 * time.Second
	// settleIn is how long after its start a process waits before it calls
	// agents gone: they may be on their way to it.
	settleIn = 15 * time.Second
)

// Run keeps the database and the connections in agreement until the context
// ends. A value on wake says that keys have changed.
func (b *Backend) Run(ctx context.Context, wake <-chan struct{}) {
	hold, keys := time.NewTicker(holdEvery), time.NewTicker(keysEvery)
	defer hold.Stop()
	defer keys.Stop()
	begun := time.Now()
	var crowd crowd
	r := &rollout{attempts: map[cronium.ID]*attempt{}, results: make(chan result, 2*atOnce)}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-wake:
			err = b.checkKeys(ctx)
			b.renewKeys(ctx)
			b.rollOut(ctx, r, time.Now())
		case <-keys.C:
			err = b.checkKeys(ctx)
			b.renewKeys(ctx)
			b.rollOut(ctx, r, time.Now())
		case <-hold.C:
			err = b.keepHeld(ctx, time.Since(begun) > settleIn)
			b.refreshOthers(ctx)
			crowd.passed(b.admitted.Load())
		}
		if err != nil && ctx.Err() == nil {
			b.config.Log.WarnContext(ctx, "the connections of agents and the database may disagree for a while", "error", err)
		}
	}
}

// keepHeld tells the database whom this process holds, and which servers nobody
// has.
func (b *Backend) keepHeld(ctx context.Context, settled bool) error {
	held := b.Held()
	if held == nil {
		held = []cronium.ID{}
	}
	err := b.config.Registry.AgentsHeld(ctx, b.config.Process, held)
	if !settled {
		return err
	}
	workspaces, failed := b.config.Registry.OfflineAgents(ctx)
	for _, workspace := range workspaces {
		b.config.Changed(workspace)
	}
	return errors.Join(err, failed)
}

// checkKeys cuts off the agents whose keys may not connect any more.
func (b *Backend) checkKeys(ctx context.Context) error {
	b.mu.Lock()
	var all []*held
	var keys [][]byte
	for _, a := range b.agents {
		for _, h := range a.connections() {
			all, keys = append(all, h), append(keys, h.conn.Key)
		}
	}
	b.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	usable, err := b.config.Registry.UsableAgentKeys(ctx, keys)
	if err != nil {
		return err
	}
	may := make(map[string]bool, len(usable))
	for _, key := range usable {
		may[string(key)] = true
	}
	for _, h := range all {
		if may[string(h.conn.Key)] {
			continue
		}
		b.config.Log.InfoContext(ctx, "the key of an agent was revoked; it is cut off", "server", h.agent.ServerID)
		b.task(func() {
			h.conn.End(tunnel.ReasonRefused, "the key of this agent was revoked")
			h.end()
		})
	}
	return nil
}

// crowd notices when many agents have come, as after a restart.
type crowd struct {
	before, last int64 // admitted when memory was given back, and at the last look
}

// aCrowd is how many agents leave enough behind to be worth a collection.
const aCrowd = 100

// passed gives back what the handshakes of a crowd have left, once it is in: a
// server that then idles would keep it for long.
func (c *crowd) passed(admitted int64) {
	if still := admitted == c.last; still && admitted-c.before >= aCrowd {
		c.before = admitted
		debug.FreeOSMemory()
	}
	c.last = admitted
}
