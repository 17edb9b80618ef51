package handlers_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

// webhookFields is the form of a webhook of an event.
func webhookFields(event cronium.ID, pairs ...string) url.Values {
	v := url.Values{"event": {event.String()}, "name": {"push"}, "style": {"hmac"}, "header": {"X-Signed"}, "key_header": {"X-Key"}, "timestamp_header": {"X-Time"},
		"window_seconds": {"5 min"}, "once_header": {"Idempotency-Key"}, "headers": {"X-Event\nX-Ref"}, "allow": {""}, "wait_seconds": {"0"}, "rate_per_minute": {"60"}, "secret": {""}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

var madeSecret = regexp.MustCompile(`whs_[A-Za-z0-9_-]{43}`)

func TestAWebhookIsMadeAndItsSecretIsShownOnce(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	h := s.hook(t, nil)
	b.get("/webhooks/new?event="+h.EventID.String()).want(t, http.StatusOK, `selected`, "X-Cronium-Signature")
	made := b.post("/webhooks", webhookFields(h.EventID))
	made.want(t, http.StatusCreated, "Copy the secret now", "/hooks/", "X-Signed")
	secret := madeSecret.FindString(made.text)
	if secret == "" {
		t.Fatal("no secret is shown")
	}
	list := read[struct{ Webhooks []struct{ ID, Name string } }](t, b.call("GET", "/webhooks?q=push", nil), http.StatusOK)
	if len(list.Webhooks) != 1 {
		t.Fatalf("%+v", list)
	}
	page := "/webhooks/" + list.Webhooks[0].ID
	for _, path := range []string{page, page + "/edit", "/webhooks"} {
		if res := b.get(path); res.StatusCode != http.StatusOK || strings.Contains(res.text, secret) {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if res := b.call("GET", page, nil); res.StatusCode != http.StatusOK || strings.Contains(res.text, secret) {
		t.Errorf("API: %s", res.text)
	}
	b.post("/webhooks", webhookFields(h.EventID)).want(t, http.StatusConflict, "f-name-problem")
	b.post(page, webhookFields(h.EventID, "name", "pull", "style", "key", "rate_per_minute", "30")).want(t, http.StatusSeeOther)
	b.get(page).want(t, http.StatusOK, "<h1>pull</h1>", "The secret in X-Key")
	b.post(page+"/enabled", url.Values{"enabled": {"false"}}).want(t, http.StatusSeeOther)
	b.get(page).want(t, http.StatusOK, "Switch on")
	b.post(page+"/delete", url.Values{}).want(t, http.StatusSeeOther)
	b.get(page).want(t, http.StatusNotFound)
}

func TestWhatIsWrongWithAWebhookStandsAtItsField(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	h := s.hook(t, nil)
	for field, value := range map[string]string{
		"name": "", "style": "none", "header": "a b", "timestamp_header": "é", "window_seconds": "2 h", "once_header": "Authorization", "headers": "X-A, Cookie",
		"allow": "192.0.2.0/33", "wait_seconds": "61", "rate_per_minute": "0", "event": "x", "secret": "short",
	} {
		res := b.post("/webhooks", webhookFields(h.EventID, field, value))
		res.want(t, http.StatusUnprocessableEntity, "f-"+field)
		if field == "secret" && strings.Contains(res.text, `value="short"`) {
			t.Error("the form has the secret again")
		}
	}
	b.post("/webhooks", webhookFields(h.EventID, "style", "key", "key_header", "a b")).want(t, http.StatusUnprocessableEntity, "f-key_header-problem")
	foreign := cronium.NewID()
	b.post("/webhooks", webhookFields(foreign)).want(t, http.StatusNotFound)
}

func TestOldAndNewSecretCountWhileTheSenderChanges(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	h := s.hook(t, nil)
	page := "/webhooks/" + h.ID.String()
	res := b.post(page+"/secret", url.Values{"secret": {""}, "keep_seconds": {"1 h"}})
	res.want(t, http.StatusOK, "Copy the secret now", "the one of before counts until")
	h.send(`{"n":1}`).want(t, http.StatusAccepted)
	old := h.secret
	h.secret = madeSecret.FindString(res.text)
	h.send(`{"n":2}`).want(t, http.StatusAccepted)
	b.post(page+"/secret", url.Values{"secret": {""}, "keep_seconds": {"soon"}}).want(t, http.StatusUnprocessableEntity, "f-keep_seconds-problem")
	// The third one leaves the second for a time, and the first not at all.
	b.post(page+"/secret", url.Values{"secret": {"one that the sender chose"}, "keep_seconds": {"1 h"}}).want(t, http.StatusOK)
	h.send(`{"n":3}`).want(t, http.StatusAccepted)
	h.secret = "one that the sender chose"
	h.send(`{"n":4}`).want(t, http.StatusAccepted)
	h.secret = old
	h.send(`{"n":5}`).want(t, http.StatusUnauthorized)
	b.call("POST", page+"/secret", object{"secret": "chosen by the sender too"}).want(t, http.StatusOK, "chosen by")
	h.secret = "one that the sender chose"
	h.send(`{"n":6}`).want(t, http.StatusUnauthorized)
	var raw string
	if err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT string_agg(encode(sealed, 'escape'), '') FROM webhook_secrets`).Scan(&raw); err != nil || strings.Contains(raw, "chosen") {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestARequestIsTriedAndSentAgainFromThePage(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	h := s.hook(t, func(w *cronium.Webhook) { w.Headers = []string{"X-Event"} })
	page := "/webhooks/" + h.ID.String()
	b.post(page+"/test", url.Values{"content_type": {"application/json"}, "body": {`{"a":`}}).want(t, http.StatusUnprocessableEntity, "is not", "{&#34;a&#34;:")
	b.post(page+"/test", url.Values{"content_type": {"image/png"}, "body": {"x"}}).want(t, http.StatusUnprocessableEntity, "f-content_type")
	sent := b.post(page+"/test", url.Values{"content_type": {"application/json"}, "body": {`{"a":1}`}})
	sent.want(t, http.StatusSeeOther)
	b.get(sent.Header.Get("Location")).want(t, http.StatusOK, "Accepted", "Mira Lund", "Send again")

	h.send(`{"a":"<script>alert(1)</script>"}`, "X-Event", "push").want(t, http.StatusAccepted)
	d := h.deliveries()[0]
	delivery := "/deliveries/" + d.ID.String()
	if res := b.get(delivery); strings.Contains(res.text, "<script>alert") || !strings.Contains(res.text, "X-Event") {
		t.Errorf("%s", res.text)
	}
	again := b.post(delivery+"/replay", url.Values{})
	again.want(t, http.StatusSeeOther)
	b.get(again.Header.Get("Location")).want(t, http.StatusOK, "Again of", "Accepted")
	var inputs []string
	rows, err := s.store.WorkerPool().Query(t.Context(), `SELECT input::text FROM jobs WHERE event_id = $1 ORDER BY id DESC LIMIT 2`, h.EventID)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var input string
		if err := rows.Scan(&input); err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, input)
	}
	if len(inputs) != 2 || inputs[0] != inputs[1] || !strings.Contains(inputs[0], `"x-event":"push"`) {
		t.Errorf("%q", inputs)
	}
	// What nobody verified is not sent again, and what was longer than is kept of it comes from its job.
	h.post("{}", h.TimestampHeader, "1").want(t, http.StatusUnauthorized)
	b.post("/deliveries/"+h.deliveries()[0].ID.String()+"/replay", url.Values{}).want(t, http.StatusConflict, "cannot be sent again")
	h.send(`"`+strings.Repeat("x", 100_000)+`"`).want(t, http.StatusAccepted)
	b.call("POST", "/deliveries/"+h.deliveries()[0].ID.String()+"/replay", object{}).want(t, http.StatusAccepted)
	if n := h.jobs(); n != 5 {
		t.Errorf("%d jobs", n)
	}
}

func TestTheAllowListIsAnAdministrators(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	b.get("/settings/outgoing").want(t, http.StatusOK, "Allowed as well")
	b.post("/settings/outgoing", url.Values{"allow": {"10.0.0.0/8\nwiki.example"}}).want(t, http.StatusSeeOther)
	b.get("/settings/outgoing").want(t, http.StatusOK, "10.0.0.0/8\nwiki.example", "Mira Lund")
	b.post("/settings/outgoing", url.Values{"allow": {"10.0.0.0/8\nhttp://x"}}).want(t, http.StatusUnprocessableEntity, "f-allow-problem", "http://x")
	b.call("PUT", "/outgoing", object{"allow": []string{"fd00::/8"}}).want(t, http.StatusOK, "fd00::/8")
	if list, err := s.store.OutboundAllow(t.Context(), s.home); err != nil || len(list.Entries) != 1 || list.Entries[0] != "fd00::/8" {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := s.store.OutboundAllow(t.Context(), cronium.NewID()); err != nil || len(list.Entries) != 0 {
		t.Errorf("another workspace: %+v, %v", list, err)
	}
}

func TestAnEventsWebhooksAreOnItsTabWhen(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	h := s.hook(t, nil)
	b.get("/events/"+h.EventID.String()+"/when").want(t, http.StatusOK, "/webhooks/"+h.ID.String(), "/webhooks/new?event="+h.EventID.String())
}
