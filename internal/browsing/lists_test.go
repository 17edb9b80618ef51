package browsing

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// jobsList filters jobs, watches them come, and cancels several at once.
func jobsList(t *testing.T, s *site) {
	endless := s.event(t, "Nightly copy", cronium.EventBash, "sleep 600\n")
	jobs := []cronium.ID{s.run(t, endless), s.run(t, endless)}
	s.finished(t, s.run(t, s.event(t, "Nightly check", cronium.EventBash, "echo fine\n")))
	p := s.person(t)
	p.open("/jobs?q=nightly")
	p.rows(3)
	p.mark()

	p.fill("[name=q]", "nightly status:open")
	p.rows(2)
	p.Wait("new URLSearchParams(location.search).get('q') === 'nightly status:open'")

	// What comes meanwhile is announced, and what is shown does not move.
	jobs = append(jobs, s.run(t, endless))
	p.says("#fresh", "1 new job")
	p.rows(2)
	p.clickText("1 new job")
	p.rows(3)
	p.same()
	for _, job := range jobs {
		p.says("#job-"+job.String()+" .badge", "Running")
	}
	if err := s.Cancel(t.Context(), jobs[0]); err != nil {
		t.Fatal(err)
	}
	p.says("#job-"+jobs[0].String()+" .badge", "Cancelled")
	p.same()

	p.Click("[data-all]")
	p.says("[data-count]", "3 selected")
	p.picture("jobs-selected")
	p.Click(".bulk [value=cancel]")
	p.says("dialog[open]", "This cannot be undone.")
	p.Press(kb.Escape)
	p.absent("dialog[open]")
	p.Click(".bulk [value=cancel]")
	p.follow("dialog[open] .danger")
	for _, job := range jobs {
		if j := s.finished(t, job); j.Status != cronium.JobCancelled {
			t.Errorf("a selected job is %s", j.Status)
		}
	}

	p.open("/jobs?q=nightly")
	p.clickText("Cancelled")
	p.Wait("new URLSearchParams(location.search).get('q') === 'nightly status:cancelled'")
	p.rows(3)
	p.open("/jobs?q=nightly+colour:red")
	p.says(".notice", "“colour” is not a filter")
	p.rows(4)
}

// rows waits until a list has so many rows.
func (p *page) rows(n int) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.querySelectorAll('table.list tbody tr').length === %d", n))
}

// eventsList filters events, runs one and pauses several.
func eventsList(t *testing.T, s *site) {
	for i := range 3 {
		s.event(t, fmt.Sprintf("Group %d", i+1), cronium.EventBash, "echo fine\n")
	}
	p := s.person(t)
	p.open("/events")
	p.mark()
	p.fill("[name=q]", "group type:bash")
	p.rows(3)
	p.Wait("new URLSearchParams(location.search).get('q') === 'group type:bash'")
	p.same()
	p.Click("[aria-label='Select Group 1']")
	p.Click("[aria-label='Select Group 3']")
	p.says("[data-count]", "2 selected")
	p.follow(".bulk [value=pause]")
	p.Wait("document.querySelector('[name=q]').value === 'group type:bash'")
	p.saysNot("tr:has([aria-label='Select Group 2']) .badge", "Paused")
	p.says("tr:has([aria-label='Select Group 1']) .badge", "Paused")
	p.says("tr:has([aria-label='Select Group 3']) .badge", "Paused")
	p.absent("[aria-label='Run Group 1']")

	p.follow("[aria-label='Run Group 2']")
	p.state("Success")
}

// palette goes to an event and runs it, by keys.
func palette(t *testing.T, s *site) {
	s.event(t, "Send newsletter", cronium.EventBash, "echo sent\n")
	p := s.person(t)
	p.open("/settings/profile")
	p.chord("k", ctrl)
	p.present("dialog.palette[open]")
	p.says("#palette-list", "Go to")
	p.Press("newsl")
	p.says("#palette-list", "Run Send newsletter")
	p.saysNot("#palette-list", "Go to")
	p.Axe()
	p.picture("palette")
	p.Press(kb.Escape)
	p.absent("dialog.palette[open]")
	// The list comes anew while one is in it already.
	browser.Eval[bool](p.Tab, "(get => { window.fetch = async (...of) => { await new Promise(go => window.answer = go); return get(...of) }; document.querySelector('#palette-list').firstChild.old = true; return true })(window.fetch)")
	p.chord("k", ctrl)
	p.says("#palette-list", "Run Send newsletter")
	p.mark()
	p.Press(kb.ArrowDown + kb.ArrowDown)
	p.Wait("document.activeElement.textContent.includes('Run Send newsletter')")
	browser.Eval[bool](p.Tab, "window.answer(), true")
	p.Wait("!document.querySelector('#palette-list').firstChild.old")
	p.Wait("document.activeElement.textContent.includes('Run Send newsletter')")
	p.Press(kb.Enter)
	p.Wait("!window.marked && document.readyState === 'complete'")
	p.says("h1", "Send newsletter")
	p.says(".log-rows", "sent")
	p.state("Success")

	p.chord("k", ctrl)
	p.Wait("document.activeElement.matches('dialog.palette input')")
	p.Press("profile" + kb.Enter) // faster than the list comes
	p.Wait("location.pathname === '/settings/profile'")
	if n := browser.Eval[int](p.Tab, "document.querySelectorAll('dialog[open]').length"); n != 0 {
		t.Errorf("%d dialogs are open on the new page", n)
	}
}
