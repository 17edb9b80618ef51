package container

import (
	"cmp"
	"context"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
)

// How the pool makes room for runs that wait: refilling takes the same
// processors.
const (
	quiet     = 100 * time.Millisecond // after a take, before refilling
	patience  = 2 * time.Second        // a refill waits for Create calls no longer than this
	poolTick  = 5 * time.Second        // how often demand is looked at when nothing happens
	firstRest = 2 * time.Second        // after a refill failed, doubled each time
	longRest  = time.Minute
)

// pool holds idle containers, by shape. One goroutine decides what to make and
// what to remove; everything else changes the maps under the lock and wakes it.
type pool struct {
	backend *Backend
	size    int // idle containers in all
	wake    chan struct{}

	mu       sync.Mutex
	idle     map[shape][]*place
	making   map[shape]int
	demands  map[shape]*demand
	rests    map[shape]rest
	dead     []*place // to be removed
	pinned   shape    // one is kept whatever the demand
	creates  int      // Create calls under way
	drops    int      // dropAll calls: what was begun before one is not taken in
	lastTake time.Time
	lacking  time.Time // since when containers are missing; zero: none
}

// rest is the pause after a shape could not be made.
type rest struct {
	length time.Duration
	until  time.Time
}

func newPool(b *Backend) *pool {
	return &pool{
		backend: b,
		size:    b.config.PoolSize,
		wake:    make(chan struct{}, 1),
		idle:    map[shape][]*place{},
		making:  map[shape]int{},
		demands: map[shape]*demand{},
		rests:   map[shape]rest{},
		pinned:  b.shapeOf(b.config.Prewarm),
	}
}

func (p *pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take gives an idle container of the shape, nil if there is none, and counts
// the demand either way.
func (p *pool) take(s shape) *place {
	defer p.nudge()
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.demands[s]
	if d == nil {
		d = &demand{}
		p.demands[s] = d
	}
	p.lastTake = time.Now()
	d.note(p.lastTake)
	for n := len(p.idle[s]); n > 0; n = len(p.idle[s]) {
		found := p.idle[s][n-1]
		p.idle[s] = p.idle[s][:n-1]
		if found.alive() {
			return found
		}
		p.dead = append(p.dead, found)
	}
	return nil
}

// creating says that a run waits for a container being made, until the
// returned function is called.
func (p *pool) creating() (done func()) {
	p.mu.Lock()
	p.creates++
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.creates--
		p.mu.Unlock()
		p.nudge()
	}
}

