package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// Client is one server and a way in. It may be used concurrently.
type Client struct {
	Address string // "https://cronium.example"
	Token   string // crn_…
	HTTP    *http.Client

	Answer   time.Duration // longest time for one answer of Do
	Silence  time.Duration // a stream that is silent for so long is cut: the server sends something every 15 s
	Patience time.Duration // how long Insist and Follow try while the server does not answer
}

// New makes a client. The address is that of the pages. It follows no
// redirection: that would take the token to another place.
func New(address, token string) *Client {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		Address: strings.TrimRight(address, "/"), Token: token, HTTP: &http.Client{CheckRedirect: stay},
		Answer: time.Minute, Silence: 45 * time.Second, Patience: 5 * time.Minute,
	}
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a refusal (problem+json, RFC 9457).
type Error struct {
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Fields    []FieldError `json:"fields"`
	RequestID string       `json:"request_id"` // names the request in the server's log
}

func (e *Error) Error() string {
	if e.Status >= 500 && e.RequestID != "" {
		return fmt.Sprintf("%s (request %s)", e.Detail, e.RequestID)
	}
	if len(e.Fields) == 0 {
		return e.Detail
	}
	fields := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = strings.TrimSpace(f.Field + " " + f.Message)
	}
	return strings.TrimRight(e.Detail, ".") + ": " + strings.Join(fields, "; ")
}

// passing reports whether the same request may succeed later.
func passing(err error) bool {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests
	}
	return errors.Is(err, ErrUnreachable)
}

// ErrUnreachable says that the server did not answer.
var ErrUnreachable = errors.New("the server does not answer")

// Do asks one question. path is below /api/v1; body and answer may be nil, and an
// answer of *[]byte takes the JSON as it came.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, answer any, headers ...string) error {
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("ask the server: %w", err)
		}
		reader = bytes.NewReader(raw)
	}
	limited, cancel := context.WithTimeout(ctx, c.Answer)
	defer cancel()
	res, err := c.ask(limited, method, path, query, reader, headers...)
	if err != nil {
		return lost(ctx, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return lost(ctx, err)
	}
	switch into := answer.(type) {
	case nil:
		return nil
	case *[]byte:
		*into = raw
		return nil
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("the server's answer to %s %s cannot be read: %w", method, path, err)
	}
	return nil
}

// Insist is Do, asked again for Patience while the server does not answer or says
// that something of its own is wrong. Only for what may be asked twice.
func (c *Client) Insist(ctx context.Context, method, path string, query url.Values, body, answer any, headers ...string) error {
	begun := time.Now()
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		err := c.Do(ctx, method, path, query, body, answer, headers...)
		if err == nil || !passing(err) || time.Since(begun) > c.Patience {
			return err
		}
		if pause(ctx, wait) != nil {
			return ctx.Err()
		}
	}
}

// Copy writes an answer as it is.
func (c *Client) Copy(ctx context.Context, path string, query url.Values, to io.Writer) error {
	res, err := c.ask(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return lost(ctx, err)
	}
	defer res.Body.Close()
	read := &reading{Reader: res.Body}
	if _, err = io.Copy(to, read); err != nil && read.failed {
		return lost(ctx, err)
	}
	return err
}

// reading tells errors of reading from those of writing.
type reading struct {
	io.Reader
	failed bool
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.failed = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

// lost is the error of a connection that failed: that of ctx where it has ended,
// otherwise ErrUnreachable, unless the server said something.
func lost(ctx context.Context, err error) error {
	var refusal *Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refusal), errors.Is(err, ErrUnreachable):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// ask sends a request. An answer that is a refusal is an *Error.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body io.Reader, headers ...string) (*http.Response, error) {
	address := c.Address + "/api/v1" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	return nil, c.refusal(res)
}

// refusal reads what an answer says that is none to the question.
func (c *Client) refusal(res *http.Response) error {
	refusal := &Error{Status: res.StatusCode}
	if to := res.Header.Get("Location"); res.StatusCode < 400 && to != "" {
		refusal.Detail = fmt.Sprintf("%s sends to %s. Log in with the address that is meant.", c.Address, to)
		return refusal
	}
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // a part of a refusal is one too
	if json.Unmarshal(raw, refusal) != nil || refusal.Detail == "" {
		*refusal = Error{Status: res.StatusCode, Detail: fmt.Sprintf("%s answers %s. Is that the address of a Cronium?", c.Address, res.Status)}
	}
	return refusal
}

// List reads a list from all of its pages, at most most entries (0: all). name is
// the list's field in the answers.
func List[T any](ctx context.Context, c *Client, path, name string, query url.Values, most int) ([]T, error) {
	return list[T](ctx, c.Do, path, name, query, most)
}

// InsistList is List by way of Insist.
func InsistList[T any](ctx context.Context, c *Client, path, name string, query url.Values) ([]T, error) {
	return list[T](ctx, c.Insist, path, name, query, 0)
}

// asking is Do or Insist.
type asking func(ctx context.Context, method, path string, query url.Values, body, answer any, headers ...string) error

func list[T any](ctx context.Context, ask asking, path, name string, query url.Values, most int) ([]T, error) {
	list := []T{}
	query = cloned(query)
	query.Set("limit", "200")
	if most > 0 && most < 200 {
		query.Set("limit", fmt.Sprint(most))
	}
	for {
		var page map[string]json.RawMessage
		if err := ask(ctx, http.MethodGet, path, query, nil, &page); err != nil {
			return nil, err
		}
		var part []T
		var next string
		if err := json.Unmarshal(page[name], &part); err != nil {
			return nil, fmt.Errorf("the server's list of %s cannot be read: %w", name, err)
		}
		list = append(list, part...)
		if page["next"] != nil {
			if err := json.Unmarshal(page["next"], &next); err != nil {
				return nil, fmt.Errorf("the server's list of %s cannot be read: %w", name, err)
			}
		}
		if most > 0 && len(list) >= most {
			return list[:most], nil
		}
		if next == "" {
			return list, nil
		}
		query.Set("cursor", next)
	}
}

func cloned(query url.Values) url.Values {
	c := url.Values{}
	for name, values := range query {
		c[name] = values
	}
	return c
}

// Between tries of what failed passes firstPause, then twice as long each time.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// pause ends early, with its error, when ctx ends.
func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
