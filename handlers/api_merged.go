package handlers

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
	"cronium.dev/output"
	"cronium.dev/store"
)

// How many lines of all servers can be paged through; the whole is a download.
const (
	mergedMost      = 100_000
	mergedTailBytes = 32 << 20 // of all outputs, whose last lines are looked for
)

func (a *api) mergedOperations() {
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}/output", permission: cronium.PermissionRead, id: "get-merged-output", tag: "Output", kind: KindStream,
		summary:     "Read the output of all servers of a job, merged by time",
		description: "Of each server the latest attempt. Pages reach 100,000 lines; download=1 gives all of it as text, each line after the name of its server."}, a.getMergedOutput)
}

type mergedInput struct {
	ID       string `path:"id"`
	From     int    `query:"from" minimum:"-5000" maximum:"100000" doc:"First line of all, from 0; below zero counted from the end: -300 is the last 300 lines"`
	Limit    int    `query:"limit" minimum:"1" maximum:"5000" default:"500" doc:"Most lines"`
	Download bool   `query:"download" doc:"Everything, as text"`
}

type mergedPage struct {
	Lines []output.MergedLine `json:"lines"`
	Next  int                 `json:"next" doc:"Where the next page begins"`
	More  bool                `json:"more" doc:"There are more lines now"`
	Done  bool                `json:"done" doc:"The job has ended; no more output comes"`
}

func (a *api) getMergedOutput(ctx context.Context, in *mergedInput) (*huma.StreamResponse, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	workspace := who(ctx).WorkspaceID
	job, err := a.Store.Job(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	sources, err := a.mergeSources(ctx, &job.Job)
	if err != nil {
		return nil, err
	}
	if in.Download {
		return a.mergedDownload(id, sources), nil
	}
	page := mergedPage{Lines: []output.MergedLine{}, Next: max(in.From, 0), Done: job.Status.Final()}
	if in.From < 0 {
		err = a.mergedTail(ctx, sources, -in.From, &page)
		page.Lines = page.Lines[max(len(page.Lines)+in.From, 0):]
	} else {
		err = a.mergedPage(ctx, sources, in.From, in.Limit, &page)
	}
	if err != nil {
		return nil, err
	}
	return a.linesAnswer(page)
}

// mergedPage reads lines from one on.
func (a *api) mergedPage(ctx context.Context, sources []output.MergeSource, from, limit int, page *mergedPage) error {
	at := 0
	return output.Merge(ctx, a.Store, sources, func(line output.MergedLine) (bool, error) {
		if at++; at <= from {
			return true, nil
		}
		if len(page.Lines) == limit || at > mergedMost {
			page.More = true
			return false, nil
		}
		page.Lines, page.Next = append(page.Lines, line), at
		return true, nil
	})
}

// mergedTail reads the last count lines. Where all outputs together are too
// long to be read for that, it is refused.
func (a *api) mergedTail(ctx context.Context, sources []output.MergeSource, count int, page *mergedPage) error {
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
		page.Next++
		return true, nil
	})
}

// mergeSources are the latest executions of a job's servers that have begun.
func (h *Handlers) mergeSources(ctx context.Context, job *cronium.Job) ([]output.MergeSource, error) {
	targets, err := h.Store.JobTargets(ctx, job.WorkspaceID, job.ID, store.TargetFilter{After: -1, Limit: cronium.MaxTargets})
	if err != nil {
		return nil, err
	}
	executions, err := h.Store.Executions(ctx, job.WorkspaceID, job.ID)
	if err != nil {
		return nil, err
	}
	byID := make(map[cronium.ID]*cronium.Execution, len(executions))
	for i := range executions {
		byID[executions[i].ID] = &executions[i]
	}
	var sources []output.MergeSource
	for i := range targets {
		if t := &targets[i]; t.ExecutionID != nil && byID[*t.ExecutionID] != nil {
			sources = append(sources, output.MergeSource{Name: t.Name, Execution: byID[*t.ExecutionID]})
		}
	}
	return sources, nil
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