// run keeps the pool as it should be until the context ends, then empties it.
func (p *pool) run(ctx context.Context) {
	var helpers sync.WaitGroup
	defer helpers.Wait()
	for ctx.Err() == nil {
		next, wait := p.decide(time.Now())
		if next != nil {
			helpers.Go(func() { p.refill(ctx, *next) })
			continue
		}
		for _, extra := range p.surplus(time.Now()) {
			helpers.Go(func() { p.remove(extra) })
		}
		timer := time.NewTimer(wait)
		select {
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	helpers.Wait()
	for _, left := range p.empty() {
		helpers.Go(func() { p.remove(left) })
	}
}

// decide names the shape to make one of now, or how long to wait.
func (p *pool) decide(now time.Time) (next *shape, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	best, missing := shape{}, 0
	for s, target := range p.targets(now) {
		lack := target - len(p.idle[s]) - p.making[s]
		if lack > missing && !now.Before(p.rests[s].until) {
			best, missing = s, lack
		}
	}
	if missing == 0 {
		p.lacking = time.Time{}
		return nil, poolTick
	}
	if p.lacking.IsZero() {
		p.lacking = now
	}
	impatient := now.Sub(p.lacking) >= patience
	if calm := p.lastTake.Add(quiet).Sub(now); calm > 0 && !impatient {
		return nil, calm
	}
	making := 0
	for _, n := range p.making {
		making += n
	}
	allowed := max(1, runtime.NumCPU()/2)
	if p.creates > 0 {
		if !impatient {
			return nil, p.lacking.Add(patience).Sub(now)
		}
		allowed = 1
	}
	if making >= allowed {
		return nil, poolTick
	}
	p.making[best]++
	return &best, 0
}

// targets divides the pool among the shapes: the most recently used first, each
// one before any gets more.
func (p *pool) targets(now time.Time) map[shape]int {
	wanted := map[shape]int{}
	for s, d := range p.demands {
		if n := d.wanted(now); n > 0 {
			wanted[s] = n
		} else if len(p.idle[s]) == 0 && p.making[s] == 0 {
			delete(p.demands, s)
			delete(p.rests, s)
		}
	}
	if p.size > 0 {
		wanted[p.pinned] = max(1, wanted[p.pinned])
	}
	order := slices.SortedFunc(maps.Keys(wanted), func(a, b shape) int {
		return cmp.Compare(p.lastUse(b).UnixNano(), p.lastUse(a).UnixNano())
	})
	targets, left := map[shape]int{}, p.size
	for _, s := range order {
		if left > 0 {
			targets[s], left = 1, left-1
		}
	}
	for _, s := range order {
		if more := min(left, wanted[s]-1); targets[s] > 0 && more > 0 {
			targets[s] += more
			left -= more
		}
	}
	return targets
}

func (p *pool) lastUse(s shape) time.Time {
	if d := p.demands[s]; d != nil {
		return d.last
	}
	return time.Unix(0, 0)
}

// refill makes one idle container.
func (p *pool) refill(ctx context.Context, s shape) {
	p.mu.Lock()
	drops := p.drops
	p.mu.Unlock()
	made, err := p.make(ctx, s)
	p.mu.Lock()
	p.making[s]--
	if p.making[s] == 0 {
		delete(p.making, s)
	}
	switch {
	case err == nil:
		delete(p.rests, s)
		if p.drops != drops {
			p.dead = append(p.dead, made)
			break
		}
		p.idle[s] = append(p.idle[s], made)
	case ctx.Err() == nil:
		length := min(max(2*p.rests[s].length, firstRest), longRest)
		p.rests[s] = rest{length: length, until: time.Now().Add(length)}
		p.backend.config.Log.WarnContext(ctx, "no container was made ahead", "image", s.image, "network", s.network, "error", err, "next_try", length)
	}
	p.mu.Unlock()
	p.nudge()
}

func (p *pool) make(ctx context.Context, s shape) (*place, error) {
	made, err := p.backend.make(ctx, s, p.backend.labels("pool", nil))
	if err != nil {
		return nil, err
	}
	made.warm = true
	return made, nil
}

// images names the images of idle containers.
func (p *pool) images() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := map[string]bool{}
	for s := range p.idle {
		names[s.image] = true
	}
	return slices.Collect(maps.Keys(names))
}

// ids names the idle containers.
func (p *pool) ids() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := map[string]bool{}
	for _, all := range p.idle {
		for _, c := range all {
			ids[c.id] = true
		}
	}
	return ids
}

// status lists what is in the pool and what should be.
func (p *pool) status(now time.Time) []Idle {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets := p.targets(now)
	for s := range p.idle {
		targets[s] += 0
	}
	var all []Idle
	for s, target := range targets {
		all = append(all, Idle{
			Image: s.image, Network: s.network, MemoryMiB: s.memoryMiB, CPUs: s.cpus,
			Count: len(p.idle[s]), Target: target,
		})
	}
	slices.SortFunc(all, func(a, b Idle) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Target, a.Target), cmp.Compare(a.Image, b.Image))
	})
	return all
}

// surplus takes out dead containers and those that the demand is not worth any
// more.
func (p *pool) surplus(now time.Time) []*place {
	p.mu.Lock()
	defer p.mu.Unlock()
	targets := p.targets(now)
	extra := append(p.dead, p.extract(func(s shape, i int, _ *place) bool { return i >= targets[s] })...)
	p.dead = nil
	return extra
}

// empty takes out all.
func (p *pool) empty() []*place {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(p.dead, p.extract(func(shape, int, *place) bool { return true })...)
}

// dropAll takes out all, also those that are being made. They are removed soon.
func (p *pool) dropAll() {
	p.mu.Lock()
	p.drops++
	p.dead = append(p.dead, p.extract(func(shape, int, *place) bool { return true })...)
	p.mu.Unlock()
	p.nudge()
}

// drop takes out and removes the idle containers that which names.
func (p *pool) drop(ctx context.Context, which func(*place) bool) {
	p.mu.Lock()
	dropped := p.extract(func(_ shape, _ int, c *place) bool { return which(c) })
	p.mu.Unlock()
	for _, c := range dropped {
		if ctx.Err() == nil {
			p.remove(c)
		}
	}
	p.nudge()
}

// extract takes out those that which names; i counts those kept of the shape.
func (p *pool) extract(which func(s shape, i int, c *place) bool) []*place {
	var out []*place
	for s, all := range p.idle {
		var kept []*place
		for _, c := range all {
			if which(s, len(kept), c) {
				out = append(out, c)
			} else {
				kept = append(kept, c)
			}
		}
		if len(kept) == 0 {
			delete(p.idle, s)
		} else {
			p.idle[s] = kept
		}
	}
	return out
}

// remove ends an idle container.
func (p *pool) remove(c *place) {
	if l := c.TakeLink(); l != nil {
		l.Close()
	}
	p.backend.discard(context.Background(), c.id)
}
