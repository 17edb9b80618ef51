package helper

import (
	"context"
	"sync"
)

// room is how many bytes may be held at once by whoever shares it.
type room struct {
	mu    sync.Mutex
	free  int
	given chan struct{} // closed and made anew when some are given back
}

func newRoom(bytes int) *room { return &room{free: bytes, given: make(chan struct{})} }

// take waits until there are so many bytes, which must not be more than there are
// in all. False: the context ended.
func (r *room) take(ctx context.Context, bytes int) bool {
	for {
		r.mu.Lock()
		enough, given := bytes <= r.free, r.given
		if enough {
			r.free -= bytes
		}
		r.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-given:
		case <-ctx.Done():
			return false
		}
	}
}

// give gives bytes back.
func (r *room) give(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += bytes
	close(r.given)
	r.given = make(chan struct{})
}
