package browsing

import (
	"net/http"
	"testing"

	"cronium.dev/cronium"
)

// aVariable makes some variables and gives the page of one.
func (s *site) aVariable(t *testing.T) string {
	t.Helper()
	var one struct{ ID cronium.ID }
	for _, v := range []map[string]any{
		{"key": "SHOP_TOKEN", "value": "8f1c-2d6e-77aa", "secret": true, "all_events": true, "description": "Of the shop's API; a new one is under Account, Keys"},
		{"key": "SHOP_URL", "value": "https://shop.example/api/v2"},
		{"key": "SHOP_URL", "environment": "staging", "value": "https://staging.shop.example/api/v2"},
		{"key": "ORDERS_SINCE", "value": "2026-11-24T02:00:00Z", "description": "Where the last import stopped"},
		{"key": "HOSTS", "value": []string{"web-1", "web-2", "db-1"}},
		{"key": "DRY_RUN", "environment": "staging", "value": true},
		{"key": "ORDERS_RUNS", "value": 1204},
	} {
		if err := s.Insist(t.Context(), http.MethodPost, "/api/v1/variables", nil, v, &one); err != nil {
			t.Fatal(err)
		}
	}
	path := "/api/v1/variables/" + one.ID.String()
	for n := range 3 {
		if err := s.Insist(t.Context(), http.MethodPatch, path, nil, map[string]any{"value": 1205 + n}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return "/variables/" + one.ID.String()
}

// variablesKept makes a secret for one event, which a script then uses, and changes
// it: nobody is shown it at any time.
func variablesKept(t *testing.T, s *site) {
	event := s.event(t, "Reads the mail token", cronium.EventPython, "import cronium\nprint('token', cronium.get_variable('MAIL_TOKEN'))\n")
	p := s.person(t)
	p.open("/variables")
	p.follow(".top a[href='/variables/new'], main a[href='/variables/new']")
	p.fill("[name=key]", "MAIL TOKEN")
	p.Click("[name=kind][value=secret]")
	p.fill("[name=value]", "pelican-4711")
	p.follow("main form button.primary")
	p.refused(http.StatusUnprocessableEntity)
	p.says("main", "Enter its value again")
	p.saysNot("main", "pelican")
	p.Axe()
	p.fill("[name=key]", "MAIL_TOKEN")
	p.fill("[name=value]", "pelican-4711")
	p.Click("[name=for][value=chosen]")
	p.Click("[name=events][value='" + event.String() + "']")
	p.follow("main form button.primary")
	p.says("h1", "MAIL_TOKEN")
	p.saysNot("main", "pelican")
	p.follow("a[href$='?uses=1#uses']")
	p.says("#uses", "Reads the mail token")
	p.says("#uses", "script.py:2")
	job := s.run(t, event)
	s.finished(t, job)
	p.open("/jobs/" + job.String())
	p.says("cronium-log", "token ************")
	p.open("/events/" + event.String() + "/input")
	p.says("[data-panel=input]", "MAIL_TOKEN")
}
