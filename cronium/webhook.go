package cronium

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// WebhookStyle is how a sender shows that it knows a webhook's secret.
type WebhookStyle string

// The styles. All but WebhookKey sign the body with HMAC-SHA256.
const (
	WebhookHMAC   WebhookStyle = "hmac"   // Webhook.Header is the signature, over "TIMESTAMP.BODY" or the body alone
	WebhookGitHub WebhookStyle = "github" // X-Hub-Signature-256
	WebhookStripe WebhookStyle = "stripe" // Stripe-Signature
	WebhookSlack  WebhookStyle = "slack"  // X-Slack-Signature
	WebhookKey    WebhookStyle = "key"    // Webhook.Header is the secret itself
)

// WebhookStyles lists them as a form shows them.
var WebhookStyles = []WebhookStyle{WebhookHMAC, WebhookGitHub, WebhookStripe, WebhookSlack, WebhookKey}

// Label is the style's name for people.
func (s WebhookStyle) Label() string {
	switch s {
	case WebhookGitHub:
		return "GitHub"
	case WebhookStripe:
		return "Stripe"
	case WebhookSlack:
		return "Slack"
	case WebhookKey:
		return "Key"
	}
	return "Signature"
}

// What a new webhook has.
const (
	WebhookSignatureHeader = "X-Cronium-Signature"
	WebhookTimestampHeader = "X-Cronium-Timestamp"
	WebhookKeyHeader       = "X-Cronium-Key"
	WebhookOnceHeader      = "Idempotency-Key"
)

// Bounds of webhooks.
const (
	MaxWebhookBytes   = 1 << 20 // of a request's body
	MaxWebhookWait    = 60      // seconds
	MaxEventWebhooks  = 20      // of one event
	minWebhookSecret  = 8       // bytes
	maxWebhookSecret  = 500
	maxWebhookHeaders = 20
	maxWebhookAllow   = 50
)

// Webhook is an address that fires an event.
type Webhook struct {
	ID              ID
	WorkspaceID     ID
	EventID         ID
	Hook            string // the part of the address that nobody can guess
	Name            string // 1 to 120 characters
	Style           WebhookStyle
	Header          string   // of the signature (WebhookHMAC) or the key (WebhookKey); else ""
	TimestampHeader string   // with WebhookHMAC: of the time, in seconds since 1970; "" = the body alone is signed
	WindowSeconds   int      // how old or far ahead a signed time may be, 10 to 3,600
	OnceHeader      string   // its value makes a repeated request the same one; "" = none
	Headers         []string // given to the job beside the body; none: its input is the body
	Allow           []string // addresses and ranges that may send; none: all
	WaitSeconds     int      // 0 = answer with the job's id at once; else wait that long for its output
	RatePerMinute   int      // of verified requests, 1 to 60,000, counted by each server process
	Enabled         bool
	ChangedBy       string // a person's or a token's name as it was
	CreatedAt       time.Time
	UpdatedAt       time.Time
}

// NewWebhook is what a form for a new webhook begins with.
func NewWebhook() Webhook {
	return Webhook{Style: WebhookHMAC, Header: WebhookSignatureHeader, TimestampHeader: WebhookTimestampHeader, WindowSeconds: 300,
		OnceHeader: WebhookOnceHeader, RatePerMinute: 600, Enabled: true}
}

// WebhookSecret is one of the secrets that count for a webhook, sealed.
type WebhookSecret struct {
	ID        ID
	DataKey   int // the version of the workspace's key that seals it
	Sealed    []byte
	CreatedAt time.Time
	ExpiresAt *time.Time // of one that was replaced; nil: the one of now
}

// Verdict is what became of a request to a webhook.
type Verdict string

// The verdicts.
const (
	DeliveryAccepted  Verdict = "ACCEPTED"  // it has a job
	DeliveryDuplicate Verdict = "DUPLICATE" // it came before; the job is that of then
	DeliveryAnswered  Verdict = "ANSWERED"  // a sender's trial, answered without a job
	DeliveryRefused   Verdict = "REFUSED"   // Delivery.Reason says why
)

// Verdicts lists them.
var Verdicts = []Verdict{DeliveryAccepted, DeliveryDuplicate, DeliveryAnswered, DeliveryRefused}

// Delivery is one request that came to a webhook. Nothing of the body and the
// headers of one that was not verified is kept.
type Delivery struct {
	ID          ID
	WorkspaceID ID
	WebhookID   ID
	Verdict     Verdict
	Verified    bool   // it showed that its sender knows the secret
	Reason      string // why it was refused, for a person
	Status      int    // of the answer, as HTTP has it
	Address     string // from where it came
	ContentType string
	Headers     []DeliveryHeader
	Body        []byte // the first 64 KiB
	Size        int    // of the whole body, in bytes
	JobID       *ID
	ReplayOf    *ID    // the delivery that a person sent again
	By          string // who sent it from the page; "" = it came from outside
	At          time.Time
}

