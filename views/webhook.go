package views

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// Webhooks is the page at /webhooks.
type Webhooks struct {
	layout.Frame
	Query string
	Rows  []WebhookRow
	After string // cursor of this page; "" on the first
	Next  string // cursor of the next page; "" on the last
}

// WebhookRow is a webhook as lists show it.
type WebhookRow struct {
	cronium.Webhook
	EventName   string
	EventStatus cronium.EventStatus
	LastAt      *time.Time // nil: nothing that is kept came
	LastVerdict cronium.Verdict
}

// WebhookPage is the page at /webhooks/{id}.
type WebhookPage struct {
	layout.Frame
	WebhookRow
	URL        string // its whole address
	Secrets    []cronium.WebhookSecret
	Secret     string // the one just made: shown this once
	Deliveries []cronium.Delivery
	Older      string          // cursor of the next page of deliveries; "" on the last
	Verdict    cronium.Verdict // shown alone; "" = all
	Test       WebhookTest
	Roll       WebhookRoll
	Problems   cronium.Problems
	Message    string // why what was asked for was not done
	Now        time.Time
}

// WebhookTest is a body to try a webhook with, as typed.
type WebhookTest struct{ ContentType, Body string }

// WebhookRoll is what a new secret is to be, as typed.
type WebhookRoll struct{ Keep string }

// WebhookEdit is the form of a webhook, a new one at /webhooks/new.
type WebhookEdit struct {
	layout.Frame
	ID       *cronium.ID // nil: a new one
	Events   []EventChoice
	Form     WebhookForm
	Problems cronium.Problems
	Message  string
}

// EventChoice is an event to choose.
type EventChoice struct {
	ID   cronium.ID
	Name string
}

// WebhookForm is a webhook as typed.
type WebhookForm struct {
	Event, Name, Style, Header, KeyHeader, TimestampHeader, Window, OnceHeader, Headers, Allow, Wait, Rate, Secret string
}

// WebhookFormOf fills the form with what holds.
func WebhookFormOf(w *cronium.Webhook) WebhookForm {
	f := WebhookForm{
		Event: w.EventID.String(), Name: w.Name, Style: string(w.Style), TimestampHeader: w.TimestampHeader, Window: components.Span(time.Duration(w.WindowSeconds) * time.Second),
		OnceHeader: w.OnceHeader, Headers: strings.Join(w.Headers, "\n"), Allow: strings.Join(w.Allow, "\n"), Wait: strconv.Itoa(w.WaitSeconds), Rate: strconv.Itoa(w.RatePerMinute),
		Header: cronium.WebhookSignatureHeader, KeyHeader: cronium.WebhookKeyHeader,
	}
	switch w.Style {
	case cronium.WebhookHMAC:
		f.Header = w.Header
	case cronium.WebhookKey:
		f.KeyHeader = w.Header
	default:
		f.TimestampHeader = cronium.WebhookTimestampHeader
	}
	return f
}

func styleOptions() []components.Option {
	help := map[cronium.WebhookStyle]string{
		cronium.WebhookHMAC:   "The sender signs time and body with HMAC-SHA256; for scripts of your own and most services",
		cronium.WebhookGitHub: "X-Hub-Signature-256, as GitHub and Gitea send it",
		cronium.WebhookStripe: "Stripe-Signature with its time",
		cronium.WebhookSlack:  "X-Slack-Signature with its time; the question for the challenge is answered",
		cronium.WebhookKey:    "The sender sends the secret itself in a header; for those that cannot sign",
	}
	var options []components.Option
	for _, s := range cronium.WebhookStyles {
		options = append(options, components.Option{Value: string(s), Label: s.Label(), Help: help[s]})
	}
	return options
}

func (r WebhookRow) url() string { return "/webhooks/" + r.ID.String() }

func deliveryURL(id cronium.ID) string { return "/deliveries/" + id.String() }

// state is whether requests are taken.
func (r WebhookRow) state() components.State {
	switch {
	case !r.Enabled:
		return components.State{Class: "is-waiting", Icon: "pause", Label: "Off"}
	case r.EventStatus != cronium.EventActive:
		return components.State{Class: "is-warning", Icon: "alert", Label: "Event is " + strings.ToLower(string(r.EventStatus))}
	}
	return components.State{Class: "is-success", Icon: "check", Label: "On"}
}

// VerdictState is how a verdict is shown.
func VerdictState(v cronium.Verdict) components.State {
	switch v {
	case cronium.DeliveryAccepted:
		return components.State{Class: "is-success", Icon: "check", Label: "Accepted"}
	case cronium.DeliveryDuplicate:
		return components.State{Class: "is-waiting", Icon: "skip", Label: "Came before"}
	case cronium.DeliveryAnswered:
		return components.State{Class: "is-waiting", Icon: "check", Label: "Trial"}
	}
	return components.State{Class: "is-failure", Icon: "cross", Label: "Refused"}
}

