package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

func pageFigures() []figure {
	return []figure{
		{name: "page_bytes", unit: "KB", goal: 120, measure: func(ctx context.Context, m *machine) (float64, error) {
			first, _, err := pageBytes(ctx, m)
			return first, err
		}},
		{name: "page_bytes_again", unit: "KB", goal: 15, measure: func(ctx context.Context, m *machine) (float64, error) {
			_, again, err := pageBytes(ctx, m)
			return again, err
		}},
	}
}

// settleTime is after how long without anything received a page is taken to
// have loaded. Its live stream never ends.
const settleTime = 2 * time.Second

// pageBytes is what a browser receives for the dashboard, headers included: the
// page and all that it loads, with nothing in its cache, and when it comes again.
func pageBytes(ctx context.Context, m *machine) (first, again float64, err error) {
	s, err := m.site(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer s.close()
	event, err := s.python(ctx, "print", "print(1)\n", nil)
	if err != nil {
		return 0, 0, err
	}
	for range 10 {
		if _, _, err := s.firstByte(ctx, event); err != nil {
			return 0, 0, err
		}
	}
	tab, end, err := chromium(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer end()
	if err := s.signIn(tab); err != nil {
		return 0, 0, err
	}
	received := newReceived()
	if err := chromedp.Listen(tab, received.listen); err != nil {
		return 0, 0, err
	}
	if first, err = received.visit(tab, s.server.Address+"/"); err != nil {
		return 0, 0, err
	}
	if _, err = received.visit(tab, "about:blank"); err != nil {
		return 0, 0, err
	}
	again, err = received.visit(tab, s.server.Address+"/")
	return first, again, err
}

// chromium starts a browser with an empty profile and opens a tab.
func chromium(ctx context.Context) (tab context.Context, end func(), err error) {
	path, err := exec.LookPath("chromium")
	if err != nil {
		return nil, nil, fmt.Errorf("run make setup: %w", err)
	}
	profile, err := os.MkdirTemp("", "cronium-bench-browser-")
	if err != nil {
		return nil, nil, err
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(profile)}
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-dev-shm-usage",
		"disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, endAllocator := chromedp.NewExecAllocator(ctx, options...)
	tab, endTab := chromedp.NewContext(allocator)
	end = func() {
		endTab()
		endAllocator()
		os.RemoveAll(profile)
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(1280, 800)); err != nil {
		end()
		return nil, nil, err
	}
	return tab, end, nil
}

// signIn gives the tab the cookie of a session, so that it has seen no page yet.
func (s *site) signIn(tab context.Context) error {
	client, err := s.browser(tab)
	if err != nil {
		return err
	}
	address, err := url.Parse(s.server.Address)
	if err != nil {
		return err
	}
	cookies := client.Jar.Cookies(address)
	if len(cookies) == 0 {
		return errors.New("signing in gave no cookie")
	}
	for _, cookie := range cookies {
		_, err := chromedp.Call(tab, network.SetCookie, network.SetCookieParams{Name: cookie.Name, Value: cookie.Value, URL: s.server.Address})
		if err != nil {
			return err
		}
	}
	_, err = chromedp.Call(tab, network.Enable, network.EnableParams{})
	return err
}

// received counts the bytes that a tab receives.
type received struct {
	mu    sync.Mutex
	names map[network.RequestID]string
	bytes map[string]float64 // by address
	last  time.Time
}

func newReceived() *received {
	return &received{names: map[network.RequestID]string{}, bytes: map[string]float64{}, last: time.Now()}
}

func (r *received) listen(event any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := event.(type) {
	case *network.EventLoadingFinished:
		r.bytes[r.names[e.RequestID]] += e.EncodedDataLength
		r.last = time.Now()
	case *network.EventRequestWillBeSent:
		r.names[e.RequestID] = e.Request.URL
		r.last = time.Now()
	}
}

// sum prints what was large and gives all KB.
func (r *received) sum() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := 0.0
	for _, name := range slices.SortedFunc(maps.Keys(r.bytes), func(a, b string) int { return cmp.Compare(r.bytes[b], r.bytes[a]) }) {
		sum += r.bytes[name]
		if r.bytes[name] > 1000 {
			fmt.Printf("  %7.1f KB  %s\n", r.bytes[name]/1000, name)
		}
	}
	return sum / 1000
}

// visit opens a page and gives the KB received until nothing more comes.
func (r *received) visit(tab context.Context, address string) (float64, error) {
	r.mu.Lock()
	r.last = time.Now()
	clear(r.bytes)
	r.mu.Unlock()
	if err := chromedp.Do(tab, chromedp.Navigate(address)); err != nil {
		return 0, err
	}
	err := until(tab, func() (bool, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return time.Since(r.last) > settleTime, nil
	})
	return r.sum(), err
}
