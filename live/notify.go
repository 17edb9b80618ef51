package live

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"cronium.dev/cronium"
)

const (
	channel = "cronium"

	// gather is how long topics are collected before one NOTIFY.
	gather = 20 * time.Millisecond
	// payloadLimit is below PostgreSQL's 8,000 bytes for one notification.
	payloadLimit = 7900
	// outboxLimit bounds what waits while the database is away; beyond it
	// everyone is told to read everything.
	outboxLimit = 4096
	// everything stands in a notification for all topics.
	everything = Topic("*")

	// quiet is how long the connection may be silent before it is asked
	// whether it still lives; answerLimit is how long that may take.
	quiet       = 15 * time.Second
	answerLimit = 5 * time.Second

	shortestWait = 50 * time.Millisecond
	longestWait  = 5 * time.Second
)

// New makes a Hub. Notifications are sent over pool; the connection that
// listens is one of the Hub's own, made with the pool's settings.
func New(pool *pgxpool.Pool, log *slog.Logger) *Hub {
	return &Hub{
		pool: pool, log: log, id: cronium.NewID().String(),
		subscribers: map[Topic]map[*Subscription]struct{}{},
		outbox:      outbox{topics: map[Topic]struct{}{}, filled: make(chan struct{}, 1)},
	}
}

// outbox gathers topics for the next notification, each once.
type outbox struct {
	filled chan struct{}

	mu     sync.Mutex
	topics map[Topic]struct{}
}

func (o *outbox) add(topics []Topic) {
	o.mu.Lock()
	for _, topic := range topics {
		o.topics[topic] = struct{}{}
	}
	if len(o.topics) > outboxLimit {
		clear(o.topics)
		o.topics[everything] = struct{}{}
	}
	o.mu.Unlock()
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

func (o *outbox) take() []Topic {
	o.mu.Lock()
	defer o.mu.Unlock()
	topics := make([]Topic, 0, len(o.topics))
	for topic := range o.topics {
		topics = append(topics, topic)
	}
	clear(o.topics)
	return topics
}

// send is the one goroutine that notifies.
func (h *Hub) send(ctx context.Context) {
	wait := shortestWait
	for {
		select {
		case <-ctx.Done():
		case <-h.outbox.filled:
			pause(ctx, gather)
		}
		// The last topics are sent although the hub is being stopped.
		topics := h.outbox.take()
		err := h.notify(context.WithoutCancel(ctx), topics)
		if err != nil {
			h.log.Warn("notify other server processes", "error", err)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait = shortestWait
			continue
		}
		h.outbox.add(topics)
		pause(ctx, wait)
		wait = min(2*wait, longestWait)
	}
}

// notify sends the topics in one statement, a transaction of its own.
func (h *Hub) notify(ctx context.Context, topics []Topic) error {
	if len(topics) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	_, err := h.pool.Exec(ctx, `SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload`, channel, payloads(h.id, topics))
	return err
}

// payloads packs topics into as few notifications as their length allows: the
// sender, then topics, with spaces between.
func payloads(sender string, topics []Topic) []string {
	var all []string
	var b strings.Builder
	for _, topic := range topics {
		if b.Len() > 0 && b.Len()+1+len(topic) > payloadLimit {
			all = append(all, b.String())
			b.Reset()
		}
		if b.Len() == 0 {
			b.WriteString(sender)
		}
		b.WriteByte(' ')
		b.WriteString(string(topic))
	}
	return append(all, b.String())
}

// listen keeps one LISTEN connection open. Whenever it is new, notifications
// may have been missed, so everyone is woken.
func (h *Hub) listen(ctx context.Context) {
	wait := shortestWait
	for ctx.Err() == nil {
		began := time.Now()
		err := h.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		h.log.Warn("listen for other server processes: connection lost, trying again", "error", err)
		if time.Since(began) > longestWait {
			wait = shortestWait
		}
		pause(ctx, wait)
		wait = min(2*wait, longestWait)
	}
}

func (h *Hub) listenOnce(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, h.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
		defer cancel()
		conn.Close(closing)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	h.wakeAll()
	for {
		payload, err := next(ctx, conn)
		if err != nil {
			return err
		}
		h.receive(payload)
	}
}

// next waits for a notification. A connection that is silent for long is
// asked, because a cut that nobody announced looks like silence.
func next(ctx context.Context, conn *pgx.Conn) (string, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, quiet)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		if err == nil {
			return n.Payload, nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return "", err
		}
		asking, cancel := context.WithTimeout(ctx, answerLimit)
		err = conn.Ping(asking)
		cancel()
		if err != nil {
			return "", err
		}
	}
}

func (h *Hub) receive(payload string) {
	words := strings.Fields(payload)
	if len(words) == 0 || words[0] == h.id {
		return // our own subscribers were woken when it was published
	}
	topics := make([]Topic, 0, len(words)-1)
	for _, word := range words[1:] {
		if Topic(word) == everything {
			h.wakeAll()
			return
		}
		topics = append(topics, Topic(word))
	}
	h.wake(topics)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
