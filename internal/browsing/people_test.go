package browsing

import (
	"net/http"
	"strings"
	"testing"

	"cronium.dev/internal/instance"
	"cronium.dev/internal/testenv/browser"
)

// peopleManaged adds somebody, lets them in by a link, changes their role and
// removes them.
func peopleManaged(t *testing.T, s *site) {
	admin := s.person(t)
	admin.open("/people/new")
	admin.fill("[name=name]", "Jo Berg")
	admin.fill("[name=email]", "jo.berg@example.com")
	admin.Click("[name=role][value=VIEWER]")
	admin.follow("form[action='/people'][method=post] button")
	admin.says("[role=status]", "Give this link to Jo Berg")
	admin.Axe()
	link := browser.Eval[string](admin.Tab, "document.querySelector('[data-copy]').textContent")
	if !strings.HasPrefix(link, s.server.Address+"/password#code=") {
		t.Fatalf("the link is %q", link)
	}

	jo := s.visitor(t)
	jo.Open(link)
	jo.Wait("document.querySelector('[name=link_code]').value.length === 29 && location.hash === '' && document.activeElement.name === 'password'")
	jo.Axe()
	jo.Press("short")
	jo.follow("main button")
	jo.says("[role=alert]", "10 to 200 characters")
	jo.refused(http.StatusUnprocessableEntity)
	jo.Type("[name=password]", instance.Password)
	jo.follow("main button")
	jo.Wait("location.pathname === '/'")
	if browser.Eval[bool](jo.Tab, "!!document.querySelector('.nav a[href=\"/people\"]')") {
		t.Error("a viewer is offered the people")
	}

	admin.open("/people?q=berg")
	admin.says("#list", "jo.berg@example.com")
	admin.saysNot("#list", instance.Email)
	admin.follow("#list td.name a")
	admin.says("h1", "Jo Berg")
	admin.Click("[name=role][value=USER]")
	admin.follow("form[action$='/role'] button")
	admin.says("#toasts", "The role is saved.")
	jo.open("/events/new")
	jo.says("h1", "New event")

	admin.Click("form[action$='/remove'] button")
	admin.says("dialog[open]", "What Jo Berg made stays")
	admin.Axe()
	admin.follow("dialog[open] .danger")
	admin.says("#toasts", "The person is removed.")
	jo.open("/events")
	jo.Wait("location.pathname === '/signin'")
}

// sessionEnded signs another browser out from the profile.
func sessionEnded(t *testing.T, s *site) {
	const email = "two.browsers@example.com"
	if err := s.AddUser(t.Context(), "USER", "Una", email); err != nil {
		t.Fatal(err)
	}
	signedIn := func() *page {
		p := s.visitor(t)
		p.open("/signin")
		p.Type("[name=email]", email)
		p.Type("[name=password]", instance.Password)
		p.follow("button[type=submit]")
		return p
	}
	here, there := signedIn(), signedIn()
	here.open("/settings/profile")
	here.says("table", "Chrome on Linux")
	here.says("table", "now, here")
	here.Axe()
	here.follow("table form button")
	here.says("#toasts", "The session has ended.")
	here.Wait("document.querySelectorAll('table tbody tr').length === 1")
	there.open("/jobs")
	there.Wait("location.pathname === '/signin'")
}

// someone is the address of a person who is a member.
func (s *site) someone(t *testing.T) string {
	t.Helper()
	const email = "grace.the.accountant@a-rather-long-domain.example.com"
	if err := s.AddUser(t.Context(), "VIEWER", "Grace Accounting", email); err != nil {
		t.Fatal(err)
	}
	p := s.person(t)
	p.open("/people?q=grace")
	return browser.Eval[string](p.Tab, "document.querySelector('#list td.name a').getAttribute('href')")
}
