package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/output"
)

const (
	// farBehind is how many bytes a viewer that reads ranges itself may be
	// behind before the rest is skipped.
	farBehind = 512 << 10
	// gapPause is the shortest time between two skips.
	gapPause = 200 * time.Millisecond
)

type getOutputInput struct {
	ID       string `path:"id"`
	FromLine int64  `query:"from_line" doc:"First line, from 0; below zero counted from the end: -300 is the last 300 lines"`
	Limit    int    `query:"limit" minimum:"1" maximum:"5000" default:"500" doc:"Most lines"`
	Stream   string `query:"stream" enum:"stdout,stderr" doc:"Of a download: only this stream"`
	Download bool   `query:"download" doc:"The bytes as they are, like Accept: text/plain"`
	Accept   string `header:"Accept" hidden:"true"`
}

// outputResponses documents the two forms of the answer.
func (a *api) outputResponses() map[string]*huma.Response {
	page := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[output.Page](), true, "OutputPage")
	return map[string]*huma.Response{"200": {Description: "Lines, or everything", Content: map[string]*huma.MediaType{
		"application/json": {Schema: page},
		"text/plain":       {Schema: &huma.Schema{Type: "string", Format: "binary"}},
	}}}
}

func (a *api) getOutput(ctx context.Context, in *getOutputInput) (*huma.StreamResponse, error) {
	e, err := a.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	reader := output.NewReader(a.Store, e)
	if in.Download || prefersText(in.Accept) {
		stream, _ := output.ParseStream(in.Stream)
		return a.download(reader, e, stream), nil
	}
	from := in.FromLine
	if from < 0 {
		total, err := reader.TotalLines(ctx)
		if err != nil {
			return nil, err
		}
		from = max(total+from, 0)
	}
	page, err := reader.Page(ctx, from, in.Limit)
	if err != nil {
		return nil, err
	}
	return a.linesAnswer(page)
}

// linesAnswer is JSON that is sent as fast as the client takes it; text in it is
// as it is.
func (a *api) linesAnswer(page any) (*huma.StreamResponse, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(page); err != nil {
		return nil, fmt.Errorf("encode lines: %w", err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "application/json")
		_, w := humachi.Unwrap(ctx)
		_, _ = a.patientWriter(w).Write(body.Bytes()) // the client may be gone
	}}, nil
}

// prefersText tells whether plain text is asked for before JSON.
func prefersText(accept string) bool {
	text, json := strings.Index(accept, "text/plain"), strings.Index(accept, "application/json")
	return text >= 0 && (json < 0 || text < json)
}

// download answers with the bytes. Whatever they are, a browser saves them and
// does not show them as a page of ours.
func (a *api) download(reader *output.Reader, e *cronium.Execution, stream cronium.Stream) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humachi.Unwrap(ctx)
		header := w.Header()
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		name := "cronium-" + e.ID.String()
		if stream != 0 {
			name += "-" + output.StreamName(stream)
		} else {
			header.Set("Content-Length", strconv.FormatInt(e.OutputBytes, 10))
		}
		header.Set("Content-Disposition", `attachment; filename="`+name+`.log"`)
		w.WriteHeader(http.StatusOK)
		if err := reader.Copy(r.Context(), a.patientWriter(w), stream); err != nil {
			if r.Context().Err() == nil {
				a.Log.WarnContext(r.Context(), "download cut", "execution", e.ID, "error", err)
			}
			panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
		}
	}}
}

type searchOutputInput struct {
	ID        string `path:"id"`
	Q         string `query:"q" doc:"Plain text, at most 1,000 bytes, on one line"`
	MatchCase bool   `query:"match_case" doc:"Tell upper from lower case"`
	FromLine  int64  `query:"from_line" minimum:"0" doc:"Line to begin with"`
	Limit     int    `query:"limit" minimum:"1" maximum:"10000" default:"10000" doc:"Most lines to name; more are counted"`
}

type searchOutputOutput struct {
	Body output.Found
}