func (p Webhooks) pageURL(after string) string {
	v := url.Values{}
	if p.Query != "" {
		v.Set("q", p.Query)
	}
	if after != "" {
		v.Set("after", after)
	}
	return withValues("/webhooks", v)
}

// pageURL is the address of a webhook's page with a filter and a place in the
// list of what came.
func (p WebhookPage) pageURL(verdict cronium.Verdict, older string) string {
	v := url.Values{}
	if verdict != "" {
		v.Set("verdict", string(verdict))
	}
	if older != "" {
		v.Set("before", older)
	}
	return withValues(p.url(), v)
}

func withValues(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// example is a call of the webhook for a shell, with the secret in the
// environment variable WEBHOOK_SECRET.
func (p WebhookPage) example() string {
	const body = "body='{\"hello\": \"world\"}'\n"
	const mac = "python3 -c 'import hmac, os, sys; print(hmac.new(os.environb[b\"WEBHOOK_SECRET\"], sys.stdin.buffer.read(), \"sha256\").hexdigest())'"
	send := "curl -sS " + p.URL + " \\\n  -H 'Content-Type: application/json' \\\n"
	end := "  --data-binary \"$body\"\n"
	sign := func(text string) string { return "signature=$(printf %s \"" + text + "\" | " + mac + ")\n" }
	switch {
	case p.Style == cronium.WebhookKey:
		bearer := ""
		if strings.EqualFold(p.Header, "Authorization") {
			bearer = "Bearer "
		}
		return body + fmt.Sprintf("printf '%s: %s%%s' \"$WEBHOOK_SECRET\" | ", p.Header, bearer) + send + "  -H @- \\\n" + end
	case p.Style == cronium.WebhookGitHub:
		return body + sign("$body") + send + "  -H \"X-Hub-Signature-256: sha256=$signature\" \\\n" + end
	case p.Style == cronium.WebhookStripe:
		return body + "time=$(date +%s)\n" + sign("$time.$body") + send + "  -H \"Stripe-Signature: t=$time,v1=$signature\" \\\n" + end
	case p.Style == cronium.WebhookSlack:
		return body + "time=$(date +%s)\n" + sign("v0:$time:$body") + send + "  -H \"X-Slack-Request-Timestamp: $time\" \\\n  -H \"X-Slack-Signature: v0=$signature\" \\\n" + end
	case p.TimestampHeader == "":
		return body + sign("$body") + send + "  -H \"" + p.Header + ": sha256=$signature\" \\\n" + end
	}
	return body + "time=$(date +%s)\n" + sign("$time.$body") + send + "  -H \"" + p.TimestampHeader + ": $time\" \\\n  -H \"" + p.Header + ": sha256=$signature\" \\\n" + end
}

// input says what a job gets.
func (p WebhookPage) input() string {
	if len(p.Headers) == 0 {
		return "The body: JSON as it is, a form as an object, text as a text."
	}
	return "{\"body\": …, \"headers\": {…}} with " + strings.Join(p.Headers, ", ") + "."
}

func (p WebhookPage) answers() string {
	if p.WaitSeconds == 0 {
		return "At once, with the job's id."
	}
	return "With the job's output, if it ends within " + components.Span(time.Duration(p.WaitSeconds)*time.Second) + "; else with its id."
}

// signed says what shows that a sender is the right one.
func (p WebhookPage) signed() string {
	window := components.Span(time.Duration(p.WindowSeconds) * time.Second)
	switch {
	case p.Style == cronium.WebhookKey:
		return "The secret in " + p.Header + "."
	case p.Style == cronium.WebhookGitHub:
		return "GitHub: X-Hub-Signature-256."
	case p.Style == cronium.WebhookStripe:
		return "Stripe-Signature, at most " + window + " old."
	case p.Style == cronium.WebhookSlack:
		return "X-Slack-Signature, at most " + window + " old."
	case p.TimestampHeader == "":
		return "HMAC-SHA256 of the body in " + p.Header + "."
	}
	return "HMAC-SHA256 of time and body in " + p.Header + ", the time in " + p.TimestampHeader + ", at most " + window + " old."
}

// DeliveryPage is the page at /deliveries/{id}.
type DeliveryPage struct {
	layout.Frame
	cronium.Delivery
	Webhook cronium.Webhook
	Message string
}

// body is what is shown of a body.
func (p DeliveryPage) body() string {
	if text := components.JSONText(p.Body); strings.Contains(p.ContentType, "json") {
		return text
	}
	return string(p.Body)
}

// webhookURL leads back.
func (p DeliveryPage) webhookURL() templ.SafeURL {
	return templ.URL("/webhooks/" + p.WebhookID.String())
}

// SettingsOutbound is the page at /settings/outgoing: what requests of events may
// reach beside the internet.
type SettingsOutbound struct {
	layout.Frame
	Allow     string // one a line, as typed
	ChangedBy string
	ChangedAt time.Time
	Problems  cronium.Problems
}
