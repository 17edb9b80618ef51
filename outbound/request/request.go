package request

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a request.
const (
	MaxBytes       = 1 << 20 // of the file
	maxHeaders     = 100
	maxFields      = 1000
	maxAssertions  = 100
	maxTimeout     = 3600
	maxResponseKiB = 2048 // the answer is kept as the run's output
)

// Request is what is sent and what is expected.
type Request struct {
	Method         string `json:"method"`
	URL            string `json:"url"`
	Headers        []Pair `json:"headers,omitempty"`
	Auth           *Auth  `json:"auth,omitempty"`
	Body           *Body  `json:"body,omitempty"`
	Expect         Expect `json:"expect,omitzero"`
	TLS            *TLS   `json:"tls,omitempty"`
	TimeoutSeconds int    `json:"timeout_seconds,omitempty"`  // of the whole exchange, 1 to 3,600; 0 = 30
	KeepRedirects  bool   `json:"keep_redirects,omitempty"`   // a redirect is the answer and is not followed
	MaxResponseKiB int    `json:"max_response_kib,omitempty"` // read of the answer, 1 to 2,048; 0 = 1,024
}

// Pair is a header, or a field of a form.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Auth shows who sends. Type is "bearer" (Token), "basic" (User, Password) or
// "header" (Header, Token).
type Auth struct {
	Type     string `json:"type"`
	Token    string `json:"token,omitempty"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	Header   string `json:"header,omitempty"`
}

// Body is what is sent. Type is "json" (JSON, whose texts are templates), "form"
// (Form) or "text" (Text, as ContentType).
type Body struct {
	Type        string          `json:"type"`
	JSON        json.RawMessage `json:"json,omitempty"`
	Form        []Pair          `json:"form,omitempty"`
	Text        string          `json:"text,omitempty"`
	ContentType string          `json:"content_type,omitempty"` // with "text"; "" = text/plain
}

// Expect is what the answer has to be; otherwise the run fails.
type Expect struct {
	Status string      `json:"status,omitempty"` // "200", "200-299, 404"; "" = 200-299
	JSON   []Assertion `json:"json,omitempty"`
}

// Assertion is about one value of an answer that is JSON.
type Assertion struct {
	Path  string          `json:"path"` // .items[0].state; "." is all of it
	Is    string          `json:"is"`   // one of Comparisons
	Value json.RawMessage `json:"value,omitempty"`
}

// Comparisons are what an assertion can be.
var Comparisons = []string{"equals", "differs", "exists", "missing", "contains", "matches", "above", "below"}

// TLS are options of an encrypted connection.
type TLS struct {
	Insecure    bool   `json:"insecure,omitempty"`    // any certificate is taken
	CA          string `json:"ca,omitempty"`          // certificates in PEM that count instead of the system's
	Certificate string `json:"certificate,omitempty"` // of the client, in PEM; with Key
	Key         string `json:"key,omitempty"`         // like {{secrets.CLIENT_KEY}}
	ServerName  string `json:"server_name,omitempty"` // expected instead of the address's host
}

// Problem is a field that is wrong.
type Problem struct{ Field, Message string }

// Parse reads request.json. An unknown field is an error, because a misspelt one
// would be a request that is not the one that was meant.
func Parse(data []byte) (*Request, error) {
	if len(data) > MaxBytes {
		return nil, errors.New("it has more than 1 MiB")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var r Request
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("it is not a request as JSON: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF { //nolint:errorlint // as Token says it
		return nil, errors.New("there is more after its end")
	}
	return &r, nil
}

var (
	method     = regexp.MustCompile(`^[A-Z][A-Z-]{0,19}$`)
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}$`)
	// unset are headers that are made by the sending itself.
	unset = []string{"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}
)

