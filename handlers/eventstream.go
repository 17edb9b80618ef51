package handlers

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// heartbeat is how often a quiet stream says that it lives: proxies cut
	// connections that are silent for some tens of seconds.
	heartbeat = 15 * time.Second
	// retryMS is how long a browser waits before it connects again.
	retryMS = "1000"
)

// eventStream writes server-sent events (WHATWG HTML, 9.2) to one browser.
// Nothing is queued in it: a browser that does not take what it is sent fails
// the next write, and its stream ends. docs/decisions/0001-own-sse-writer.md
// says why it is our own. Its methods may be called concurrently.
type eventStream struct {
	writer   http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration

	mu     sync.Mutex // held while an event is written
	buffer bytes.Buffer
}

// openStream sends the head of the answer. Nothing that compresses may be
// around w: it would hold events back.
func (h *Handlers) openStream(w http.ResponseWriter) (*eventStream, error) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx
	s := &eventStream{writer: w, control: http.NewResponseController(w), patience: h.Patience}
	w.WriteHeader(http.StatusOK)
	s.buffer.WriteString("retry: " + retryMS + "\n\n")
	return s, s.flush()
}

// send writes one event. id and name may be "". Line feeds in data are kept.
func (s *eventStream) send(id, name string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" {
		s.line("id", []byte(id))
	}
	if name != "" {
		s.line("event", []byte(name))
	}
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		s.line("data", line)
	}
	s.buffer.WriteByte('\n')
	return s.flush()
}

// beat writes a comment, which browsers ignore.
func (s *eventStream) beat() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buffer.WriteString(": keep\n\n")
	return s.flush()
}

func (s *eventStream) line(field string, value []byte) {
	s.buffer.WriteString(field)
	s.buffer.WriteString(": ")
	// A carriage return would end the line for the browser.
	s.buffer.Write(bytes.ReplaceAll(value, []byte{'\r'}, nil))
	s.buffer.WriteByte('\n')
}

func (s *eventStream) flush() error {
	defer s.buffer.Reset()
	if err := s.control.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	if _, err := s.writer.Write(s.buffer.Bytes()); err != nil {
		return err
	}
	return s.control.Flush()
}

// patientWriter gives each write of a long answer its own time: a download may
// take hours, one that stands still is cut.
type patientWriter struct {
	writer   http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func (h *Handlers) patientWriter(w http.ResponseWriter) *patientWriter {
	return &patientWriter{w, http.NewResponseController(w), 3 * h.Patience}
}

func (w *patientWriter) Write(b []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(w.patience)); err != nil {
		return 0, err
	}
	return w.writer.Write(b)
}

// untilDraining is a context that also ends when the server begins to stop: a
// stream would hold it up for ever, and its browser comes back elsewhere.
func (h *Handlers) untilDraining(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if h.Draining != nil {
		stop := context.AfterFunc(h.Draining, cancel)
		return ctx, func() { stop(); cancel() }
	}
	return ctx, cancel
}
