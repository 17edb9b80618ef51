package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

const crontab = `MAILTO=ops@example.com
PATH=/usr/local/bin:/usr/bin:/bin
# Nightly backup
30 2 * * * /usr/local/bin/backup --all >/dev/null
# Nightly backup
0 3 * * 0 backup --full%yes
@reboot /opt/start
`

func TestACrontabBecomesEventsWithTheirSchedules(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	m := s.signedIn(t, "mira@example.com")
	form := url.Values{"text": {strings.ReplaceAll(crontab, "\n", "\r\n")}, "zone": {"Europe/Berlin"}, "target": {"container"}}
	m.post("/schedule/import", form).want(t, http.StatusOK, "2 of 3 events can be made", "At 02:30, every day, Europe/Berlin", "Nightly backup (2)", "MAILTO is not taken over", "webhook")
	if names, err := s.store.TakenNames(t.Context(), s.home); err != nil || len(names) != 0 {
		t.Fatalf("a preview has made %v, %v", names, err)
	}
	form.Set("act", "make")
	m.post("/schedule/import", form).want(t, http.StatusSeeOther)
	rows, err := s.store.Schedules(t.Context(), s.home, store.ScheduleFilter{Sort: store.SchedulesByEvent})
	if err != nil || len(rows) != 2 || rows[0].EventName != "Nightly backup" || rows[0].Expression != "30 2 * * *" || rows[0].Zone != "Europe/Berlin" || rows[0].NextAt == nil || rows[0].EventStatus != cronium.EventActive {
		t.Fatalf("%+v, %v", rows, err)
	}
	version, err := s.store.EventVersion(t.Context(), s.home, rows[1].EventID, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := version.Content
	if !strings.Contains(c.Files[0].Content, "{ backup --full\n} <<'INPUT'\nyes\nINPUT\n") || len(c.Environment) != 1 || c.Environment[0].Name != "PATH" || c.Limits.TimeoutSeconds != 86400 {
		t.Errorf("content %+v", c)
	}
	m.post("/schedule/import", url.Values{"text": {""}, "zone": {"Nowhere"}, "target": {"moon"}}).want(t, http.StatusUnprocessableEntity, "There is no time zone", "the id of a server", "paste what crontab -l prints")
	m.post("/schedule/import", url.Values{"text": {"# nothing"}, "act": {"make"}}).want(t, http.StatusUnprocessableEntity, "No line of it")
}

func TestACrontabIsImportedByTheAPIOntoAServer(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	server := cronium.NewID()
	s.exec(t, `INSERT INTO servers (id, workspace_id, name, kind) VALUES ($1, $2, 'db-1', 'ssh')`, server, s.home)
	b := s.program(t, cronium.ScopeWrite)
	body := map[string]any{"text": "17 * * * * root cd / && run-parts /etc/cron.hourly\n", "target": server.String(), "dry_run": true}
	type answer struct {
		Made    int
		Entries []struct {
			Name    string
			EventID *cronium.ID `json:"event_id"`
		}
	}
	plan := read[answer](t, b.call(http.MethodPost, "/schedule/import", body), http.StatusOK)
	if plan.Made != 1 || plan.Entries[0].EventID != nil || plan.Entries[0].Name != "run-parts /etc/cron.hourly" {
		t.Fatalf("%+v", plan)
	}
	body["dry_run"] = false
	made := read[answer](t, b.call(http.MethodPost, "/schedule/import", body), http.StatusOK)
	version, err := s.store.EventVersion(t.Context(), s.home, *made.Entries[0].EventID, 1)
	if err != nil {
		t.Fatal(err)
	}
	if on := version.Content.On; on == nil || on.RunAs != "root" || len(on.Servers) != 1 || on.Servers[0] != server {
		t.Errorf("it runs on %+v", version.Content.On)
	}
	body["target"] = cronium.NewID().String()
	if res := b.call(http.MethodPost, "/schedule/import", body); res.StatusCode == http.StatusOK {
		t.Error("a server that is none was taken")
	}
}
