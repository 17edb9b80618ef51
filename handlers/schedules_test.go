package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// scheduled makes an active event.
func (s *site) scheduled(t *testing.T, name string) cronium.ID {
	t.Helper()
	event := &cronium.Event{Name: name, Type: cronium.EventBash, Status: cronium.EventActive}
	if err := s.store.CreateEvent(t.Context(), s.home, event, cronium.NewContent(cronium.EventBash), "", store.Author{ID: cronium.NewID(), Name: "Mira"}); err != nil {
		t.Fatal(err)
	}
	return event.ID
}

type scheduleAnswer struct {
	ID         cronium.ID
	Words      string
	Zone       string
	Expression string
	Overlap    string
	Paused     bool
	NextAt     *time.Time `json:"next_at"`
	EndsAt     *time.Time `json:"ends_at"`
}

func TestSchedulesAreMadeChangedAndDeletedByTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	event := s.scheduled(t, "Backup")
	made := read[scheduleAnswer](t, b.call(http.MethodPost, "/schedules", map[string]any{
		"event_id": event, "expression": "*/15 8-18 * * 1-5", "zone": "Europe/Berlin", "overlap": "SKIP", "ends_at": "2099-01-01T00:00:00Z",
	}), http.StatusCreated)
	if !strings.HasPrefix(made.Words, "Every 15 minutes, 08:00–18:59, Monday to Friday, Europe/Berlin") || made.NextAt == nil {
		t.Errorf("made %+v", made)
	}
	path := "/schedules/" + made.ID.String()
	changed := read[scheduleAnswer](t, b.call(http.MethodPatch, path, map[string]any{"paused": true, "ends_at": ""}), http.StatusOK)
	if !changed.Paused || changed.EndsAt != nil || changed.Overlap != "SKIP" || changed.Expression != made.Expression {
		t.Errorf("changed %+v", changed)
	}
	list := read[struct{ Schedules []scheduleAnswer }](t, b.call(http.MethodGet, "/schedules?event="+event.String()+"&paused=true", nil), http.StatusOK)
	if len(list.Schedules) != 1 || list.Schedules[0].ID != made.ID {
		t.Errorf("list %+v", list)
	}
	b.call(http.MethodDelete, path, nil).want(t, http.StatusNoContent)
	b.call(http.MethodGet, path, nil).want(t, http.StatusNotFound)
}

func TestSchedulesThatNeverFireAreRefusedByTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	event := s.scheduled(t, "Backup")
	for field, body := range map[string]map[string]any{
		"expression": {"event_id": event, "expression": "0 0 31 2 *"},
		"zone":       {"event_id": event, "expression": "@daily", "zone": "Mars/Base"},
		"starts_at":  {"event_id": event, "expression": "@daily", "starts_at": "tomorrow"},
		"event_id":   {"expression": "@daily"},
	} {
		res := b.call(http.MethodPost, "/schedules", body)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.text, `"`+field+`"`) {
			t.Errorf("%s: %s %s", field, res.Status, res.text)
		}
	}
	b.call(http.MethodPost, "/schedules", map[string]any{"event_id": cronium.NewID(), "expression": "@daily"}).want(t, http.StatusNotFound)
	viewer := s.program(t, cronium.ScopeRead)
	viewer.call(http.MethodPost, "/schedules", map[string]any{"event_id": event, "expression": "@daily"}).want(t, http.StatusForbidden)
}

func TestThePreviewSaysWhatWillRun(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	preview := read[struct {
		Words string
		Next  []time.Time
	}](t, b.call(http.MethodPost, "/schedule/preview", map[string]any{
		"expression": "30 2 * * *", "zone": "Europe/Berlin", "count": 2, "after": "2027-03-27T12:00:00Z",
	}), http.StatusOK)
	// Spring leaves 02:30 out.
	if len(preview.Next) != 2 || preview.Next[0].Format(time.RFC3339) != "2027-03-28T01:00:00Z" || preview.Words != "At 02:30, every day, Europe/Berlin" {
		t.Errorf("%+v", preview)
	}
	hourly, paused, archived := s.scheduled(t, "Hourly"), s.scheduled(t, "Paused"), s.scheduled(t, "Archived")
	for _, event := range []cronium.ID{hourly, paused, archived} {
		b.call(http.MethodPost, "/schedules", map[string]any{"event_id": event, "expression": "0 * * * *", "paused": event == paused}).want(t, http.StatusCreated)
	}
	if _, err := s.store.SetEventStatus(t.Context(), s.home, archived, cronium.EventArchived); err != nil {
		t.Fatal(err)
	}
	b.call(http.MethodPost, "/schedules", map[string]any{"event_id": hourly, "expression": "@every 10m", "max_runs": 3}).want(t, http.StatusCreated)
	coming := read[struct {
		Instants []struct {
			Instant time.Time
			EventID cronium.ID `json:"event_id"`
		}
		More bool
	}](t, b.call(http.MethodGet, "/schedule/upcoming", nil), http.StatusOK)
	if len(coming.Instants) != 27 || coming.More {
		t.Errorf("%d instants are to come in a day, want 24 hours and 3 times ten minutes", len(coming.Instants))
	}
	for i, u := range coming.Instants {
		if u.EventID != hourly || i > 0 && u.Instant.Before(coming.Instants[i-1].Instant) {
			t.Errorf("instant %d is %+v", i, u)
		}
	}
	some := read[struct{ More bool }](t, b.call(http.MethodGet, "/schedule/upcoming?limit=5", nil), http.StatusOK)
	if !some.More {
		t.Error("more than 5 are not said to be more")
	}
}

