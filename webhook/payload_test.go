package webhook_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/webhook"
)

func TestABodyBecomesAnInput(t *testing.T) {
	t.Parallel()
	plain := cronium.NewWebhook()
	chosen := cronium.NewWebhook()
	chosen.Headers = []string{"X-Event", "X-Missing"}
	github := cronium.Webhook{Style: cronium.WebhookGitHub}
	for _, test := range []struct {
		w                 *cronium.Webhook
		kind, body, input string
	}{
		{&plain, "application/json", ` {"a": [1, 2]} `, `{"a": [1, 2]}`},
		{&plain, "application/json; charset=UTF-8", `"x"`, `"x"`},
		{&plain, "application/vnd.api+json", `null`, `null`},
		{&plain, "application/x-www-form-urlencoded", "a=1&b=2&b=3&c=", `{"a":"1","b":["2","3"],"c":""}`},
		{&plain, "text/plain", "two\nlines \u00e9", `"two\nlines é"`},
		{&plain, "", "", ""},
		{&plain, "application/json", "  ", ""},
		{&chosen, "application/json", `{"a":1}`, `{"body":{"a":1},"headers":{"x-event":"push, tag"}}`},
		{&chosen, "", "", `{"body":null,"headers":{"x-event":"push, tag"}}`},
		{&github, "application/x-www-form-urlencoded", "payload=%7B%22ref%22%3A%22x%22%7D", `{"ref":"x"}`},
	} {
		header := http.Header{"X-Event": {"push", "tag"}}
		if test.kind != "" {
			header.Set("Content-Type", test.kind)
		}
		p, err := webhook.Read(test.w, header, []byte(test.body))
		if err != nil || string(p.Input) != test.input {
			t.Errorf("%s %q: %s, %v; want %s", test.kind, test.body, p.Input, err, test.input)
		}
	}
}

func TestBodiesThatAreNotWhatTheySayAreRefused(t *testing.T) {
	t.Parallel()
	w := cronium.NewWebhook()
	github := cronium.Webhook{Style: cronium.WebhookGitHub}
	for _, test := range []struct {
		w    *cronium.Webhook
		kind string
		body string
	}{
		{&w, "application/json", `{"a":`}, {&w, "application/json", `{} {}`}, {&w, "application/json", "a=1"}, {&w, "application/json", "\xff"},
		{&w, "application/json", strings.Repeat("[", 65) + strings.Repeat("]", 65)},
		{&w, "application/json", strings.Repeat(`{"a":`, 100_000)},
		{&w, "application/json; charset=utf-16", `{}`},
		{&w, "application/x-www-form-urlencoded", "a=%zz"}, {&w, "application/x-www-form-urlencoded", "a=%ff"}, {&w, "application/x-www-form-urlencoded", "a=1;b=2"},
		{&w, "application/x-www-form-urlencoded", strings.Repeat("a&", 2000)},
		{&github, "application/x-www-form-urlencoded", "payload=%7B"},
		{&w, "text/plain; charset=latin1", "x"}, {&w, "text/plain", "\xe9"},
	} {
		_, err := webhook.Read(test.w, http.Header{"Content-Type": {test.kind}}, []byte(test.body))
		if cronium.CodeOf(err) != cronium.CodeInvalid {
			t.Errorf("%s %.40q: %v", test.kind, test.body, err)
		}
	}
	for _, kind := range []string{"", "multipart/form-data; boundary=x", "text/html", "application/xml", "application/octet-stream", "json", "application/json;;", "*/*"} {
		if _, err := webhook.Read(&w, http.Header{"Content-Type": {kind}}, []byte(`{}`)); !errors.Is(err, webhook.ErrType) {
			t.Errorf("%q: %v", kind, err)
		}
	}
	twice := http.Header{"Content-Type": {"application/json", "text/plain"}}
	if _, err := webhook.Read(&w, twice, []byte(`{}`)); !errors.Is(err, webhook.ErrType) {
		t.Errorf("two types: %v", err)
	}
	packed := http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}
	if _, err := webhook.Read(&w, packed, []byte(`{}`)); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("compressed: %v", err)
	}
}

