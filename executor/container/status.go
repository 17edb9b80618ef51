package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cronium.dev/cronium"
)

// statusTimeout bounds what a page waits for the engine.
const statusTimeout = 3 * time.Second

// Status is what the Settings page shows of the engine.
type Status struct {
	Error      string // why the engine does not answer, for a person; "" when it does
	Engine     string // version
	API        string // version that both sides speak
	Image      string // the runtime image
	ImageReady bool
	Warnings   []string // sentences for the administrator
	Pool       []Idle   // the most first
	PoolSize   int      // idle containers allowed in all
	Created    uint64   // containers made by this process
	Destroyed  uint64   // and removed
}

// Idle is one kind of container in the pool.
type Idle struct {
	Image     string
	Network   cronium.Network
	MemoryMiB int
	CPUs      float64
	Count     int // ready now
	Target    int // as many as the recent use is worth
}

// Status asks the engine, for at most three seconds.
func (b *Backend) Status(ctx context.Context) Status {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	s := Status{
		Image:     b.config.Image,
		Pool:      b.pool.status(time.Now()),
		PoolSize:  b.config.PoolSize,
		Created:   b.created.Load(),
		Destroyed: b.destroyed.Load(),
	}
	v, err := b.engine.versions(ctx)
	if err != nil {
		var told *cronium.Error
		errors.As(public(err, shape{}), &told)
		s.Error = told.Message
		return s
	}
	s.Engine, s.API = v.engine, v.api
	if _, err := b.engine.image(ctx, b.config.Image); err == nil {
		s.ImageReady = true
	} else if errors.Is(err, errNoImage) {
		s.Warnings = append(s.Warnings, "The runtime image "+b.config.Image+" is not there. make image makes it; until then runs pull it, which may fail.")
	}
	if oldRunc(v.runc) {
		s.Warnings = append(s.Warnings, "This engine's runc is "+v.runc+". Releases before 1.1.12 let an image break out of its container (CVE-2024-21626) "+
			"unless the distribution has mended them: check for updates.")
	}
	return s
}

// oldRunc tells whether a version like 1.1.5+ds1 is before 1.1.12.
func oldRunc(version string) bool {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d.%d", &major, &minor, &patch); n < 3 {
		return false
	}
	return slices.Compare([]int{major, minor, patch}, []int{1, 1, 12}) < 0
}
