package handlers

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"cronium.dev/cronium"
)

// apiWindow is the time that a caller's requests are counted in.
const apiWindow = time.Minute

// rateLimits bounds how often one token, or one person's browsers, may call the
// API of this process: a bucket that holds a window's requests and fills evenly.
// The answers say what is left, by the IETF's draft "RateLimit header fields for
// HTTP".
type rateLimits struct {
	most int // in a window; 0 = no limit

	mu      sync.Mutex
	callers map[cronium.ID]*bucket
	swept   time.Time
}

// bucket is what a caller has left.
type bucket struct {
	left float64
	at   time.Time
}

func newRateLimits(most int) *rateLimits {
	return &rateLimits{most: most, callers: map[cronium.ID]*bucket{}, swept: time.Now()}
}

// count takes one request of a caller and writes the headers. It fails with
// CodeLimited.
func (l *rateLimits) count(w http.ResponseWriter, p *cronium.Principal) error {
	if l.most == 0 || p == nil {
		return nil
	}
	caller := p.UserID
	if p.TokenID != nil {
		caller = *p.TokenID
	}
	left, full, wait := l.take(caller, time.Now())
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"api";q=%d;w=%d`, l.most, int(apiWindow.Seconds())))
	w.Header().Set("RateLimit", fmt.Sprintf(`"api";r=%d;t=%d`, left, seconds(full)))
	if wait > 0 {
		return &cronium.Error{Code: cronium.CodeLimited, Wait: wait,
			Message: fmt.Sprintf("More than %d requests in a minute. Ask again in %d s; the header RateLimit says what is left.", l.most, seconds(wait))}
	}
	return nil
}

// take gives what is left after one request, when all of it is there again, and
// how long a caller without any has to wait.
func (l *rateLimits) take(caller cronium.ID, now time.Time) (left int, full, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	b := l.callers[caller]
	if b == nil {
		b = &bucket{left: float64(l.most), at: now}
		l.callers[caller] = b
	}
	share := apiWindow / time.Duration(l.most)
	b.left = min(float64(l.most), b.left+float64(now.Sub(b.at))/float64(share))
	b.at = now
	if b.left < 1 {
		return 0, time.Duration((float64(l.most) - b.left) * float64(share)), time.Duration((1 - b.left) * float64(share))
	}
	b.left--
	return int(b.left), time.Duration((float64(l.most) - b.left) * float64(share)), 0
}

// sweep forgets callers whose bucket is full again.
func (l *rateLimits) sweep(now time.Time) {
	if now.Sub(l.swept) < apiWindow {
		return
	}
	l.swept = now
	for caller, b := range l.callers {
		if now.Sub(b.at) > apiWindow {
			delete(l.callers, caller)
		}
	}
}

// seconds rounds up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