// Validate checks a request as it is saved: what depends on templates is checked
// when it is sent.
func (r *Request) Validate() (problems []Problem) {
	add := func(ok bool, field, format string, args ...any) {
		if !ok {
			problems = append(problems, Problem{field, fmt.Sprintf(format, args...)})
		}
	}
	add(method.MatchString(r.Method) && r.Method != http.MethodConnect && r.Method != http.MethodTrace, "method", "must be a method like GET or POST")
	add(r.URL != "" && len(r.URL) <= 8000, "url", "must be an address like https://example.com/path")
	add(strings.HasPrefix(r.URL, "http://") || strings.HasPrefix(r.URL, "https://") || strings.HasPrefix(r.URL, "{{"), "url", "must begin with https:// or http://")
	add(len(r.Headers) <= maxHeaders, "headers", "must be at most %d", maxHeaders)
	for i, h := range r.Headers {
		add(headerName.MatchString(h.Name) && !slices.Contains(unset, strings.ToLower(h.Name)), fmt.Sprintf("headers[%d].name", i), "must be the name of a header that is not of the connection itself")
		add(!strings.ContainsAny(h.Value, "\r\n\x00"), fmt.Sprintf("headers[%d].value", i), "must be one line")
	}
	if a := r.Auth; a != nil {
		add(slices.Contains([]string{"bearer", "basic", "header"}, a.Type), "auth.type", "must be bearer, basic or header")
		add(a.Type != "header" || headerName.MatchString(a.Header) && !slices.Contains(unset, strings.ToLower(a.Header)), "auth.header", "must be the name of a header, like X-Api-Key")
	}
	if b := r.Body; b != nil {
		add(slices.Contains([]string{"json", "form", "text"}, b.Type), "body.type", "must be json, form or text")
		add(b.Type != "json" || len(b.JSON) > 0, "body.json", "must be JSON")
		add(len(b.Form) <= maxFields, "body.form", "must be at most %d fields", maxFields)
	}
	_, err := statuses(r.Expect.Status)
	add(err == nil, "expect.status", "must be numbers and ranges, like 200-299, 404")
	add(len(r.Expect.JSON) <= maxAssertions, "expect.json", "must be at most %d", maxAssertions)
	for i, a := range r.Expect.JSON {
		if err := a.validate(); err != nil {
			add(false, fmt.Sprintf("expect.json[%d]", i), "%v", err)
		}
	}
	if t := r.TLS; t != nil {
		add(t.CA == "" || strings.Contains(t.CA, "{{") || x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)), "tls.ca", "must be certificates in PEM")
		add((t.Certificate == "") == (t.Key == ""), "tls.key", "must come with a certificate, and a certificate with its key")
	}
	add(r.TimeoutSeconds >= 0 && r.TimeoutSeconds <= maxTimeout, "timeout_seconds", "must be between 1 and 3,600; 0 is 30")
	add(r.MaxResponseKiB >= 0 && r.MaxResponseKiB <= maxResponseKiB, "max_response_kib", "must be between 1 and 2,048; 0 is 1,024")
	for _, name := range r.names() {
		add(knownName(name), "templates", "{{%s}} is not known; it takes input.…, variables.KEY and secrets.KEY", name)
	}
	return problems
}

func (a *Assertion) validate() error {
	if _, err := parsePath(a.Path); err != nil {
		return err
	}
	if !slices.Contains(Comparisons, a.Is) {
		return fmt.Errorf("is must be one of %s", strings.Join(Comparisons, ", "))
	}
	switch a.Is {
	case "exists", "missing":
	case "matches":
		var text string
		if json.Unmarshal(a.Value, &text) != nil {
			return errors.New("value must be a pattern as a text")
		}
		if _, err := regexp.Compile(text); err != nil {
			return errors.New("value must be a regular expression")
		}
	case "above", "below":
		var n float64
		if json.Unmarshal(a.Value, &n) != nil {
			return errors.New("value must be a number")
		}
	default:
		if !json.Valid(a.Value) {
			return errors.New("value must be JSON")
		}
	}
	return nil
}

type span struct{ from, to int }

// statuses reads "200-299, 404".
func statuses(text string) ([]span, error) {
	if strings.TrimSpace(text) == "" {
		return []span{{200, 299}}, nil
	}
	var list []span
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		low, err := strconv.Atoi(strings.TrimSpace(from))
		high := low
		if isRange && err == nil {
			high, err = strconv.Atoi(strings.TrimSpace(to))
		}
		if err != nil || low < 100 || high > 599 || low > high {
			return nil, fmt.Errorf("%q is no status", part)
		}
		list = append(list, span{low, high})
	}
	return list, nil
}