// DeliveryHeader is a header of a request; the value of one that is secret is "…".
type DeliveryHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,79}$`)
	// unreadable are headers that no job gets: they are secret, or of the connection.
	unreadable = []string{"authorization", "proxy-authorization", "cookie", "x-hub-signature", "x-hub-signature-256", "stripe-signature", "x-slack-signature"}
)

// Validate checks a webhook before it is stored.
func (w *Webhook) Validate() Problems {
	var p Problems
	n := utf8.RuneCountInString(w.Name)
	p.Add(strings.TrimSpace(w.Name) == w.Name && n >= 1 && n <= 120 && printable(w.Name), "name",
		"must have 1 to 120 printable characters, with no space at either end")
	p.Add(slices.Contains(WebhookStyles, w.Style), "style", "must be hmac, github, stripe, slack or key")
	own := w.Style == WebhookHMAC || w.Style == WebhookKey
	p.Add(!own || headerName.MatchString(w.Header), "header", "must be the name of a header, like X-Cronium-Signature")
	p.Add(own || w.Header == "", "header", "is fixed by the style")
	p.Add(w.Style == WebhookHMAC || w.TimestampHeader == "", "timestamp_header", "is for the style hmac alone")
	p.Add(w.TimestampHeader == "" || headerName.MatchString(w.TimestampHeader), "timestamp_header", "must be the name of a header, or empty where the sender signs the body alone")
	p.Add(w.WindowSeconds >= 10 && w.WindowSeconds <= 3600, "window_seconds", "must be between 10 s and 1 h")
	p.Add(w.OnceHeader == "" || headerName.MatchString(w.OnceHeader) && !w.Secret(w.OnceHeader), "once_header",
		"must be the name of a header that holds no secret, like Idempotency-Key, or empty")
	p.Add(len(w.Headers) <= maxWebhookHeaders, "headers", "must be at most %d", maxWebhookHeaders)
	for i, h := range w.Headers {
		p.Add(headerName.MatchString(h), fmt.Sprintf("headers[%d]", i), "must be the name of a header, like X-GitHub-Event")
		p.Add(!w.Secret(h), fmt.Sprintf("headers[%d]", i), "holds a secret, which no job gets")
	}
	p.Add(len(w.Allow) <= maxWebhookAllow, "allow", "must be at most %d", maxWebhookAllow)
	for i, entry := range w.Allow {
		_, ok := addressRange(entry)
		p.Add(ok, fmt.Sprintf("allow[%d]", i), "must be an address or a range, like 192.0.2.7 or 192.0.2.0/24")
	}
	p.Add(w.WaitSeconds >= 0 && w.WaitSeconds <= MaxWebhookWait, "wait_seconds", "must be between 0 and %d s", MaxWebhookWait)
	p.Add(w.RatePerMinute >= 1 && w.RatePerMinute <= 60_000, "rate_per_minute", "must be between 1 and 60,000")
	return p
}

// ValidateWebhookSecret checks a secret that a person or a sender chose.
func ValidateWebhookSecret(secret string) Problems {
	var p Problems
	p.Add(len(secret) >= minWebhookSecret && len(secret) <= maxWebhookSecret && printable(secret) && strings.TrimSpace(secret) == secret, "secret",
		"must have %d to %d printable characters, with no space at either end; empty makes a new one", minWebhookSecret, maxWebhookSecret)
	return p
}

// Secret tells whether a header holds what shows that the sender is the right
// one, so that it is neither kept nor given to a job.
func (w *Webhook) Secret(header string) bool {
	lower := strings.ToLower(header)
	if slices.Contains(unreadable, lower) || strings.EqualFold(header, w.Header) {
		return true
	}
	return slices.ContainsFunc([]string{"secret", "token", "password", "signature", "api-key", "apikey"}, func(word string) bool { return strings.Contains(lower, word) })
}

// Admits tells whether a request may come from an address.
func (w *Webhook) Admits(address netip.Addr) bool {
	return len(w.Allow) == 0 || slices.ContainsFunc(w.Allow, func(entry string) bool {
		r, ok := addressRange(entry)
		return ok && r.Contains(address.Unmap())
	})
}

// addressRange reads "192.0.2.0/24", or an address as the range of one.
func addressRange(text string) (netip.Prefix, bool) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	r, err := netip.ParsePrefix(text)
	return r.Masked(), err == nil && !r.Addr().Is4In6()
}
