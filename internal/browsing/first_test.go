package browsing

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

const (
	firstEmail    = "ada@example.org"
	firstPassword = "seven green horses"
)

// firstRun goes from the address that the server printed to a script's output.
func firstRun(t *testing.T, s *site) {
	p := s.visitor(t)
	if !strings.Contains(s.server.Page, "/setup#code=") {
		t.Fatalf("the server printed %q, want the page of the first run with its code", s.server.Page)
	}
	p.Open(s.server.Page)
	p.Wait("document.querySelector('[name=code]').value.length > 8")
	p.Wait("location.pathname === '/setup' && location.hash === '' && document.activeElement.name === 'name'")
	p.Axe()
	p.Type("[name=name]", "Ada Park")
	p.Type("[name=email]", firstEmail)
	p.Type("[name=password]", firstPassword)
	p.follow("button[type=submit]")

	p.says("h1", "Welcome")
	p.says("[aria-label='State of this instance']", "image ready")
	p.Axe()
	p.picture("welcome")
	p.fill("#f-script", "import time\nprint('the first line', flush=True)\ntime.sleep(0.5)\nprint('the second', flush=True)\ntime.sleep(600)\n")
	p.follow("main button[type=submit]")
	p.mark()
	p.says(".log-rows", "the first line")
	p.says(".log-rows", "the second")
	p.state("Running")
	p.says("[data-live-sign]", "live")
	p.picture("run-running")
	p.clickText("Cancel run")
	p.state("Cancelled")
	p.says(".log-foot", "complete")
	p.present("#rerun")
	p.same()

	p.open("/setup")
	p.says("h1", "Nothing here")
	p.refused(404)
}

// serverKilled kills the server while a run is looked at. The script goes on,
// and so does the page.
func serverKilled(t *testing.T, s *site) {
	s.makeClient(t)
	s.session = s.signIn(t)
	const lines = 120
	event := s.event(t, "Long", cronium.EventPython, fmt.Sprintf("import time\nfor n in range(%d):\n    print('line', n, flush=True)\n    time.sleep(0.1)\n", lines))
	job := s.run(t, event)
	p := s.person(t)
	p.open("/jobs/" + job.String())
	p.mark()
	p.says(".log-rows", "line 9")
	p.state("Running")
	p.says("#count-jobs:not([hidden])", "1")

	s.killed = true
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	p.says(".log-foot", "reconnecting")
	p.says("[data-live-sign]", "reconnecting")
	p.clickText("Cancel run")
	p.says("#toasts", "The server did not answer.")
	address, err := url.Parse(s.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	s.startServer(t, "--listen", address.Host)
	p.Wait("document.querySelector('cronium-log').dataset.state.match(/live|ended/)")
	p.says("#job-facts .badge", "Success")
	p.says(".log-foot", "complete")
	p.present("#count-jobs[hidden]")
	p.same()

	var want strings.Builder
	for n := range lines {
		fmt.Fprintf(&want, "line %d\n", n)
	}
	if got := s.output(t, job); got != want.String() {
		t.Errorf("the stored output is not the %d lines:\n%s", lines, got)
	}
	if got := p.allRows(lines); got != want.String() {
		t.Errorf("the page does not show the %d lines:\n%s", lines, got)
	}
	for _, problem := range p.Problems() { // connections that were cut and refused
		if !strings.Contains(problem, "net::ERR_") && !strings.Contains(problem, "etwork error") && !strings.Contains(problem, "Failed to fetch") {
			t.Errorf("the page reported: %s", problem)
		}
	}
}

// allRows scrolls through the output and gives its lines, one a line.
func (p *page) allRows(lines int) string {
	p.t.Helper()
	return browser.Eval[string](p.Tab, fmt.Sprintf(`(async () => {
		const log = document.querySelector('cronium-log');
		const found = [];
		for (let n = 0; n < %d; n += 5) {
			log.goto(n);
			for (let tries = 0; tries < 500; tries++) {
				await new Promise(requestAnimationFrame);
				const rows = [...log.querySelectorAll('.log-row')];
				for (const row of rows) if (row.querySelector('.log-t').textContent || row.querySelector('.log-x').textContent !== '…') found[row.querySelector('.log-n').textContent - 1] = row.querySelector('.log-x').textContent;
				if (found[n] !== undefined) break;
			}
		}
		return found.join('\n') + '\n';
	})()`, lines))
}
