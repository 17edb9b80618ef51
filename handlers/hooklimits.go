package handlers

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"cronium.dev/cronium"
)

// Bounds of requests to webhooks in one server process.
const (
	hookBodies  = 128 // bodies that are read at once
	hookWaiting = 500 // requests that wait for their job's output
	// hookGuesses is how many requests of one address that were not verified are
	// answered in a minute, of one webhook.
	hookGuesses = 30
	// hookNotes is how many requests that were not verified are recorded in a
	// minute, of one webhook.
	hookNotes = 20
	// hookBuckets bounds the memory that strangers can make us use.
	hookBuckets = 20_000
)

// hookLimits bounds what comes to the webhooks of this process.
type hookLimits struct {
	bodies  chan struct{}
	waiting chan struct{}

	mu      sync.Mutex
	buckets map[hookBucket]*bucket
	swept   time.Time
}

// hookBucket names what is counted: verified requests of a webhook, guesses of an
// address, or notes of refusals.
type hookBucket struct {
	webhook cronium.ID
	kind    string
	address netip.Addr
}

func newHookLimits() *hookLimits {
	return &hookLimits{bodies: make(chan struct{}, hookBodies), waiting: make(chan struct{}, hookWaiting), buckets: map[hookBucket]*bucket{}, swept: time.Now()}
}

func (l *hookLimits) enter() bool {
	select {
	case l.bodies <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *hookLimits) leave() { <-l.bodies }

// wait tells whether one more request may wait for its job.
func (l *hookLimits) wait() bool {
	select {
	case l.waiting <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *hookLimits) waited() { <-l.waiting }

// guess tells how long an address has to wait because too many of its requests
// were not verified; wrong adds one.
func (l *hookLimits) guess(webhook cronium.ID, address netip.Addr, wrong bool) time.Duration {
	if address.Is6() { // who has one address of IPv6 has 2^64
		if network, err := address.Prefix(64); err == nil {
			address = network.Addr()
		}
	}
	_, _, wait := l.take(hookBucket{webhook, "guess", address}, hookGuesses, wrong, time.Now())
	return wait
}

// note tells whether one more request that was not verified may be recorded.
func (l *hookLimits) note(webhook cronium.ID) bool {
	_, _, wait := l.take(hookBucket{webhook: webhook, kind: "note"}, hookNotes, true, time.Now())
	return wait == 0
}

// count takes one verified request of a webhook and writes the headers. It fails
// with CodeLimited.
func (l *hookLimits) count(w http.ResponseWriter, webhook *cronium.Webhook) error {
	most := webhook.RatePerMinute
	left, full, wait := l.take(hookBucket{webhook: webhook.ID, kind: "take"}, most, true, time.Now())
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"webhook";q=%d;w=60`, most))
	w.Header().Set("RateLimit", fmt.Sprintf(`"webhook";r=%d;t=%d`, left, seconds(full)))
	if wait > 0 {
		return &cronium.Error{Code: cronium.CodeLimited, Wait: wait,
			Message: fmt.Sprintf("More than %d requests in a minute came to this webhook. Send it again in %d s.", most, seconds(wait))}
	}
	return nil
}

// take gives what is left of a bucket that fills evenly with most in a minute,
// when it is full again, and how long who finds it empty has to wait.
func (l *hookLimits) take(name hookBucket, most int, draw bool, now time.Time) (left int, full, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.buckets[name]
	if b == nil {
		if !draw {
			return most, 0, 0
		}
		b = &bucket{left: float64(most), at: now}
		l.buckets[name] = b
	}
	share := float64(time.Minute) / float64(most)
	b.left = min(float64(most), b.left+float64(now.Sub(b.at))/share)
	b.at = now
	if b.left < 1 {
		return 0, time.Duration((float64(most) - b.left) * share), time.Duration((1 - b.left) * share)
	}
	if draw {
		b.left--
	}
	return int(b.left), time.Duration((float64(most) - b.left) * share), 0
}

// sweep forgets buckets that are full again, and all of them where there are too
// many.
func (l *hookLimits) sweep(now time.Time) {
	if len(l.buckets) > hookBuckets {
		clear(l.buckets)
	}
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for name, b := range l.buckets {
		if now.Sub(b.at) > time.Minute {
			delete(l.buckets, name)
		}
	}
}
