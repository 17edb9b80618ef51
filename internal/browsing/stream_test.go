package browsing

import (
	"strconv"
	"strings"
	"testing"

	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp/kb"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// watchStreams keeps every stream of server-sent events that the page opens
// from now on in window.streams.
func (p *page) watchStreams() {
	p.t.Helper()
	command(p, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{Source: `
		window.streams = [];
		window.EventSource = class extends EventSource {
			constructor(...all) { super(...all); window.streams.push(this); }
		};
		const plain = window.fetch;
		window.fetch = async (...all) => {
			const answer = await plain(...all);
			if (answer.headers.get("Content-Type")?.includes("event-stream")) window.streams.push({ readyState: 1 });
			return answer;
		};`})
}

// streams waits until the page holds so many connections to be told of changes.
func (p *page) streams(n int) {
	p.t.Helper()
	p.Wait("window.streams.filter(s => s.readyState !== EventSource.CLOSED).length === " + strconv.Itoa(n))
}

// background puts the tab behind another one, or in front again, and waits
// until what came before is drawn.
func (p *page) background(hidden bool) {
	p.t.Helper()
	browser.Eval[float64](p.Tab, "(Object.defineProperty(document, 'hidden', {value: "+strconv.FormatBool(hidden)+", configurable: true}), document.dispatchEvent(new Event('visibilitychange')), new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))")
}

// oneStream looks at pages that show state and output at once. A browser has six
// connections to a server, so each page must do with one, and with none where
// nobody sees it.
func oneStream(t *testing.T, s *site) {
	const script = "import time\nn = 0\nwhile True:\n    n += 1\n    print('line', n, flush=True)\n    time.sleep(0.05)\n"
	job := s.run(t, s.event(t, "Watched", cronium.EventPython, script))
	p := s.person(t)
	p.watchStreams()
	p.open("/jobs/" + job.String())
	p.says(".log-rows", "line 9")
	p.state("Running")
	p.says("[data-live-sign]", "live")
	p.says(".log-foot", "live")
	p.streams(1)

	// What is written while nobody looks is there afterwards, once.
	p.background(true)
	p.streams(0)
	before := p.lines()
	for p.stored(job) < before+20 {
		pause(t.Context())
	}
	if after := p.lines(); after > before {
		t.Errorf("in the background the page went on from %d to %d lines", before, after)
	}
	p.background(false)
	p.Wait("Number(document.querySelector('.log-foot').textContent.replace(/\\D.*/, '')) > " + strconv.Itoa(before+20))
	p.streams(1)
	p.clickText("Cancel run")
	p.state("Cancelled")
	p.says(".log-foot", "complete")
	p.streams(0)
	for i, line := range strings.Split(strings.TrimSpace(p.allRows(p.lines())), "\n") {
		if want := "line " + strconv.Itoa(i+1); line != want {
			t.Fatalf("row %d shows %q, want %q", i+1, line, want)
		}
	}

	p.openEvent(s.event(t, "Tried", cronium.EventPython, script))
	p.Click("cronium-editor .ace_scroller")
	for range 2 { // the second has the place of the first
		p.chord(kb.Enter, ctrl)
		p.says("#test .badge", "Running")
		p.says("#test .log-rows", "line 9")
		p.streams(1)
		p.Click("#test .actions button")
		p.says("#test .badge", "Cancelled")
		p.says("#test .log-foot", "complete")
		p.streams(0)
	}
}

// lines is how many lines the page says that there are.
func (p *page) lines() int {
	p.t.Helper()
	return browser.Eval[int](p.Tab, "parseInt(document.querySelector('.log-foot').textContent.replace(',', ''), 10)")
}

// stored is how many lines of a job are stored.
func (p *page) stored(job cronium.ID) int {
	p.t.Helper()
	return strings.Count(p.site.output(p.t, job), "\n")
}
