package jobs

import (
	"sync"
	"time"

	"cronium.dev/cronium"
)

// crowded remembers in which workspaces a limit has just kept a job from
// running. Their next claims ask before they take a warm place, which could not
// be given back.
type crowded struct {
	mu    sync.Mutex
	since map[cronium.ID]time.Time
}

const crowdedFor = 30 * time.Second

func (c *crowded) add(workspace cronium.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since == nil {
		c.since = map[cronium.ID]time.Time{}
	}
	c.since[workspace] = time.Now()
}

func (c *crowded) has(workspace cronium.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, ok := c.since[workspace]
	if ok && time.Since(since) > crowdedFor {
		delete(c.since, workspace)
		return false
	}
	return ok
}
