package browsing

import (
	"strconv"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// millionLines goes through an output of a million lines.
func millionLines(t *testing.T, s *site) {
	job := s.run(t, s.event(t, "Counts", cronium.EventBash, "seq 1000000\n"))
	if j := s.finished(t, job); j.Result != cronium.ResultSuccess {
		t.Fatalf("the script ended with %s", j.Result)
	}
	p := s.person(t)
	p.open("/jobs/" + job.String())
	p.says(".log-foot", "1,000,000 lines")
	p.line(1_000_000)
	p.bounded()

	scroll := func(share string) {
		t.Helper()
		browser.Eval[float64](p.Tab, "(v => v.scrollTop = (v.scrollHeight - v.clientHeight) * "+share+")(document.querySelector('.log-view'))")
	}
	scroll("0")
	p.line(1)
	p.line(10)
	scroll("0.5")
	p.Wait("(n => n > 480000 && n < 520000)(Number(document.querySelector('.log-row .log-n').textContent))")
	p.line(browser.Eval[int](p.Tab, "Number(document.querySelector('.log-row .log-n').textContent) + 5"))
	p.bounded()
	p.Click(".log-view")
	p.Press(kb.Home)
	p.line(1)
	p.Press(kb.PageDown)
	p.Wait("Number(document.querySelector('.log-row .log-n').textContent) > 5")
	p.Press(kb.End)
	p.line(1_000_000)

	p.fill(".log-bar input", "76543")
	p.says(".log-count", "1 of 20")
	p.line(76_543)
	p.Press(kb.Enter)
	p.says(".log-count", "2 of 20")
	p.line(176_543)
	p.bounded()

	p.open("/jobs/" + job.String() + "#L500000")
	p.open("/jobs/" + job.String() + "?again#L500000-L500003") // from another address: the page is loaded
	p.line(500_000)
	if marked := browser.Eval[int](p.Tab, "document.querySelectorAll('.log-row.is-marked').length"); marked != 4 {
		t.Errorf("%d lines are marked, want 4", marked)
	}
	p.Click(".log-row.is-marked .log-n")
	p.Wait("location.hash === '#L500000'")
	p.picture("log-million")
}

// line waits until a line is in view with its text: the scripts of these tests
// print the number of each line.
func (p *page) line(n int) {
	p.t.Helper()
	text := strconv.Itoa(n)
	p.Wait("(() => { const view = document.querySelector('.log-view').getBoundingClientRect(); return [...document.querySelectorAll('.log-row')].some(r => { const at = r.getBoundingClientRect(); return r.querySelector('.log-n').textContent === '" + text + "' && r.querySelector('.log-x').textContent === '" + text + "' && at.top >= view.top - 1 && at.bottom <= view.bottom + 1 }) })()")
}

// bounded makes sure that only what is in view is in the page.
func (p *page) bounded() {
	p.t.Helper()
	if n := browser.Eval[int](p.Tab, "document.querySelectorAll('.log-row').length"); n > 100 {
		p.t.Errorf("the page holds %d rows of the output", n)
	}
}
