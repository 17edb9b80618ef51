package browsing

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"

	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
	"cronium.dev/internal/testenv/browser"
)

// withoutScripts signs in, saves and runs an event in a browser that runs no
// scripts.
func withoutScripts(t *testing.T, s *site) {
	event := s.event(t, "Plain", cronium.EventBash, "echo one\n")
	p := s.visitor(t)
	command(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	p.open("/events/" + event.String())
	p.Wait("location.pathname === '/signin'")
	p.Type("[name=email]", instance.Email)
	p.Type("[name=password]", instance.Password)
	p.Click("button[type=submit]")
	p.says("h1", "Plain")
	p.fill("[name=file_content]", "echo plainly")
	p.fill("[name=note]", "By hand")
	p.clickText("Save version 2")
	p.says(".facts", "version 2, saved")
	p.says(".toast", "Saved.")
	p.says("textarea[name=file_content]", "echo plainly")
	p.picture("event-plain")

	p.fill("[name=file_name]", "../up.sh")
	p.clickText("Save version 3")
	p.present("[role=alert]")
	p.says("#f-files", "../up.sh")
	p.refused(422)

	p.open("/events/" + event.String())
	p.Click("form[action$='/run'] button[type=submit]")
	p.Wait("location.pathname.startsWith('/jobs/')")
	p.says("h1", "Plain")
	id, ok := cronium.ParseID(strings.TrimPrefix(browser.Eval[string](p.Tab, "location.pathname"), "/jobs/"))
	if !ok {
		t.Fatal("the address names no job")
	}
	s.finished(t, id)
	p.open("/jobs/" + id.String())
	p.state("Success")
	p.present("main a[href*=download]")
	p.open("/jobs?q=plain")
	p.rows(1)
	p.fill("[name=q]", "status:nothing")
	p.clickText("Filter")
	p.says(".notice", "“status:nothing” is not known")
}
