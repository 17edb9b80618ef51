// Package browser drives a real Chromium for tests of pages.
//
//	tab := browser.New(t)
//	tab.Open(url)
//	tab.Type("#email", "ada@example.org")
//	tab.Click("button[type=submit]")
//	tab.Wait("document.title.startsWith('Home')")
//	tab.Axe()
//
// One browser serves a test process; each Tab has cookies and storage of its
// own. A test fails for what it did not foresee as well: an error in the
// console, an exception, a violation of the content security policy. When it
// fails, a picture of the page is in build/browser/.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"cronium.dev/internal/testenv"
)

// limit is how long each call on a Tab may take.
const limit = 30 * time.Second

// Tab is a page of a browser, with a profile of its own.
type Tab struct {
	t        testing.TB
	ctx      context.Context
	mu       sync.Mutex
	problems []string
}

// chromium is this process's browser; Tabs share it.
var chromium struct {
	once sync.Once
	ctx  context.Context
	err  error
}

// New opens a tab of 1280 by 800 pixels; it is closed when the test ends.
func New(t testing.TB) *Tab {
	t.Helper()
	chromium.once.Do(func() { launch(t) })
	if chromium.err != nil {
		t.Fatalf("start Chromium: %v", chromium.err)
	}
	tab := &Tab{t: t}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(tab.listen))
	tab.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // the first use must be without a time limit
		t.Fatalf("open a tab: %v", err)
	}
	tab.Do(chromedp.EmulateViewport(1280, 800))
	t.Cleanup(func() {
		if t.Failed() {
			tab.picture()
		}
		cancel()
		for _, problem := range tab.Problems() {
			t.Errorf("the page reported: %s", problem)
		}
	})
	return tab
}

func launch(t testing.TB) {
	path, err := findChromium()
	if err != nil {
		chromium.err = err
		return
	}
	profile, err := os.MkdirTemp("", "cronium-browser-")
	if err != nil {
		chromium.err = err
		return
	}
	path, environment, err := testenv.WithoutNetlink(path)
	if err != nil {
		chromium.err = err
		return
	}
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Env(environment), chromedp.UserDataDir(profile)}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-dev-shm-usage",
		"disable-background-networking", "disable-component-update", "disable-sync", "mute-audio",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endBrowser := chromedp.NewContext(allocator)
	chromium.ctx, chromium.err = ctx, chromedp.Do(ctx)
	testenv.AtEnd(t, func() {
		endBrowser()
		endAllocator() // waits for the process
		os.RemoveAll(profile)
	})
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no chromium in PATH; run make setup")
}

// Problems returns what the page has reported until now and forgets it: a test
// that provokes an error takes it from here.
func (tab *Tab) Problems() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	problems := tab.problems
	tab.problems = nil
	return problems
}

func (tab *Tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			problem += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			var words []string
			for _, arg := range e.Args {
				words = append(words, strings.Trim(string(arg.Value), `"`)+arg.Description)
			}
			problem = "console: " + strings.Join(words, " ")
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			problem = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if problem != "" {
		tab.mu.Lock()
		tab.problems = append(tab.problems, problem)
		tab.mu.Unlock()
	}
}

// picture saves what the page looks like.
func (tab *Tab) picture() {
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		tab.t.Logf("no picture of the page: %v", err)
		return
	}
	root, err := testenv.Root()
	if err != nil {
		return
	}
	path := filepath.Join(root, "build", "browser", strings.ReplaceAll(tab.t.Name(), "/", "_")+".png")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, png, 0o644)); err == nil {
		tab.t.Logf("the page when the test failed: %s", path)
	}
}
