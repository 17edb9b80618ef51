package browsing

import (
	"net/http"
	"strings"
	"testing"

	"cronium.dev/internal/instance"
	"cronium.dev/internal/testenv/browser"
)

// makeToken makes a token, uses it and revokes it.
func makeToken(t *testing.T, s *site) {
	p := s.person(t)
	p.open("/settings/tokens")
	p.fill("[name=name]", "nightly build")
	p.follow("main form[action='/settings/tokens'] button[type=submit]")
	p.says("[role=status]", "not shown again")
	p.picture("token")
	secret := browser.Eval[string](p.Tab, "document.querySelector('[data-copy]').textContent")
	if !strings.HasPrefix(secret, "crn_") || len(secret) < 30 {
		t.Fatalf("the token is %q", secret)
	}
	client := instance.NewClient(secret, func() string { return s.server.Address })
	defer client.Close()
	whoami := func() error { return client.Try(t.Context(), http.MethodGet, "/api/v1/whoami", nil, nil, nil) }
	if err := whoami(); err != nil {
		t.Errorf("with the token: %v", err)
	}

	p.open("/settings/tokens")
	p.says("table", "nightly build")
	if browser.Eval[bool](p.Tab, "document.documentElement.innerHTML.includes("+quote(secret)+")") {
		t.Error("the token is shown again")
	}
	p.Click("[aria-label='Revoke nightly build']")
	p.says("dialog[open]", "nightly build stop working at once")
	p.follow("dialog[open] .danger")
	p.says("#toasts", "The token is revoked.")
	p.saysNot("td.name", "nightly build")
	if err, refused := whoami().(*instance.Refusal); !refused || err.Status != http.StatusUnauthorized {
		t.Errorf("with the revoked token: %v, want 401", err)
	}
}

// signOutAndIn ends a session and begins another, which leads back to where
// one wanted to go.
func signOutAndIn(t *testing.T, s *site) {
	p := s.visitor(t)
	p.open("/jobs?q=status%3Afailed")
	p.Wait("location.pathname === '/signin'")
	p.Axe()
	p.Type("[name=email]", instance.Email)
	p.Type("[name=password]", "not the password")
	p.follow("button[type=submit]")
	p.present("[role=alert]")
	p.Wait("document.querySelector('[name=email]').value === " + quote(instance.Email))
	p.Axe()
	p.refused(http.StatusUnauthorized)
	p.Type("[name=password]", instance.Password)
	p.follow("button[type=submit]")
	p.Wait("location.pathname === '/jobs' && location.search.includes('failed')")

	p.Click(".nav details.menu summary")
	p.follow(".nav form[action='/signout'] button")
	p.Wait("location.pathname === '/signin'")
	p.open("/events")
	p.Wait("location.pathname === '/signin'")
}

// viewerSees looks with the eyes of somebody who may only read.
func viewerSees(t *testing.T, s *site) {
	event := s.event(t, "Only to read", "BASH", "echo fine\n")
	job := s.run(t, event)
	s.finished(t, job)
	const email = "viewer@example.com"
	if err := s.AddUser(t.Context(), "VIEWER", "Vera", email); err != nil {
		t.Fatal(err)
	}
	p := s.visitor(t)
	p.open("/signin")
	p.Type("[name=email]", email)
	p.Type("[name=password]", instance.Password)
	p.follow("button[type=submit]")
	for _, path := range []string{"/", "/events", "/events/" + event.String(), "/jobs", "/jobs/" + job.String()} {
		p.open(path)
		p.present("h1")
		if said := browser.Eval[string](p.Tab, "[...document.querySelectorAll('main :is(button, a.btn), .top .btn')].filter(e => e.checkVisibility() && !e.disabled && !e.closest('fieldset:disabled')).map(e => e.textContent.trim() || e.getAttribute('aria-label')).filter(w => /new event|run|save|cancel|activate|pause|delete|duplicate/i.test(w)).join()"); said != "" {
			t.Errorf("%s offers a viewer: %s", path, said)
		}
	}
	p.open("/events/new")
	p.says("h1, h2", "Not allowed")
	p.refused(http.StatusForbidden)
	p.open("/settings/engine")
	p.says("h1, h2", "Not allowed")
	p.refused(http.StatusForbidden)
}
