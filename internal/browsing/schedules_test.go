package browsing

import (
	"net/http"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// schedulesKept gives an event a schedule, watches it run, and puts a crontab in.
func schedulesKept(t *testing.T, s *site) {
	event := s.event(t, "Ticks by itself", cronium.EventBash, "echo tick\n")
	p := s.person(t)
	p.open("/events/" + event.String())
	p.follow(".tabs a[href$='/when']")
	p.says("main", "It runs by hand and by the API alone")
	// What is typed is explained at once, by the clocks of the viewer.
	p.fill("[name=expression]", "*/15 8-18 * * 1-5")
	p.says("#explained", "Every 15 minutes, 08:00–18:59, Monday to Friday")
	p.Wait("document.querySelectorAll('#explained li').length === 5")
	p.Wait("document.querySelector('[name=zone]').list.options.length > 100")
	p.fill("[name=expression]", "0 0 31 2 *")
	p.says("#explained", "It would never run")
	p.follow("#new button.primary")
	p.refused(http.StatusUnprocessableEntity)
	p.says("#new", "no month of")
	p.Axe()
	p.fill("[name=expression]", "* * * * * *")
	p.follow("#new button.primary")
	p.says("main .rows", "Every second")
	p.open("/events/" + event.String() + "/runs")
	p.says("#runs", "Every second")
	p.open("/events/" + event.String() + "/when")
	p.follow("main .rows a[href^='/schedules/']")
	p.says("h1", "Ticks by itself")
	p.follow("form[action$='/pause'] button")
	p.says(".facts", "Paused")
	p.open("/schedule")
	p.says(".calendar", "Ticks by itself")
	p.Wait("document.querySelectorAll('.calendar rect').length > 1")
	if zone := browser.Eval[string](p.Tab, "Intl.DateTimeFormat().resolvedOptions().timeZone"); !strings.Contains(browser.Eval[string](p.Tab, "document.querySelector('#calendar').textContent"), zone) {
		t.Errorf("the calendar does not name the viewer's zone, %s", zone)
	}
	p.follow("a[href='/schedule/import']")
	p.fill("[name=text]", "# Nightly backup\n30 2 * * * /usr/local/bin/backup --all\n@reboot /opt/start\n")
	p.follow("button[value=preview]")
	p.says("#preview", "1 of 2 events can be made")
	p.says("#preview", "At 02:30, every day")
	p.Axe()
	p.follow("button[value=make]")
	p.says(".calendar", "Nightly backup")
}

// aSchedule gives an event a schedule, and gives the page of that.
func (s *site) aSchedule(t *testing.T, event cronium.ID) string {
	t.Helper()
	var made struct{ ID cronium.ID }
	body := map[string]any{"event_id": event, "expression": "*/15 8-18 * * 1-5", "zone": "Europe/Berlin", "name": "Business hours", "overlap": "QUEUE"}
	if err := s.Insist(t.Context(), http.MethodPost, "/api/v1/schedules", nil, body, &made); err != nil {
		t.Fatal(err)
	}
	return "/schedules/" + made.ID.String()
}
