package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"

	"cronium.dev/cronium"
)

// viewer reads the stream of an execution's output, as a browser does.
type viewer struct {
	body  io.Closer
	lines *bufio.Scanner
}

// view opens the stream.
func (s *site) view(ctx context.Context, execution cronium.ID) (*viewer, error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	body, err := s.Open(ctx, http.MethodGet, "/api/v1/executions/"+execution.String()+"/output/stream", header, nil)
	if err != nil {
		return nil, err
	}
	v := &viewer{body: body, lines: bufio.NewScanner(body)}
	v.lines.Buffer(nil, 8<<20)
	return v, nil
}

// next gives the data of the next piece of output; io.EOF when the execution
// has ended.
func (v *viewer) next() (data string, err error) {
	event := ""
	for v.lines.Scan() {
		name, value, _ := strings.Cut(v.lines.Text(), ": ")
		switch {
		case name == "event":
			event = value
		case name == "data" && event == "output":
			return value, nil
		case name == "data" && event == "end":
			return "", io.EOF
		}
	}
	if err := v.lines.Err(); err != nil {
		return "", err
	}
	return "", io.ErrUnexpectedEOF
}

func (v *viewer) close() { v.body.Close() }
