package handlers

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
	"cronium.dev/output"
	"cronium.dev/store"
)

// Bounds of one answer with lines of all servers; the whole is a download.
const (
	mergedText      = 2 << 20 // bytes of all its lines, about
	mergedTime      = 2 * time.Second
	mergedTailBytes = 32 << 20 // of all outputs, whose last lines are looked for
)

func (a *api) mergedOperations() {
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}/output", permission: cronium.PermissionRead, id: "get-merged-output", tag: "Output", kind: KindStream,
		summary:     "Read the output of all servers of a job, merged by time",
		description: "Of each server the latest attempt. Pages go on at cursor, which says how far each server was read, so that no line is left out or given twice while more is printed. With q only lines that contain a text are given, as they are shown: colours do not count, and of a line the first 16 KiB are looked at. download=1 gives all of it as text, each line after the name of its server."}, a.getMergedOutput)
}

type mergedInput struct {
	ID        string `path:"id"`
	From      int    `query:"from" minimum:"-5000" maximum:"0" doc:"Below zero the last lines: -300 is the last 300"`
	Cursor    string `query:"cursor" doc:"next of the page before"`
	Limit     int    `query:"limit" minimum:"1" maximum:"5000" default:"500" doc:"Most lines; a page may have fewer"`
	Q         string `query:"q" doc:"Lines that contain this alone: plain text, at most 1,000 bytes, on one line"`
	MatchCase bool   `query:"match_case" doc:"Tell upper from lower case in q"`
	Download  bool   `query:"download" doc:"Everything, as text"`
}

type mergedPage struct {
	Lines []output.MergedLine `json:"lines"`
	Total int                 `json:"total,omitempty" doc:"With from: how many lines there are in all"`
	Next  string              `json:"next,omitempty" doc:"Pass it as cursor for the next page; absent when no more can come"`
	More  bool                `json:"more" doc:"There are, or may be, more lines now"`
	Done  bool                `json:"done" doc:"The job has ended; no more output comes"`
}

func (in *mergedInput) query() (*output.Query, error) {
	var problems cronium.Problems
	query := &output.Query{Text: in.Q, IgnoreCase: !in.MatchCase}
	if in.Q != "" {
		problems = query.Validate()
	}
	problems.Add(in.From == 0 || in.Q == "" && in.Cursor == "", "from", "must not come with q or cursor: the last lines are neither looked through nor paged")
	return query, problems.Err("The request")
}

func (a *api) getMergedOutput(ctx context.Context, in *mergedInput) (*huma.StreamResponse, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	query, err := in.query()
	if err != nil {
		return nil, err
	}
	job, err := a.Store.Job(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	place, sources, err := a.mergeSources(ctx, &job.Job)
	if err != nil {
		return nil, err
	}
	if in.Download {
		return a.mergedDownload(id, sources), nil
	}
	if err := place.decode(in.Cursor, sources); err != nil {
		return nil, err
	}
	page := mergedPage{Lines: []output.MergedLine{}, Done: job.Status.Final()}
	if in.From < 0 {
		err = a.mergedTail(ctx, sources, place, -in.From, &page)
		page.Lines = page.Lines[max(len(page.Lines)+in.From, 0):]
	} else {
		err = a.mergedPage(ctx, sources, place, query, in.Limit, &page)
	}
	if err != nil {
		return nil, err
	}
	if page.More || !page.Done {
		page.Next = place.encode()
	}
	return a.linesAnswer(page)
}

// mergedPage reads lines from a place on, and moves it. A line that has no end
// yet comes when it has one.
func (a *api) mergedPage(ctx context.Context, sources []output.MergeSource, place *mergedPlace, query *output.Query, limit int, page *mergedPage) error {
	matches := func(string) bool { return true }
	if query.Text != "" {
		matches = query.Matcher()
		select {
		case a.searches <- struct{}{}:
			defer func() { <-a.searches }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	began, size, read := time.Now(), 0, 0
	return output.Merge(ctx, a.Store, sources, func(line output.MergedLine) (bool, error) {
		if line.Partial {
			return true, nil
		}
		if read++; len(page.Lines) == limit || size > mergedText || read%1000 == 0 && time.Since(began) > mergedTime {
			page.More = true
			return false, nil
		}
		place.passed(&line)
		if matches(line.Text) {
			page.Lines, size = append(page.Lines, line), size+len(line.Text)
		}
		return true, nil
	})
}

// mergedTail reads the last count lines. Where all outputs together are too
// long to be read for that, it is refused.
func (a *api) mergedTail(ctx context.Context, sources []output.MergeSource, place *mergedPlace, count int, page *mergedPage) error {
	var size int64
	for _, s := range sources {
		size += s.Execution.OutputBytes
	}
	if size > mergedTailBytes {
		return cronium.Errorf(cronium.CodeInvalid, "The outputs of all servers are %d MiB, too long to find their last lines. Read them from the beginning, of one server, or as a download.", size>>20)
	}
	return output.Merge(ctx, a.Store, sources, func(line output.MergedLine) (bool, error) {
		if len(page.Lines) == 2*count {
			page.Lines = append(page.Lines[:0], page.Lines[count:]...)
		}
		page.Lines = append(page.Lines, line)
		page.Total++
		if !line.Partial {
			place.passed(&line)
		}
		return true, nil
	})
}

// mergeSources are the latest executions of a job's servers that have begun, and
// the place at the beginning of all of them.
func (h *Handlers) mergeSources(ctx context.Context, job *cronium.Job) (*mergedPlace, []output.MergeSource, error) {
	targets, err := h.Store.JobTargets(ctx, job.WorkspaceID, job.ID, store.TargetFilter{After: -1, Limit: cronium.MaxTargets})
	if err != nil {
		return nil, nil, err
	}
	executions, err := h.Store.Executions(ctx, job.WorkspaceID, job.ID)
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[cronium.ID]*cronium.Execution, len(executions))
	for i := range executions {
		byID[executions[i].ID] = &executions[i]
	}
	place := &mergedPlace{at: map[cronium.ID]int{}}
	var sources []output.MergeSource
	for i := range targets {
		if t := &targets[i]; t.ExecutionID != nil && byID[*t.ExecutionID] != nil {
			sources = append(sources, output.MergeSource{Name: t.Name, Execution: byID[*t.ExecutionID]})
			place.at[*t.ExecutionID] = len(place.servers)
			place.servers = append(place.servers, serverPlace{position: t.Position, attempt: byID[*t.ExecutionID].Attempt})
		}
	}
	return place, sources, nil
}

func (a *api) mergedDownload(job cronium.ID, sources []output.MergeSource) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(c huma.Context) {
		r, w := humachi.Unwrap(c)
		header := w.Header()
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
		header.Set("Content-Disposition", `attachment; filename="cronium-`+job.String()+`.log"`)
		out := a.patientWriter(w)
		err := output.Merge(r.Context(), a.Store, sources, func(line output.MergedLine) (bool, error) {
			_, err := fmt.Fprintf(out, "%s | %s\n", line.Server, line.Text)
			return true, err
		})
		if err != nil {
			panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
		}
	}}
}
