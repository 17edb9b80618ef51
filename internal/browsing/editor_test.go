package browsing

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"cronium.dev/cronium"
)

// editEvent changes a script in the editor, tries it, saves it, and goes
// through its versions.
func editEvent(t *testing.T, s *site) {
	event := s.event(t, "Report", cronium.EventPython, "print('one')\n")
	p := s.person(t)
	p.openEvent(event)
	p.says(".ace_content", "one")
	p.mark()

	p.edit("print('two')")
	p.Wait("!document.querySelector('[data-unsaved]').hidden")
	p.fill("[name=note]", "Counts on")
	p.chord("s", ctrl)
	p.says("#event .facts", "version 2, saved")
	p.says("#toasts", "Version 2 is saved.")
	p.Wait("document.querySelector('[data-unsaved]').hidden")
	p.says("[data-save]", "Save version 3")

	// Typed key by key, unsaved, and run by key.
	p.Click("cronium-editor .ace_scroller")
	p.chord("a", ctrl)
	p.Press("print(3 * 1001)")
	p.Press(kb.Escape) // what the editor offers
	p.chord(kb.Enter, ctrl)
	p.says("#test .log-rows", "3003")
	p.says("#test .badge", "Success")
	p.says("#event .facts", "version 2, saved")
	p.Wait("!document.querySelector('[data-unsaved]').hidden")
	p.Wait("Math.abs(document.querySelector('.ace_gutter-cell').getBoundingClientRect().top - document.querySelector('.ace_line').getBoundingClientRect().top) < 2")
	p.picture("event-testrun")

	p.clickText("Save version 3")
	p.says("#event .facts", "version 3, saved")
	p.same()

	// A new name is no new version.
	p.clickText("Settings")
	p.fill("[name=name]", "Weekly report")
	p.chord("s", ctrl)
	p.says("h1", "Weekly report")
	p.says("#toasts", "The version stays")
	p.Wait("document.querySelector('[data-unsaved]').hidden && localStorage.length === 0")
	p.same()

	p.clickText("History")
	p.says("main table", "Counts on")
	p.Click("main tbody tr:first-child a.btn")
	p.says("h1", "Version 2 → 3")
	p.says(".diff .before", "print('two')")
	p.says(".diff .after", "print(3 * 1001)")
	p.picture("compare")

	p.open("/events/" + event.String() + "/versions/1")
	p.says("pre.source", "one")
	p.clickText("Restore as version 4")
	p.says(".facts", "version 4, saved")
	p.Wait("document.querySelector('cronium-editor')?.editor?.getValue() === \"print('one')\\n\"")
}

// keepDraft loses the page with changes on it.
func keepDraft(t *testing.T, s *site) {
	event := s.event(t, "Draft", cronium.EventBash, "echo one\n")
	p := s.person(t)
	p.openEvent(event)
	p.clickText("Limits")
	p.Wait("location.pathname.endsWith('/limits')")
	p.fill("[name='limits.memory_mib']", "333")
	p.clickText("Script")
	p.edit("echo unsaved")
	p.Wait("localStorage.length > 0 && Object.values(localStorage).some(v => v.includes('unsaved') && v.includes('333'))")

	p.openEvent(event)
	p.says(".notice", "Your unsaved changes")
	p.Wait("document.querySelector('cronium-editor').editor.getValue() === 'echo unsaved'")
	p.Wait("document.querySelector('[name=\"limits.memory_mib\"]').value === '333'")
	p.Wait("!document.querySelector('[data-unsaved]').hidden")
	p.Axe()

	p.mark()
	p.clickText("Throw them away")
	p.Wait("!window.marked && document.querySelector('cronium-editor')?.editor?.getValue() === 'echo one\\n'")
	p.absent(".notice")
	p.Wait("localStorage.length === 0")
}
