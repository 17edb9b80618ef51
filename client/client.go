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
}

// New makes a client. The address is that of the pages.
func New(address, token string) *Client {
	return &Client{Address: strings.TrimRight(address, "/"), Token: token, HTTP: &http.Client{}}
}

// FieldError is what is wrong with one field of a request.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a refusal (problem+json, RFC 9457).
type Error struct {
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Fields []FieldError `json:"errors"`
}

func (e *Error) Error() string {
	lines := []string{e.Detail}
	for _, f := range e.Fields {
		lines = append(lines, strings.TrimSpace(f.Field+" "+f.Message))
	}
	return strings.Join(lines, "\n  ")
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
	res, err := c.ask(ctx, method, path, query, reader, headers...)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
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
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if res.StatusCode < 400 {
		return res, nil
	}
	defer res.Body.Close()
	refusal := &Error{Status: res.StatusCode}
	raw, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // a part of a refusal is one too
	if json.Unmarshal(raw, refusal) != nil || refusal.Detail == "" {
		refusal.Detail = fmt.Sprintf("%s answers %s. Is that the address of a Cronium?", c.Address, res.Status)
	}
	return nil, refusal
}

// List reads a list from all of its pages, at most most entries (0: all). name is
// the list's field in the answers.
func List[T any](ctx context.Context, c *Client, path, name string, query url.Values, most int) ([]T, error) {
	list := []T{}
	query = cloned(query)
	query.Set("limit", "200")
	if most > 0 && most < 200 {
		query.Set("limit", fmt.Sprint(most))
	}
	for {
		var page map[string]json.RawMessage
		if err := c.Do(ctx, http.MethodGet, path, query, nil, &page); err != nil {
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
		if next == "" || most > 0 && len(list) >= most {
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

// retryAfterCut is the first pause before a stream that was cut is asked for
// again; it doubles up to 10 s.
const retryAfterCut = 250 * time.Millisecond
