package browsing

import (
	"strconv"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
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
	// A search that takes several answers goes on by itself.
	browser.Eval[bool](p.Tab, "(get => { window.fetch = (at, ...how) => get(at.includes('/search?') ? at + '&limit=7' : at, ...how); return true })(window.fetch)")
	p.fill(".log-bar input", "6543 ")
	p.says(".log-count", "none")
	p.fill(".log-bar input", "76543")
	p.Wait("document.querySelector('.log-count').textContent === '2 of 20'")
	p.line(176_543)

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

// lastLine sees that the last line stays in view: when the output has come before
// the page is first drawn, and when the window changes its height, while the run
// goes on and after its end.
func lastLine(t *testing.T, s *site) {
	ended := s.run(t, s.event(t, "Counts at once", cronium.EventBash, "seq 900\n"))
	waits := s.run(t, s.event(t, "Counts and waits", cronium.EventBash, "seq 900; sleep 600\n"))
	s.finished(t, ended)
	p := s.person(t)
	sizes := func() {
		t.Helper()
		for _, height := range []int{800, 700, 900, 640, 1000} {
			p.Size(1280, height)
			p.line(900)
		}
	}
	p.open("/jobs/" + waits.String())
	sizes()
	p.present(".log-bar [aria-pressed=true]") // it still follows
	p.clickText("Cancel run")
	p.says(".log-foot", "complete")
	sizes()

	command(p, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `{
		const draw = requestAnimationFrame;
		window.requestAnimationFrame = (f) => {
			const later = () => (document.querySelector("cronium-log")?.store?.rows ? draw(f) : setTimeout(later, 5));
			return setTimeout(later, 0);
		};
	}`})
	p.open("/jobs/" + ended.String())
	p.line(900)
	sizes()
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

// wrappedLines looks at long lines, whole and wrapped, and at colours that go on
// from line to line.
func wrappedLines(t *testing.T, s *site) {
	script := `for n in range(1, 5001):
    print(n, "long" * (n * 37 % 300), "end")
print("\x1b[31mred begins")
for n in range(700):
    print("still red")
print("\x1b[0mplain again")
`
	job := s.run(t, s.event(t, "Wide", cronium.EventPython, script))
	if j := s.finished(t, job); j.Result != cronium.ResultSuccess {
		t.Fatalf("the script ended with %s", j.Result)
	}
	p := s.person(t)
	p.open("/jobs/" + job.String())
	p.says(".log-rows", "plain again")
	p.coloured("plain again", false)
	p.coloured("still red", true)
	p.open("/jobs/" + job.String() + "?again#L5600") // read from here, five hundred lines after it began
	p.coloured("still red", true)

	p.Click(".log-view")
	p.Press("w")
	p.Wait("localStorage.getItem('log-wrap') === 'on' && document.querySelector('.is-wrapped')")
	browser.Eval[bool](p.Tab, "document.querySelector('cronium-log').goto(2499), true")
	p.wrapped(2500)
	p.picture("log-wrapped")
	p.bounded()

	// A movement by some pixels moves what is seen by as many, over lines whose
	// heights nobody knew before.
	for _, by := range []int{-7, -160, -170, -170, 150, 13, 170} {
		if moved := p.scrolledBy(by); moved < by-1 || moved > by+1 {
			t.Errorf("scrolled by %d pixels, and the lines moved by %d", by, moved)
		}
	}
	p.Press(kb.End)
	p.says(".log-rows", "plain again")
	p.Wait("(v => { const last = [...document.querySelectorAll('.log-row')].at(-1).getBoundingClientRect(), view = v.getBoundingClientRect(); return last.bottom <= view.bottom && last.bottom > view.bottom - 30 })(document.querySelector('.log-view'))")
	p.Press(kb.Home)
	p.wrapped(1)
	p.fill(".log-bar input", "4000 long")
	p.wrapped(4000)

	p.open("/jobs/" + job.String() + "?more") // remembered
	p.present(".is-wrapped")
	p.says(".log-rows", "plain again")
	p.clickText("Wrap")
	p.absent(".is-wrapped")
	browser.Eval[bool](p.Tab, "document.querySelector('cronium-log').goto(2499), true")
	p.Wait("document.querySelector('.log-view').scrollWidth > 2000")
}

// coloured waits until all rows with a text have a colour, or none has.
func (p *page) coloured(text string, yes bool) {
	p.t.Helper()
	p.Wait("(rows => rows.length > 0 && rows.every(r => Boolean(r.querySelector('.log-x span[style]')) === " + strconv.FormatBool(yes) + "))([...document.querySelectorAll('.log-row')].filter(r => r.textContent.includes(" + quote(text) + ")))")
}

// wrapped waits until a line is in view, higher than a line of one row if it is
// long, and nothing is beside the view.
func (p *page) wrapped(n int) {
	p.t.Helper()
	p.Wait("(row => row && row.getBoundingClientRect().top >= document.querySelector('.log-view').getBoundingClientRect().top - 1 && row.offsetHeight >= 20 * Math.floor(row.textContent.length / 150) && document.querySelector('.log-view').scrollWidth <= document.querySelector('.log-view').clientWidth)([...document.querySelectorAll('.log-row')].find(r => r.querySelector('.log-n').textContent === '" + strconv.Itoa(n) + "'))")
}

// scrolledBy scrolls the output and gives by how many pixels a line that stays in
// view has moved up.
func (p *page) scrolledBy(pixels int) int {
	p.t.Helper()
	return browser.Eval[int](p.Tab, `(async (by) => {
		const frames = async (n) => { while (n--) await new Promise(requestAnimationFrame); };
		const view = document.querySelector('.log-view');
		await frames(20); // until lines that are fetched have come
		const place = view.getBoundingClientRect().top + view.clientHeight * (by > 0 ? 0.9 : 0.1);
		const row = [...document.querySelectorAll('.log-row')].find((r) => r.getBoundingClientRect().bottom > place);
		const n = row.querySelector('.log-n').textContent, before = row.getBoundingClientRect().top;
		view.scrollTop += by;
		await frames(4);
		const after = [...document.querySelectorAll('.log-row')].find((r) => r.querySelector('.log-n').textContent === n);
		return Math.round(before - after.getBoundingClientRect().top);
	})(`+strconv.Itoa(pixels)+`)`)
}
