package client

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Event is one server-sent event.
type Event struct {
	ID   string
	Name string // "" for one without
	Data string
}

// maxLine bounds one line of a stream: a piece of output is far smaller.
const maxLine = 4 << 20

// Follow reads a stream until handle returns false or an error, or ctx ends. When
// the connection is cut it comes back and goes on behind the last event; refused
// for good (an *Error below 500), it gives up.
func (c *Client) Follow(ctx context.Context, path string, query url.Values, handle func(Event) (more bool, err error)) error {
	last := ""
	for wait := retryAfterCut; ; wait = min(2*wait, 10*time.Second) {
		progress, done, err := c.stream(ctx, path, query, &last, handle)
		if done || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		var refusal *Error
		if errors.As(err, &refusal) && refusal.Status < 500 {
			return err
		}
		if progress {
			wait = retryAfterCut
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stream reads one connection. done: handle wants no more.
func (c *Client) stream(ctx context.Context, path string, query url.Values, last *string, handle func(Event) (bool, error)) (progress, done bool, err error) {
	headers := []string{"Accept", "text/event-stream"}
	if *last != "" {
		headers = append(headers, "Last-Event-ID", *last)
	}
	res, err := c.ask(ctx, http.MethodGet, path, query, nil, headers...)
	if err != nil {
		return false, false, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var e Event
	var data []string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.ID = value
		case "event":
			e.Name = value
		case "data":
			data = append(data, value)
		case "":
			if lines.Text() != "" || len(data) == 0 {
				continue // a comment, or the end of nothing
			}
			e.Data = strings.Join(data, "\n")
			more, err := handle(e)
			if err != nil || !more {
				return true, true, err
			}
			if e.ID != "" {
				*last = e.ID
			}
			progress, e, data = true, Event{}, nil
		}
	}
	return progress, false, lines.Err()
}
