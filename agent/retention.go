package agent

import (
	"context"
	"time"
)

// Retention is how long an execution that has ended is kept for a server that
// never tells to forget it.
const Retention = 7 * 24 * time.Hour

// expire forgets what has ended too long ago.
func (a *Agent) expire(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.executions {
		if ended := e.endedAt(); ended.IsZero() || now.Sub(ended) < Retention {
			continue
		}
		if err := a.forget(e); err != nil {
			a.config.Log.Warn("forget an old execution", "execution", e.id, "error", err)
		}
	}
}

// keepExpiring calls expire now and then until the context ends.
func (a *Agent) keepExpiring(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			a.expire(now)
		}
	}
}

// forget removes an execution that has ended. a.mu is held.
func (a *Agent) forget(e *execution) error {
	e.log.Close()
	if err := a.spool.Forget(e.id); err != nil {
		return err
	}
	delete(a.executions, e.id)
	return nil
}
