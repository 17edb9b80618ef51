package request

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"cronium.dev/outbound"
)

// Response is the answer as the run's output has it.
type Response struct {
	Status    int               `json:"status"`
	Headers   map[string]string `json:"headers"` // names in lower case
	Body      json.RawMessage   `json:"body"`    // JSON as it is; a text; {"base64": …} for anything else
	Truncated bool              `json:"truncated,omitempty"`
	TookMS    int64             `json:"took_ms"`
	Size      int               `json:"size"` // bytes that were read of the body
	isJSON    bool
}

// Unreached is the error of a request that got no answer: another attempt may
// get one.
type Unreached struct{ Err error }

func (e *Unreached) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Unreached) Unwrap() error { return e.Err }

// Line is a line of the log: "> POST https://…" or "< 200 OK, 1.2 KB in 80 ms".
type Line func(format string, args ...any)

// Send fills a request with values, sends it and reads the answer. Guard, if not
// nil, says what may be reached. The error is an *Unreached where no answer came,
// and says otherwise what is wrong with the request.
func (r *Request) Send(ctx context.Context, guard *outbound.Guard, lookup Lookup, line Line) (*Response, error) {
	timeout := time.Duration(r.TimeoutSeconds) * time.Second
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := r.build(ctx, lookup)
	if err != nil {
		return nil, err
	}
	client, err := r.client(guard, lookup, line)
	if err != nil {
		return nil, err
	}
	// The query is left out: it may hold what a template put there.
	line("> %s %s", r.Method, shown(req.URL))
	began := time.Now()
	answer, err := client.Do(req)
	if err != nil {
		return nil, unreached(err, timeout)
	}
	defer answer.Body.Close()
	response, err := r.read(answer)
	if err != nil {
		return nil, unreached(err, timeout)
	}
	response.TookMS = time.Since(began).Milliseconds()
	line("< %s, %d bytes in %d ms", answer.Status, response.Size, response.TookMS)
	return response, nil
}

func shown(u *url.URL) string {
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.RawQuery != "" {
		return short.String() + "?…"
	}
	return short.String()
}

// unreached says in words why no answer came.
func unreached(err error, timeout time.Duration) error {
	var refused *outbound.Refused
	var wrapped *url.Error
	switch {
	case errors.As(err, &refused):
		return errors.New(refused.Error()) // another attempt gets no further
	case errors.Is(err, context.DeadlineExceeded):
		return &Unreached{fmt.Errorf("no answer came within %s", timeout)}
	case errors.As(err, &wrapped): // its text has the whole address
		err = wrapped.Err
	}
	return &Unreached{fmt.Errorf("no answer came: %w", err)}
}

// build makes the request with all values in place.
func (r *Request) build(ctx context.Context, lookup Lookup) (*http.Request, error) {
	address, err := fillURL(r.URL, lookup)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if _, err := outbound.ParseURL(address); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	body, kind, err := r.body(lookup)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("url: this is not an address that can be asked")
	}
	if len(body) == 0 {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	req.Header.Set("User-Agent", "Cronium")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	for _, h := range r.Headers {
		value, err := fill(h.Value, lookup, asIs)
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", h.Name, err)
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("header %s: the value is more than one line", h.Name)
		}
		req.Header.Set(h.Name, value)
	}
	return req, r.Auth.apply(req, lookup)
}

// body gives the bytes that are sent and their type.
func (r *Request) body(lookup Lookup) ([]byte, string, error) {
	if r.Body == nil {
		return nil, "", nil
	}
	switch b := r.Body; b.Type {
	case "json":
		body, err := fillJSON(b.JSON, lookup)
		return body, "application/json", err
	case "form":
		form := url.Values{}
		for _, field := range b.Form {
			value, err := fill(field.Value, lookup, asIs)
			if err != nil {
				return nil, "", fmt.Errorf("field %s: %w", field.Name, err)
			}
			form.Add(field.Name, value)
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
	default:
		text, err := fill(b.Text, lookup, asIs)
		kind := b.ContentType
		if kind == "" {
			kind = "text/plain; charset=utf-8"
		}
		return []byte(text), kind, err
	}
}

// apply puts into a request what shows who sends it.
func (a *Auth) apply(req *http.Request, lookup Lookup) error {
	if a == nil {
		return nil
	}
	values := [3]string{a.Token, a.User, a.Password}
	for i, text := range values {
		value, err := fill(text, lookup, asIs)
		if err != nil {
			return fmt.Errorf("auth: %w", err)
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return errors.New("auth: a value is more than one line")
		}
		values[i] = value
	}
	switch a.Type {
	case "bearer":
		req.Header.Set("Authorization", "Bearer "+values[0])
	case "basic":
		req.SetBasicAuth(values[1], values[2])
	case "header":
		req.Header.Set(a.Header, values[0])
	}
	return nil
}

// client makes the client of one request.
func (r *Request) client(guard *outbound.Guard, lookup Lookup, line Line) (*http.Client, error) {
	open := outbound.Guard{}
	if guard == nil {
		guard = &open
	}
	client := guard.Client(0)
	transport := guard.Transport()
	if guard == &open {
		dialer := net.Dialer{Timeout: 10 * time.Second}
		transport.DialContext = dialer.DialContext
	}
	var err error
	if transport.TLSClientConfig, err = r.TLS.config(lookup); err != nil {
		return nil, err
	}
	client.Transport = transport
	check := client.CheckRedirect
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if r.KeepRedirects {
			return http.ErrUseLastResponse
		}
		if err := check(req, via); err != nil {
			return err
		}
		line("> %s %s (redirected)", req.Method, shown(req.URL))
		return nil
	}
	return client, nil
}

func (t *TLS) config(lookup Lookup) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return config, nil
	}
	var texts [3]string
	for i, text := range []string{t.CA, t.Certificate, t.Key} {
		var err error
		if texts[i], err = fill(text, lookup, asIs); err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
	}
	config.InsecureSkipVerify, config.ServerName = t.Insecure, t.ServerName
	if texts[0] != "" {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(texts[0])) {
			return nil, errors.New("tls: the CA is no certificate in PEM")
		}
	}
	if texts[1] != "" {
		pair, err := tls.X509KeyPair([]byte(texts[1]), []byte(texts[2]))
		if err != nil {
			return nil, errors.New("tls: certificate and key are not a pair in PEM")
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// read takes what may be kept of an answer.
func (r *Request) read(answer *http.Response) (*Response, error) {
	most := r.MaxResponseKiB
	if most == 0 {
		most = 1024
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, int64(most)<<10+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	response := &Response{Status: answer.StatusCode, Headers: map[string]string{}, Size: len(body)}
	if response.Truncated = len(body) > most<<10; response.Truncated {
		body = body[:most<<10]
		response.Size = len(body)
	}
	for name, values := range answer.Header {
		response.Headers[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "\ufffd")
	}
	switch {
	case !response.Truncated && json.Valid(body) && utf8.Valid(body):
		response.Body, response.isJSON = body, true
	case utf8.Valid(body) || response.Truncated && utf8.Valid(body[:len(body)-lastRune(body)]):
		response.Body, err = json.Marshal(strings.ToValidUTF8(string(body), ""))
	default:
		response.Body, err = json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(body)})
	}
	return response, err
}

// lastRune is how many bytes at the end belong to a character that was cut.
func lastRune(body []byte) int {
	for n := 1; n <= min(3, len(body)); n++ {
		if utf8.RuneStart(body[len(body)-n]) {
			if utf8.FullRune(body[len(body)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}
