package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"cronium.dev/cronium"
)

const (
	// maxDepth is how deep JSON may be nested.
	maxDepth = 64
	// maxFields is how many fields a form may have.
	maxFields = 1000
	// maxOnce is the longest idempotency key, in bytes.
	maxOnce = 200
)

// ErrType is the error of a body of a type that no webhook takes.
var ErrType = errors.New("a webhook takes application/json, application/x-www-form-urlencoded and text/plain")

// Payload is what a verified request carries.
type Payload struct {
	// Input is that of the job: the body, or {"body": …, "headers": {…}} where the
	// webhook chooses headers. nil: the request brought nothing.
	Input json.RawMessage
	// Once names the request: one with the same name is the same. "" = no name.
	Once string
	// Trial is set for a sender's question whether the address is right: it gets
	// Answer, and no job is made.
	Trial  bool
	Answer string // text/plain
}

// Read makes a job's input of a verified request. The error is ErrType, or a
// *cronium.Error that says what is wrong with the body.
func Read(w *cronium.Webhook, header http.Header, body []byte) (*Payload, error) {
	parsed, err := parse(w, header, body)
	if err != nil {
		return nil, err
	}
	p := &Payload{Input: parsed}
	if err := p.know(w, header, parsed); err != nil {
		return nil, err
	}
	if len(w.Headers) == 0 {
		return p, nil
	}
	chosen := map[string]string{}
	for _, name := range w.Headers {
		if values := header.Values(name); len(values) > 0 {
			chosen[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "\ufffd")
		}
	}
	if parsed == nil {
		parsed = json.RawMessage("null")
	}
	p.Input, err = json.Marshal(struct {
		Body    json.RawMessage   `json:"body"`
		Headers map[string]string `json:"headers"`
	}{parsed, chosen})
	if err != nil {
		return nil, fmt.Errorf("put body and headers together: %w", err)
	}
	return p, nil
}

// parse makes JSON of a body: of JSON itself, of a form an object, of a text a
// string.
func parse(w *cronium.Webhook, header http.Header, body []byte) (json.RawMessage, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if len(header.Values("Content-Encoding")) > 0 {
		return nil, refuse("The body is compressed (Content-Encoding); send it as it is.")
	}
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || len(header.Values("Content-Type")) > 1 {
		return nil, ErrType
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, refuse("The body's text is %s; send it as UTF-8.", charset)
	}
	if !utf8.Valid(body) {
		return nil, refuse("The body is not UTF-8.")
	}
	switch {
	case kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json"):
		return parseJSON(body)
	case kind == "application/x-www-form-urlencoded":
		return parseForm(w, body)
	case kind == "text/plain":
		return json.Marshal(string(body))
	}
	return nil, ErrType
}

func parseJSON(body []byte) (json.RawMessage, error) {
	if cronium.JSONDepth(body) > maxDepth {
		return nil, refuse("The body's JSON is nested more than %d deep.", maxDepth)
	}
	if !json.Valid(body) {
		return nil, refuse("The body says that it is JSON and is not.")
	}
	return json.RawMessage(bytes.TrimSpace(body)), nil
}

// parseForm makes an object of a form: a text for a field, a list where it comes
// more than once. GitHub and Slack put JSON into the field payload.
func parseForm(w *cronium.Webhook, body []byte) (json.RawMessage, error) {
	if bytes.Count(body, []byte{'&'}) >= maxFields {
		return nil, refuse("The form has more than %d fields.", maxFields)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refuse("The body says that it is a form and is not.")
	}
	if payload := form["payload"]; len(form) == 1 && len(payload) == 1 && (w.Style == cronium.WebhookGitHub || w.Style == cronium.WebhookSlack) {
		return parseJSON([]byte(payload[0]))
	}
	fields := map[string]any{}
	for name, values := range form {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return nil, refuse("A field of the form is not UTF-8.")
		}
		if fields[name] = values; len(values) == 1 {
			fields[name] = values[0]
		}
	}
	return json.Marshal(fields)
}

// know finds what names the request, and what senders ask as a trial.
func (p *Payload) know(w *cronium.Webhook, header http.Header, parsed json.RawMessage) error {
	var known struct{ Type, Challenge, ID, EventID string }
	if w.Style == cronium.WebhookStripe || w.Style == cronium.WebhookSlack {
		var fields map[string]json.RawMessage
		_ = json.Unmarshal(parsed, &fields) // one that is no object has none of these
		text := func(name string) (s string) {
			_ = json.Unmarshal(fields[name], &s) // "" where it is no text
			return s
		}
		known.Type, known.Challenge, known.ID, known.EventID = text("type"), text("challenge"), text("id"), text("event_id")
	}
	switch {
	case w.Style == cronium.WebhookGitHub && header.Get(gitHubEvent) == "ping":
		p.Trial, p.Answer = true, "pong"
	case w.Style == cronium.WebhookGitHub:
		p.Once = header.Get(gitHubDelivery)
	case w.Style == cronium.WebhookSlack && known.Type == "url_verification":
		p.Trial, p.Answer = true, known.Challenge
	case w.Style == cronium.WebhookSlack:
		p.Once = known.EventID
	case w.Style == cronium.WebhookStripe:
		p.Once = known.ID
	}
	if values := header.Values(w.OnceHeader); w.OnceHeader != "" && len(values) == 1 && values[0] != "" {
		p.Once = values[0]
	} else if len(values) > 1 && w.OnceHeader != "" {
		return refuse("The header %s is there more than once.", w.OnceHeader)
	}
	if len(p.Once) > maxOnce || !utf8.ValidString(p.Once) {
		return refuse("The name of the request, which makes a repetition the same one, is longer than %d characters or not UTF-8.", maxOnce)
	}
	return nil
}

func refuse(format string, args ...any) error {
	return cronium.Errorf(cronium.CodeInvalid, format, args...)
}
