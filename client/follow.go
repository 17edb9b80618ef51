package client

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
// the connection is cut it comes back and goes on behind the last event. It gives
// up when the server refuses (an *Error), or has not answered for Patience.
func (c *Client) Follow(ctx context.Context, path string, query url.Values, handle func(Event) (more bool, err error)) error {
	s := stream{client: c, path: path, query: query, handle: handle}
	answered := time.Now()
	for wait := firstPause; ; wait = min(2*wait, longestPause) {
		done, err := s.read(ctx)
		switch {
		case done:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case !passing(err):
			return err
		}
		if s.answered {
			answered = time.Now()
		}
		if s.progress {
			wait = firstPause
		}
		if time.Since(answered) > c.Patience {
			return err
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// stream is what Follow reads, over one connection after another.
type stream struct {
	client *Client
	path   string
	query  url.Values
	handle func(Event) (more bool, err error)

	last     string // id of the last event
	answered bool   // the latest connection was accepted
	progress bool   // and brought something
}

// read reads one connection. done: handle wants no more, and err is its own.
func (s *stream) read(ctx context.Context) (done bool, err error) {
	s.answered, s.progress = false, false
	heard, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(s.client.Silence, cancel)
	defer silence.Stop()
	headers := []string{"Accept", "text/event-stream"}
	if s.last != "" {
		headers = append(headers, "Last-Event-ID", s.last)
	}
	res, err := s.client.ask(heard, http.MethodGet, s.path, s.query, nil, headers...)
	if err != nil {
		return false, lost(ctx, err)
	}
	defer res.Body.Close()
	s.answered = true
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var e Event
	var data []string
	for lines.Scan() {
		silence.Reset(s.client.Silence)
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
			more, err := s.handle(e)
			if err != nil || !more {
				return true, err
			}
			if e.ID != "" {
				s.last = e.ID
			}
			s.progress, e, data = true, Event{}, nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return true, fmt.Errorf("read the stream %s: %w", s.path, lines.Err())
	}
	return false, lost(ctx, cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}
