package live

import (
	"context"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Hub wakes subscribers of topics, in this process and, through the database,
// in every other one. Its methods may be called concurrently.
type Hub struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	id   string // tells our own notifications from those of others

	mu          sync.RWMutex
	subscribers map[Topic]map[*Subscription]struct{}

	outbox outbox

	lifetime sync.Mutex
	stop     context.CancelFunc // nil: not started
	running  sync.WaitGroup
}

// Start begins to send and receive notifications, until Stop is called or ctx
// ends. It does not wait for the database: subscribers of this process are
// woken from the first moment, those elsewhere as soon as it answers. Starting
// twice does nothing.
func (h *Hub) Start(ctx context.Context) {
	h.lifetime.Lock()
	defer h.lifetime.Unlock()
	if h.stop != nil {
		return
	}
	ctx, h.stop = context.WithCancel(ctx)
	h.running.Go(func() { h.send(ctx) })
	h.running.Go(func() { h.listen(ctx) })
}

// Stop sends what is still gathered, closes the connection and returns when
// all goroutines have ended. Subscriptions stay valid and are woken by Publish
// within this process.
func (h *Hub) Stop() {
	h.lifetime.Lock()
	defer h.lifetime.Unlock()
	if h.stop == nil {
		return
	}
	h.stop()
	h.running.Wait()
	h.stop = nil
}

// Publish says that what the topics name has changed. It never waits: the
// subscribers of this process are woken now, other processes some milliseconds
// later. Call it after the commit.
func (h *Hub) Publish(topics ...Topic) {
	h.wake(topics)
	h.outbox.add(topics)
}

// wake marks the topics for their subscribers in this process.
func (h *Hub) wake(topics []Topic) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, topic := range topics {
		for s := range h.subscribers[topic] {
			s.mark(topic)
		}
	}
}

// wakeAll tells everyone to read everything again, after notifications may
// have been missed.
func (h *Hub) wakeAll() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for topic, subscribers := range h.subscribers {
		for s := range subscribers {
			s.mark(topic)
		}
	}
}

// Subscribe returns a subscription to the topics. The caller closes it.
//
// Subscribe first and read the database afterwards, so that nothing falls in
// between.
func (h *Hub) Subscribe(topics ...Topic) *Subscription {
	s := &Subscription{hub: h, topics: topics, signal: make(chan struct{}, 1), marked: map[Topic]struct{}{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		if h.subscribers[topic] == nil {
			h.subscribers[topic] = map[*Subscription]struct{}{}
		}
		h.subscribers[topic][s] = struct{}{}
	}
	return s
}

// Subscription is woken when one of its topics is published. However often
// that happens before it is looked at, each topic is held once, so that a
// subscriber that is slow costs no memory and delays nobody.
type Subscription struct {
	hub    *Hub
	topics []Topic
	signal chan struct{}

	mu     sync.Mutex
	marked map[Topic]struct{}
}

// C delivers a value when Take has something to give. It is never closed.
func (s *Subscription) C() <-chan struct{} { return s.signal }

// Take returns the topics published since the last Take, in no order.
func (s *Subscription) Take() []Topic {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics := make([]Topic, 0, len(s.marked))
	for topic := range s.marked {
		topics = append(topics, topic)
	}
	clear(s.marked)
	return topics
}

// Close ends the subscription. Closing twice does nothing.
func (s *Subscription) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, topic := range s.topics {
		delete(s.hub.subscribers[topic], s)
		if len(s.hub.subscribers[topic]) == 0 {
			delete(s.hub.subscribers, topic)
		}
	}
}

func (s *Subscription) mark(topic Topic) {
	s.mu.Lock()
	s.marked[topic] = struct{}{}
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default: // it has been woken and has not looked yet
	}
}
