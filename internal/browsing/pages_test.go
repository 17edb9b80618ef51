package browsing

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// everyPage looks at each page in both themes and on a phone.
func everyPage(t *testing.T, s *site) {
	event := s.event(t, "Weekly invoices to the accounting system", cronium.EventPython, "print('fine')\n", func(c *cronium.Content) {
		c.InputSchema = json.RawMessage(`{"type": "object", "properties": {"customer": {"type": "integer", "title": "Customer"}, "kind": {"enum": ["draft", "final"]}}}`)
		c.Input = json.RawMessage(`{"customer": 7}`)
	})
	good := s.run(t, event)
	s.finished(t, good)
	content := cronium.NewContent(cronium.EventPython)
	content.Files[0].Content = "print('\\033[31mred\\033[0m ' * 30)\nraise SystemExit(75)\n"
	content.Environment = []cronium.Variable{{Name: "ENDPOINT", Value: "https://partner.example/a/path/that/is/long/enough/for/any/phone"}}
	if err := s.Insist(t.Context(), http.MethodPost, "/api/v1/events/"+event.String()+"/versions", nil, map[string]any{"content": content, "base_version": 1, "note": "Fails"}, nil); err != nil {
		t.Fatal(err)
	}
	bad := s.run(t, event)
	s.finished(t, bad)
	server, blocked := s.someServers(t)
	variable := s.aVariable(t)
	schedule := s.aSchedule(t, event)
	one, run := "/events/"+event.String(), "/jobs/"+good.String()
	for _, look := range []struct{ name, path string }{
		{"home", "/"}, {"events", "/events"}, {"events-none", "/events?q=nothing-has-that-name"}, {"event-new", "/events/new"},
		{"event-script", one}, {"event-input", one + "/input"}, {"event-where", one + "/where"}, {"event-limits", one + "/limits"}, {"event-settings", one + "/settings"},
		{"event-history", one + "/history"}, {"event-runs", one + "/runs"}, {"event-run", one + "/run"}, {"version", one + "/versions/1"}, {"version-compare", one + "/versions/2?compare=1"},
		{"jobs", "/jobs"}, {"run", run}, {"run-failure", "/jobs/" + bad.String()}, {"run-timeline", run + "?tab=timeline"}, {"run-version", run + "?tab=version"},
		{"search", "/palette?q=invoices"}, {"people", "/people"}, {"person-new", "/people/new"}, {"person", s.someone(t)},
		{"servers", "/servers"}, {"server", server}, {"server-blocked", blocked}, {"server-edit", blocked + "/edit"}, {"server-new", "/servers/new"}, {"servers-import", "/servers/import"},
		{"event-when", one + "/when"}, {"schedule", "/schedule"}, {"schedule-week", "/schedule?view=week"}, {"schedule-list", "/schedule?view=list"}, {"schedule-one", schedule}, {"schedule-import", "/schedule/import"},
		{"variables", "/variables"}, {"variable", variable}, {"variable-new", "/variables/new"},
		{"settings-profile", "/settings/profile"}, {"settings-tokens", "/settings/tokens"}, {"settings-engine", "/settings/engine"}, {"settings-about", "/settings/about"},
	} {
		t.Run(look.name, func(t *testing.T) {
			t.Parallel()
			p := s.person(t)
			p.look(look.name, look.path)
		})
	}
	t.Run("signin", func(t *testing.T) {
		t.Parallel()
		s.visitor(t).look("signin", "/signin")
	})
	t.Run("password", func(t *testing.T) {
		t.Parallel()
		s.visitor(t).look("password", "/password")
	})
}

// look checks one page in all its forms.
func (p *page) look(name, path string) {
	p.t.Helper()
	p.theme("light")
	p.open(path)
	p.Wait("document.fonts.status === 'loaded' && [...document.querySelectorAll('cronium-editor')].every(e => e.editor) && [...document.querySelectorAll('cronium-log')].every(l => l.dataset.state === 'ended')")
	if n := browser.Eval[int](p.Tab, "document.querySelectorAll('h1').length"); n != 1 {
		p.t.Errorf("the page has %d h1", n)
	}
	p.Axe()
	p.fits()
	p.picture(name + "-light")
	p.theme("dark")
	p.picture(name + "-dark")
	p.Size(360, 740)
	p.open(path)
	p.fits()
	p.Wait("[...document.querySelectorAll(':is(.tabs, .output-tabs) [aria-current]')].every(t => t.getBoundingClientRect().right <= innerWidth && t.getBoundingClientRect().left >= 0)")
	p.Axe()
	p.theme("light")
	p.picture(name + "-phone")
}

// fits makes sure that the page does not scroll sideways.
func (p *page) fits() {
	p.t.Helper()
	if wide := browser.Eval[string](p.Tab, `(() => {
		const most = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= most) return "";
		const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > most + 1);
		return most + " pixels are too few for " + wide.slice(-3).map((e) => e.tagName + "." + e.className + " " + e.textContent.trim().slice(0, 30)).join("; ");
	})()`); wide != "" {
		p.t.Errorf("the page scrolls sideways: %s", wide)
	}
}

// errorPages asks for what is not there.
func errorPages(t *testing.T, s *site) {
	p := s.person(t)
	unknown := cronium.NewID().String()
	for _, path := range []string{"/nowhere", "/events/" + unknown, "/jobs/" + unknown, "/events/" + strings.Repeat("x", 300)} {
		p.open(path)
		p.says("h1", "Nothing here")
		p.present("main a[href='/']")
		p.refused(http.StatusNotFound)
		p.Axe()
	}
	p.picture("error-404")
}
