package container

import (
	"context"
	"sync"
	"time"
)

// watchWait is the pause before the engine's events are followed again.
const watchWait = time.Second

// Run keeps the pool and follows the engine's events until the context ends,
// then removes the idle containers. Containers that were given out stay.
func (b *Backend) Run(ctx context.Context) {
	var helpers sync.WaitGroup
	helpers.Go(func() { b.watch(ctx) })
	helpers.Go(func() { b.networks.keep(ctx) })
	if b.config.PoolSize > 0 {
		helpers.Go(func() { b.pool.run(ctx) })
	}
	helpers.Wait()
	b.engine.close()
}

// watch takes containers that died out of the pool, and those whose image was
// replaced. After a break in the events everything is looked at anew.
func (b *Backend) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := b.engine.events(ctx, func() { b.recheck(ctx) }, func(e event) {
			switch {
			case e.image:
				b.dropOldImages(ctx)
			default:
				b.pool.drop(ctx, func(p *place) bool { return p.id == e.id })
			}
		})
		if ctx.Err() != nil {
			return
		}
		b.config.Log.WarnContext(ctx, "the container engine's events ended", "error", err)
		b.agent.doubt()
		b.networks.doubt()
		timer := time.NewTimer(watchWait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// recheck drops idle containers that did not live through a break.
func (b *Backend) recheck(ctx context.Context) {
	b.pool.drop(ctx, func(p *place) bool { return !p.alive() })
	b.dropOldImages(ctx)
}

// dropOldImages forgets what images were and drops idle containers whose image's name stands for another
// image now.
func (b *Backend) dropOldImages(ctx context.Context) {
	b.images.drop()
	for _, name := range b.pool.images() {
		if now, err := b.images.get(ctx, name); err == nil {
			b.pool.drop(ctx, func(p *place) bool { return p.shape.image == name && p.image != now.id })
		}
	}
}
