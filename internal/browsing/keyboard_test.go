package browsing

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cronium.dev/internal/testenv/browser"
)

// keyboardOnly makes, edits and runs an event without a pointer.
func keyboardOnly(t *testing.T, s *site) {
	p := s.person(t)
	p.open("/events")
	p.Press(kb.Tab)
	p.Wait("document.activeElement.textContent === 'Skip to content'")
	p.tabTo("New event")
	p.enter()
	p.Wait("document.activeElement.name === 'name'")
	p.Press("By keys")
	p.enter()
	p.says("h1", "By keys")
	p.Wait("document.querySelector('cronium-editor')?.editor")

	// Tab goes into the editor and past it; Enter is for typing, Escape to leave.
	p.tabTo("Editor content")
	p.Press(kb.Enter)
	p.Wait("document.activeElement.matches('.ace_text-input')")
	p.chord("a", ctrl)
	p.Press("print('typed')")
	p.Press(kb.Escape)
	p.Press(kb.Escape)
	p.Wait("!document.activeElement.matches('.ace_text-input')")
	p.tabTo("What did you change?")
	p.Press("No pointer")
	p.chord("s", ctrl)
	p.says("#event .facts", "version 2, saved")

	p.open(browser.Eval[string](p.Tab, "location.pathname"))
	p.tabTo("Activate")
	p.enter()
	p.tabTo("Run")
	p.enter()
	p.says(".log-rows", "typed")
	p.state("Success")
	p.tabTo("Timeline")
	p.Press(kb.Enter)
	p.says("#job-timeline:not([hidden])", "Success.")
}

// tabTo presses Tab until what has the focus has that name, and is marked as
// having it.
func (p *page) tabTo(name string) {
	p.t.Helper()
	for range 60 {
		p.Press(kb.Tab)
		if browser.Eval[bool](p.Tab, "(e => [e.textContent, e.getAttribute('aria-label'), ...[...e.labels ?? []].map(l => l.textContent)].some(n => n?.trim().startsWith("+quote(name)+")))(document.activeElement)") {
			if !browser.Eval[bool](p.Tab, "document.activeElement.matches(':focus-visible') && (s => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== 'none')(getComputedStyle(document.activeElement))") {
				p.t.Errorf("%q does not show that it has the focus", name)
			}
			return
		}
	}
	p.t.Fatalf("Tab does not come to %q", name)
}

// enter follows what has the focus to another document.
func (p *page) enter() {
	p.t.Helper()
	p.mark()
	p.Do(chromedp.KeyEvent(kb.Enter))
	p.Wait("!window.marked && document.readyState === 'complete'")
}
