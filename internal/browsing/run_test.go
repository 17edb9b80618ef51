package browsing

import (
	"encoding/json"
	"testing"

	"cronium.dev/cronium"
)

// runWithForm runs an event whose schema makes a form.
func runWithForm(t *testing.T, s *site) {
	event := s.event(t, "Invoice", cronium.EventPython, "import cronium\nprint('got', sorted(cronium.input().items()))\ncronium.output(cronium.input())\n", func(c *cronium.Content) {
		c.InputSchema = json.RawMessage(`{"type": "object", "required": ["customer"], "additionalProperties": false, "properties": {
			"customer": {"type": "integer", "title": "Customer", "minimum": 1},
			"kind": {"enum": ["draft", "final"], "title": "Kind"},
			"send": {"type": "boolean", "title": "Send it"}}}`)
	})
	p := s.person(t)
	p.openEvent(event)
	p.mark()
	p.clickText("Run…")
	p.says("dialog[open]", "Run Invoice")
	p.Axe()
	p.picture("run-form")
	p.fill("dialog [name='input.customer']", "7")
	p.Do(selectOption("dialog [name='input.kind']", "final"))
	p.Click("dialog [name='input.send']")
	p.follow("dialog button[type=submit]")
	p.says(".log-rows", "got [('customer', 7), ('kind', 'final'), ('send', True)]")
	p.state("Success")
	p.clickText("Result")
	p.says("#job-result", `"customer": 7`)

	// Again with another input, one that is refused first.
	p.clickText("Change input…")
	p.Wait("document.querySelector('dialog[open] [name=\"input.customer\"]')?.value === '7'")
	p.fill("dialog [name='input.customer']", "0")
	p.follow("dialog button[type=submit]")
	p.says("[role=alert]", "Customer")
	p.Wait("document.querySelector('[name=\"input.customer\"]').value === '0' && document.querySelector('[name=\"input.kind\"]').value === 'final'")
	p.refused(422)
	p.fill("[name='input.customer']", "8")
	p.follow("main button[type=submit]")
	p.says(".log-rows", "('customer', 8)")
}

// cancelRun cancels a job that waits for another of its event, and then that.
func cancelRun(t *testing.T, s *site) {
	event := s.event(t, "Endless", cronium.EventPython, "import time, signal\nsignal.signal(signal.SIGTERM, lambda *a: (print('asked to stop', flush=True), exit(3)))\nprint('begun', flush=True)\ntime.sleep(600)\n",
		func(c *cronium.Content) { c.Concurrency = 1 })
	job := s.run(t, event)
	p := s.person(t)
	p.open("/jobs/" + job.String())
	p.state("Running")
	p.open("/jobs/" + s.run(t, event).String())
	p.says("#job-facts", "waits for a running job of the same event")
	p.state("Waiting")
	p.picture("run-waiting")
	p.clickText("Cancel run")
	p.state("Cancelled")
	p.says("#job-output", "it never started")
	p.Axe()
	p.picture("run-never")

	p.open("/jobs/" + job.String())
	p.mark()
	p.says(".log-rows", "begun")
	p.state("Running")
	p.clickText("Cancel run")
	p.state("Cancelled")
	p.says(".log-rows", "asked to stop")
	p.clickText("Timeline")
	p.says("#job-timeline", "Cancel asked for by Admin")
	p.same()
	if j := s.finished(t, job); j.Result != cronium.ResultCancelled {
		t.Errorf("the job's result is %s", j.Result)
	}
}

// failedRun shows the reason of a failure first, and what changed.
func failedRun(t *testing.T, s *site) {
	event := s.event(t, "Fragile", cronium.EventBash, "echo fine\n")
	s.finished(t, s.run(t, event))
	p := s.person(t)
	p.openEvent(event)
	p.edit("for n in $(seq 40); do echo line $n; done\nsleep 0.3; echo the disk is full >&2\nexit 42")
	p.chord("s", ctrl)
	p.says("#event .facts", "version 2, saved")
	p.follow("form[action$='/run'] button[type=submit]")
	p.mark()
	p.state("Failed")
	p.says("#job-failure", "Exit 42")
	p.says("#job-failure pre", "the disk is full")
	p.says("#job-failure", "Version 1 → 2")
	p.Wait("/^\\d\\d:\\d\\d:\\d\\d/.test(document.querySelector('.log-t').textContent)")
	p.says(".is-stderr", "the disk is full")
	p.same()
	p.Axe()
	p.picture("run-failed")
	p.follow("#job-failure a[href*=compare]")
	p.says(".diff", "exit 42")

	p.open("/")
	p.says("[aria-labelledby=attention]", "Fragile")
}
