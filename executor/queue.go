package executor

import (
	"context"
	"errors"
	"sync"
	"time"

	protobuf "google.golang.org/protobuf/proto"

	"cronium.dev/agent/proto"
)

// queueBytes bounds what one Drive has received and not yet given to its sink.
// Beyond it the agent is slowed, and through it the script.
const queueBytes = 4 << 20

// recordCost is what a received message takes beside its bytes on the wire.
const recordCost = 128

// queue holds messages between the goroutine that receives them and the one
// that works on them: ordered, and bounded by bytes.
type queue struct {
	mu       sync.Mutex
	messages []*proto.AttachResponse
	bytes    int
	err      error         // why no more will come
	filled   chan struct{} // capacity 1: there is something to take
	emptied  chan struct{} // capacity 1: there is room again
}

func newQueue() *queue {
	return &queue{filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// put adds a message, waiting for room. It fails only with the context.
func (q *queue) put(ctx context.Context, m *proto.AttachResponse) error {
	for {
		q.mu.Lock()
		room := q.bytes < queueBytes
		if room {
			q.messages = append(q.messages, m)
			q.bytes += recordCost + protobuf.Size(m)
		}
		q.mu.Unlock()
		if room {
			signal(q.filled)
			return nil
		}
		select {
		case <-q.emptied:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// end says why nothing more will be put.
func (q *queue) end(err error) {
	q.mu.Lock()
	q.err = err
	q.mu.Unlock()
	signal(q.filled)
}

// errLate says that nothing came in time.
var errLate = errors.New("nothing came in time")

// take waits for messages and takes all there are. The reason given to end
// comes after the last message. It fails with errLate when late fires first; nil
// never does.
func (q *queue) take(ctx context.Context, late <-chan time.Time) ([]*proto.AttachResponse, error) {
	for {
		q.mu.Lock()
		messages, err := q.messages, q.err
		q.messages, q.bytes = nil, 0
		q.mu.Unlock()
		if len(messages) > 0 {
			if err != nil {
				signal(q.filled) // the next take finds the reason
			}
			signal(q.emptied)
			return messages, nil
		}
		if err != nil {
			return nil, err
		}
		select {
		case <-q.filled:
		case <-late:
			return nil, errLate
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
