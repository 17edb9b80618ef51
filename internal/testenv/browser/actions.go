package browser

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Step is an action of chromedp that gives no value, like chromedp.Focus.
type Step = chromedp.Action[chromedp.Void]

// Do performs the steps; the test ends at once if one fails.
func (tab *Tab) Do(steps ...Step) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatalf("in the browser: %v", err)
	}
}

// Open goes to the address and waits until the page has loaded.
func (tab *Tab) Open(url string) {
	tab.t.Helper()
	tab.Do(chromedp.Navigate(url))
}

// Click waits for the first element that the CSS selector matches to be
// visible, and clicks it.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.OnElement(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Type sends the keys of the text to the element.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.OnElement(chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// OnElement performs a step on an element. Where the page puts another in its
// place after it was found and before anything was done to it, that one is looked
// for, as a person's pointer meets what is there.
func (tab *Tab) OnElement(step Step) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	err := chromedp.Do(ctx, step)
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "node with given id") {
		err = chromedp.Do(ctx, step)
	}
	if err != nil {
		tab.t.Fatalf("in the browser: %v", err)
	}
}

// Press sends keys to what has the focus: text, or one of the constants of
// chromedp's package kb.
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	tab.Do(chromedp.KeyEvent(keys))
}

// Text waits for the element and returns its visible text.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	return run(tab, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Size makes the page's window that many CSS pixels.
func (tab *Tab) Size(width, height int) {
	tab.t.Helper()
	tab.Do(chromedp.EmulateViewport(int64(width), int64(height)))
}

// Eval returns the value of a JavaScript expression, or what its promise gives.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	return run(tab, chromedp.Evaluate[T](expression, func(p *runtime.EvaluateParams) { chromedp.EvalAwaitPromise(p) }))
}

// Wait waits until the JavaScript expression is true, also over the loading of
// another page.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	var last error // between two pages there is nothing to ask
	for {
		var is bool
		if is, last = chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")")); is {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tab.t.Fatalf("in the browser: %s is not true after %s (%v)", expression, limit, last)
		}
	}
}

// Screenshot writes a picture of the visible page to a PNG file.
func (tab *Tab) Screenshot(path string) {
	tab.t.Helper()
	png := run(tab, chromedp.CaptureScreenshot())
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, png, 0o644)); err != nil {
		tab.t.Fatal(err)
	}
}

func run[T any](tab *Tab, action chromedp.Action[T]) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, limit)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		tab.t.Fatalf("in the browser: %v", err)
	}
	return value
}
