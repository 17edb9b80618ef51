package instance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"cronium.dev/cronium"
)

// Client calls the API with a token. Its methods may be called concurrently.
type Client struct {
	token string
	http  *http.Client
	// address gives the server to ask next: after a failed call it is asked
	// again, so that a client goes on with a server that lives.
	address func() string
}

// NewClient makes a client. address is asked before each try.
func NewClient(token string, address func() string) *Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 300, IdleConnTimeout: 20 * time.Second}
	return &Client{token: token, http: &http.Client{Transport: transport}, address: address}
}

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Refusal is an answer that says no.
type Refusal struct {
	Status int
	Body   string
}

func (r *Refusal) Error() string { return fmt.Sprintf("the server answered %d: %s", r.Status, r.Body) }

// Try sends one request and reads the answer into the value, if that is not nil.
func (c *Client) Try(ctx context.Context, method, path string, header http.Header, body, into any) error {
	answer, err := c.Open(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, answer)
		return err
	}
	return json.NewDecoder(answer).Decode(into)
}

// Open sends one request and gives the body of its answer. An answer that says
// no is a *Refusal.
func (c *Client) Open(ctx context.Context, method, path string, header http.Header, body any) (io.ReadCloser, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.address()+path, sent)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(response.Body, 2000)) // what could be read of it
		return nil, &Refusal{response.StatusCode, string(text)}
	}
	return response.Body, nil
}

// Insist tries until the server answers: not while a connection fails, nor
// while it says that something of its own is wrong (5xx), but for a request
// that it refuses. A try takes 10 s at most.
func (c *Client) Insist(ctx context.Context, method, path string, header http.Header, body, into any) error {
	for {
		once, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := c.Try(once, method, path, header, body, into)
		cancel()
		refusal, refused := err.(*Refusal)
		if err == nil || refused && refusal.Status < 500 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w (last: %w)", method, path, ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// CreateEvent makes an active event.
func (c *Client) CreateEvent(ctx context.Context, name string, kind cronium.EventType, content cronium.Content) (cronium.ID, error) {
	var made struct{ ID cronium.ID }
	err := c.Insist(ctx, http.MethodPost, "/api/v1/events", nil, map[string]any{
		"name": name, "type": kind, "status": cronium.EventActive, "content": content,
	}, &made)
	return made.ID, err
}

// Run asks for a job until it is accepted, and gives its id. The key makes
// sure that it is accepted once.
func (c *Client) Run(ctx context.Context, event cronium.ID, key string) (cronium.ID, error) {
	var job struct{ ID cronium.ID }
	err := c.Insist(ctx, http.MethodPost, "/api/v1/events/"+event.String()+"/run", http.Header{"Idempotency-Key": {key}}, struct{}{}, &job)
	return job.ID, err
}

// Cancel asks for a job to be stopped.
func (c *Client) Cancel(ctx context.Context, job cronium.ID) error {
	return c.Insist(ctx, http.MethodPost, "/api/v1/jobs/"+job.String()+"/cancel", nil, struct{}{}, nil)
}