func (a *api) searchOutput(ctx context.Context, in *searchOutputInput) (*searchOutputOutput, error) {
	e, err := a.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	query := output.Query{Text: in.Q, IgnoreCase: !in.MatchCase, From: in.FromLine, Limit: in.Limit}
	if err := query.Validate().Err("The search"); err != nil {
		return nil, err
	}
	select {
	case a.searches <- struct{}{}:
		defer func() { <-a.searches }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found, err := output.NewReader(a.Store, e).Search(ctx, query)
	if err != nil {
		return nil, err
	}
	return &searchOutputOutput{*found}, nil
}

type followOutputInput struct {
	ID          string `path:"id"`
	LastEventID string `header:"Last-Event-ID" doc:"Go on behind this event; it wins over the other ways to say where"`
	FromLine    int64  `query:"from_line" minimum:"0" doc:"Begin with this line"`
	Offset      int64  `query:"offset" minimum:"0" doc:"For viewers that read ranges of lines themselves: begin at this byte. What they fall far behind is skipped, and event: gap says so"`
	Line        int64  `query:"line" minimum:"0" doc:"With offset: about the line that it lies on"`
	viewer      bool
}

// Resolve tells whether offset was given, which may be 0.
func (in *followOutputInput) Resolve(ctx huma.Context) []error {
	in.viewer = ctx.Query("offset") != ""
	return nil
}

func (a *api) followOutput(ctx context.Context, in *followOutputInput) (*huma.StreamResponse, error) {
	e, err := a.execution(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	from, err := a.followFrom(ctx, e, in)
	if err != nil {
		return nil, err
	}
	follower, err := a.Tails.Follow(ctx, e.WorkspaceID, e.ID, from)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer follower.Close()
		r, w := humachi.Unwrap(ctx)
		stream, err := a.openStream(w)
		if err != nil {
			return // the browser is gone
		}
		running, cancel := a.untilDraining(r.Context())
		defer cancel()
		f := followed{stream: stream, follower: follower, source: a.Store, viewer: in.viewer}
		if err := f.run(running); err != nil && running.Err() == nil {
			a.Log.DebugContext(ctx.Context(), "output stream cut", "execution", e.ID, "error", err)
		}
	}}, nil
}

// followFrom is where a stream begins.
func (a *api) followFrom(ctx context.Context, e *cronium.Execution, in *followOutputInput) (output.Position, error) {
	if in.LastEventID != "" {
		if p, ok := output.ParsePosition(in.LastEventID); ok {
			return p, nil
		}
		var problems cronium.Problems
		problems.Add(false, "Last-Event-ID", "must be the id of an event of this stream, OFFSET:LINE")
		return output.Position{}, problems.Err("The request")
	}
	if in.viewer {
		return output.Position{Offset: in.Offset, Line: in.Line}, nil
	}
	p, _, err := output.NewReader(a.Store, e).Find(ctx, in.FromLine)
	return p, err
}

// followed is one stream of output to one browser.
type followed struct {
	stream   *eventStream
	follower *live.Follower
	source   output.Source
	viewer   bool
}

// run sends pieces until the execution has ended, the browser is gone or ctx
// ends.
func (f *followed) run(ctx context.Context) error {
	for {
		waiting, cancel := context.WithTimeout(ctx, heartbeat)
		piece, err := f.follower.Next(waiting)
		cancel()
		switch {
		case err == nil:
			if err := f.stream.send(piece.To.String(), "output", piece.JSON()); err != nil {
				return err
			}
			if f.viewer && f.follower.Behind() > farBehind {
				if err := f.skip(ctx); err != nil {
					return err
				}
			}
		case errors.Is(err, io.EOF):
			return f.end(ctx)
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			if err := f.stream.beat(); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// skip goes to the end of what is known, and says so.
func (f *followed) skip(ctx context.Context) error {
	at := f.follower.Skip()
	data := fmt.Sprintf(`{"offset":%d,"line":%d,"total_lines":%d,"bytes":%d}`, at.Offset, at.Line, at.Line, at.Offset)
	if err := f.stream.send(at.String(), "gap", []byte(data)); err != nil {
		return err
	}
	timer := time.NewTimer(gapPause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// end says how much there is now that nothing more comes.
func (f *followed) end(ctx context.Context) error {
	e := f.follower.Execution()
	total, err := output.NewReader(f.source, e).TotalLines(ctx)
	if err != nil {
		return err
	}
	return f.stream.send("", "end", fmt.Appendf(nil, `{"total_lines":%d,"bytes":%d,"dropped":%d,"status":%q}`, total, e.OutputBytes, e.OutputDropped, e.Status))
}
