package container

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cronium.dev/executor"
)

// images remembers what images are. Events of the engine make it forget.
type images struct {
	engine *engine

	mu    sync.Mutex
	known map[string]imageInfo // by name
}

func newImages(e *engine) *images { return &images{engine: e, known: map[string]imageInfo{}} }

// get gives the image of a name; errNoImage when the engine does not have it.
func (i *images) get(ctx context.Context, name string) (imageInfo, error) {
	i.mu.Lock()
	info, ok := i.known[name]
	i.mu.Unlock()
	if ok {
		return info, nil
	}
	info, err := i.engine.image(ctx, name)
	if err == nil {
		i.mu.Lock()
		i.known[name] = info
		i.mu.Unlock()
	}
	return info, err
}

// drop forgets everything.
func (i *images) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.known)
}

// pullEvery is how often the progress of a pull is told.
const pullEvery = 2 * time.Second

// pull fetches an image and tells how far it is, for people.
func (b *Backend) pull(ctx context.Context, image string, progress func(string)) error {
	progress("Pulling image " + image + ", which this engine does not have yet.")
	type layer struct{ done, total int64 }
	layers, told := map[string]layer{}, time.Now()
	err := b.engine.pull(ctx, image, func(id, status string, done, total int64) {
		if status == "Downloading" && total > 0 {
			layers[id] = layer{done, total}
		}
		if time.Since(told) < pullEvery || len(layers) == 0 {
			return
		}
		told = time.Now()
		var sum layer
		for _, l := range layers {
			sum.done += l.done
			sum.total += l.total
		}
		progress(fmt.Sprintf("Pulling image %s: %d of %d MB.", image, sum.done/1e6, sum.total/1e6))
	})
	if errors.Is(err, executor.ErrUnavailable) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoImage, err)
	}
	progress("Pulled image " + image + ".")
	return nil
}