func TestInstantsAreListedWithTheirReasons(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.program(t, cronium.ScopeWrite)
	event := s.scheduled(t, "Backup")
	made := read[scheduleAnswer](t, b.call(http.MethodPost, "/schedules", map[string]any{"event_id": event, "expression": "@daily"}), http.StatusCreated)
	for minute, outcome := range []string{"FIRED", "LATE", "SKIPPED", "MISSED"} {
		s.exec(t, `INSERT INTO schedule_instants (schedule_id, workspace_id, instant, outcome, reason) VALUES ($1, $2, now() - make_interval(mins => $3), $4, 'because')`,
			made.ID, s.home, minute+1, outcome)
	}
	type answer struct {
		Instants []struct{ Outcome, Reason string }
		Next     string
	}
	all := read[answer](t, b.call(http.MethodGet, "/schedules/"+made.ID.String()+"/instants?limit=3", nil), http.StatusOK)
	if len(all.Instants) != 3 || all.Instants[0].Outcome != "FIRED" || all.Next == "" {
		t.Fatalf("%+v", all)
	}
	rest := read[answer](t, b.call(http.MethodGet, "/schedules/"+made.ID.String()+"/instants?limit=3&cursor="+all.Next, nil), http.StatusOK)
	if len(rest.Instants) != 1 || rest.Instants[0].Outcome != "MISSED" || rest.Next != "" {
		t.Errorf("%+v", rest)
	}
	some := read[answer](t, b.call(http.MethodGet, "/schedule/instants?outcome=SKIPPED,LATE", nil), http.StatusOK)
	if len(some.Instants) != 2 || some.Instants[0].Reason != "because" {
		t.Errorf("%+v", some)
	}
	m := s.signedIn(t, "mira@example.com")
	m.get("/schedule").want(t, http.StatusOK, "Backup", "Skipped", "Missed", "because", "Coming up")
}

func TestAScheduleIsMadeAndPausedOnThePages(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	event := s.scheduled(t, "Backup")
	m := s.signedIn(t, "mira@example.com")
	when := "/events/" + event.String() + "/when"
	form := url.Values{"kind": {"CRON"}, "expression": {"0 0 31 2 *"}, "zone": {"Europe/Berlin"}, "missed": {"SKIP"}, "overlap": {"QUEUE"}, "starts_at": {"2027-01-01T08:00"}}
	m.post(when, form).want(t, http.StatusUnprocessableEntity, "no month of", `value="0 0 31 2 *"`)
	form.Set("expression", "0 8 * * *")
	m.post(when, form).want(t, http.StatusSeeOther)
	rows, err := s.store.Schedules(t.Context(), s.home, store.ScheduleFilter{Event: &event})
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d schedules, %v", len(rows), err)
	}
	one := rows[0]
	if one.StartsAt.UTC().Format(time.RFC3339) != "2027-01-01T07:00:00Z" || !one.NextAt.Equal(*one.StartsAt) || one.Overlap != cronium.OverlapQueue {
		t.Errorf("stored %+v", one.Schedule)
	}
	m.get(when).want(t, http.StatusOK, "At 08:00, every day, Europe/Berlin")
	res := m.post("/schedules/"+one.ID.String()+"/pause", url.Values{"paused": {"true"}, "back": {"https://evil.example"}})
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != "/schedules/"+one.ID.String()+"?done=saved" {
		t.Errorf("after the pause: %s to %s", res.Status, to)
	}
	form.Set("expression", "CRON_TZ=Asia/Tokyo 0 9 * * *")
	m.post("/schedules/"+one.ID.String(), form).want(t, http.StatusSeeOther)
	m.get("/schedules/"+one.ID.String()).want(t, http.StatusOK, "At 09:00, every day, Asia/Tokyo", "Paused")
	for _, view := range []string{"", "?view=week", "?view=list&sort=event&q=back", "?day=2027-03-28", "?day=nonsense&view=week"} {
		m.get("/schedule"+view).want(t, http.StatusOK, "Backup")
	}
	m.post("/schedules/"+one.ID.String()+"/delete", nil).want(t, http.StatusSeeOther)
	if strings.Contains(m.get(when).text, "Asia/Tokyo") {
		t.Error("a deleted schedule is still shown")
	}
}

func TestWhatIsTypedIsExplained(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	m := s.signedIn(t, "mira@example.com")
	for query, want := range map[string]string{
		"kind=CRON&expression=*/15+8-18+*+*+1-5&zone=Europe/Berlin": "Every 15 minutes, 08:00–18:59, Monday to Friday, Europe/Berlin",
		"kind=CRON&expression=0+0+31+2+*":                           "It would never run",
		"kind=INTERVAL&expression=90s":                              "Every 90 seconds",
		"kind=ONCE&expression=2001-01-01+00:00":                     "It never runs again",
		"kind=CRON&expression=@daily&zone=Nowhere":                  "There is no time zone",
		"kind=CRON&expression=@daily&starts_at=soon":                "must be a time",
		"kind=CRON": "explained here",
	} {
		m.get("/schedule/explain?"+query).want(t, http.StatusOK, want)
	}
}