func TestSendersNameTheirRequestsAndTryTheAddress(t *testing.T) {
	t.Parallel()
	jsonOf := http.Header{"Content-Type": {"application/json"}}
	with := func(name, value string) http.Header {
		h := jsonOf.Clone()
		h.Set(name, value)
		return h
	}
	for _, test := range []struct {
		style  cronium.WebhookStyle
		header http.Header
		body   string
		once   string
		trial  bool
		answer string
	}{
		{cronium.WebhookHMAC, with("Idempotency-Key", "k1"), `{"id":"evt_1"}`, "k1", false, ""},
		{cronium.WebhookGitHub, with("X-GitHub-Delivery", "guid"), `{}`, "guid", false, ""},
		{cronium.WebhookGitHub, with("X-GitHub-Event", "ping"), `{"zen":"…"}`, "", true, "pong"},
		{cronium.WebhookStripe, jsonOf, `{"id":"evt_1","type":"charge"}`, "evt_1", false, ""},
		{cronium.WebhookStripe, jsonOf, `{"id":7}`, "", false, ""},
		{cronium.WebhookStripe, jsonOf, `[1]`, "", false, ""},
		{cronium.WebhookSlack, jsonOf, `{"event_id":"Ev1","type":"event_callback"}`, "Ev1", false, ""},
		{cronium.WebhookSlack, jsonOf, `{"type":"url_verification","challenge":"c9"}`, "", true, "c9"},
	} {
		w := cronium.NewWebhook()
		w.Style = test.style
		p, err := webhook.Read(&w, test.header, []byte(test.body))
		if err != nil || p.Once != test.once || p.Trial != test.trial || p.Answer != test.answer {
			t.Errorf("%s %s: %+v, %v", test.style, test.body, p, err)
		}
	}
	w := cronium.NewWebhook()
	if _, err := webhook.Read(&w, with("Idempotency-Key", strings.Repeat("x", 201)), []byte(`{}`)); cronium.CodeOf(err) != cronium.CodeInvalid {
		t.Errorf("a long key: %v", err)
	}
}

func TestRecordsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	w := cronium.Webhook{Style: cronium.WebhookKey, Header: "X-Door"}
	header := http.Header{"X-Long": {strings.Repeat("é", 5000)}, "X-Nul": {"a\x00\xff"}}
	for _, name := range []string{"X-Door", "Authorization", "Cookie", "X-Hub-Signature", "X-Hub-Signature-256", "Stripe-Signature", "X-Slack-Signature", "X-Api-Key", "X-Auth-Token", "Client-Secret"} {
		header.Set(name, "canary")
	}
	kept := webhook.Headers(&w, header)
	text, err := json.Marshal(kept)
	if err != nil || len(kept) != len(header) || strings.Contains(string(text), "canary") {
		t.Errorf("%s, %v", text, err)
	}
	if len(text) > 4000 || strings.Contains(string(text), `\u0000`) {
		t.Errorf("it is kept as it came: %s", text)
	}
	if n := len(webhook.Kept(make([]byte, 1<<20))); n != 64<<10 {
		t.Errorf("%d bytes of a body are kept", n)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("application/json", []byte(`{"a":[1,{"b":null}]}`), "hmac")
	f.Add("application/x-www-form-urlencoded", []byte("payload=%7B%7D"), "github")
	f.Add("text/plain", []byte("\u2028"), "slack")
	f.Fuzz(func(t *testing.T, kind string, body []byte, style string) {
		w := cronium.NewWebhook()
		w.Style, w.Headers = cronium.WebhookStyle(style), []string{"Content-Type"}
		p, err := webhook.Read(&w, http.Header{"Content-Type": {kind}}, body)
		if err == nil && !json.Valid(p.Input) {
			t.Errorf("the input is no JSON: %q", p.Input)
		}
	})
}
