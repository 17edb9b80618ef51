package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cronium.dev/client"
	"cronium.dev/cronium"
)

type logsCommand struct {
	clientFlags
	Job    string `arg:"" help:"The id of the job, a beginning of it that no other has, or the id of one of its executions."`
	Follow bool   `short:"f" help:"Stay until the run has ended."`
	Host   string `placeholder:"NAME" help:"Of this server alone."`
	Since  string `placeholder:"TIME" help:"What was printed since then: 10m, or 2026-11-25T06:00:00Z."`
}

// shown says which part of a job's output is shown.
type shown struct {
	server string    // id of a server; "" for all
	since  time.Time // zero for all
}

// Run shows what a job's script has printed. Output is passed on as it is.
func (c *logsCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.Job, err = findJob(ctx, api, c.Job); err != nil {
		return err
	}
	var what shown
	if what.since, err = parseSince(c.Since, time.Now()); err != nil {
		return err
	}
	var job clientJob
	err = api.Do(ctx, http.MethodGet, "/jobs/"+c.Job, nil, nil, &job)
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return c.execution(ctx, api, what)
	}
	if err != nil {
		return err
	}
	if c.Host != "" {
		if what.server, err = serverOf(ctx, api, job.ID, c.Host); err != nil {
			return err
		}
	}
	if c.Follow {
		return followJob(ctx, api, job.ID, what)
	}
	if job.severalServers() && what.server == "" {
		return showMerged(ctx, api, job.ID, what.since)
	}
	executions, err := executionsOf(ctx, api, job.ID, what.server)
	if err != nil || len(executions) == 0 {
		return err
	}
	return showExecution(ctx, api, &executions[len(executions)-1], what.since, false, plain)
}

// execution shows the output of one execution.
func (c *logsCommand) execution(ctx context.Context, api *client.Client, what shown) error {
	var e clientExecution
	if err := api.Do(ctx, http.MethodGet, "/executions/"+c.Job, nil, nil, &e); err != nil {
		return err
	}
	return showExecution(ctx, api, &e, what.since, c.Follow, plain)
}

// parseSince reads a moment, or a time before now.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no time for --since, like 10m or 2026-11-25T06:00:00Z", text)
	}
	return at, nil
}

// serverOf is the id of a job's server of that name.
func serverOf(ctx context.Context, api *client.Client, job, host string) (string, error) {
	targets, err := jobTargets(ctx, api, job)
	if err != nil {
		return "", err
	}
	for _, t := range targets {
		if strings.EqualFold(t.Server, host) {
			return t.ServerID, nil
		}
	}
	return "", fmt.Errorf("the job does not run on a server named %q", host)
}

// writing takes pieces of output; stream is stdout or stderr.
type writing func(stream, text string) error

// plain passes output on: stdout to stdout, stderr to stderr.
func plain(stream, text string) error {
	_, err := outputFor(stream).WriteString(text)
	return err
}

func outputFor(stream string) *os.File {
	if stream == "stderr" {
		return os.Stderr
	}
	return os.Stdout
}

// errNoMore ends a stream that has shown what there is.
var errNoMore = errors.New("that is all for now")

// showExecution gives the output of one execution to write: until its end, or, not
// followed, what there is of it now.
func showExecution(ctx context.Context, api *client.Client, e *clientExecution, since time.Time, follow bool, write writing) error {
	if !follow && e.OutputBytes == 0 {
		return nil
	}
	skipMS := 0.0
	if !since.IsZero() && e.StartedAt != nil {
		skipMS = float64(since.Sub(*e.StartedAt)) / float64(time.Millisecond)
	}
	err := api.Follow(ctx, "/executions/"+e.ID+"/output/stream", nil, func(event client.Event) (bool, error) {
		switch event.Name {
		case "end":
			return false, nil
		case "output":
			if err := writeRecords(event.Data, skipMS, write); err != nil {
				return false, err
			}
			offset, _, _ := strings.Cut(event.ID, ":")
			at, err := strconv.ParseInt(offset, 10, 64)
			// A character whose rest has not come is not sent.
			if err == nil && !follow && !cronium.ExecutionStatus(e.Status).Final() && at > e.OutputBytes-utf8.UTFMax {
				return false, errNoMore
			}
		}
		return true, nil
	})
	if errors.Is(err, errNoMore) {
		return nil
	}
	return err
}

// writeRecords writes what one event has, but for records from before skipMS of
// the execution's time.
func writeRecords(data string, skipMS float64, write writing) error {
	var piece struct {
		Records []struct {
			AtMS         float64 `json:"at_ms"`
			Stream, Text string
		}
	}
	if err := json.Unmarshal([]byte(data), &piece); err != nil {
		return fmt.Errorf("read output: %w", err)
	}
	for _, r := range piece.Records {
		if r.AtMS < skipMS {
			continue
		}
		if err := write(r.Stream, r.Text); err != nil {
			return err
		}
	}
	return nil
}

// showMerged writes the output of all servers of a job as far as it is there, by
// time, each line after the name of its server.
func showMerged(ctx context.Context, api *client.Client, id string, since time.Time) error {
	hosts := newHostPrinter()
	path := "/jobs/" + id + "/output"
	if since.IsZero() { // everything, however much it is
		lines, pipe := io.Pipe()
		go func() { pipe.CloseWithError(api.Copy(ctx, path, url.Values{"download": {"true"}}, pipe)) }()
		defer lines.Close()
		return hosts.merged(lines)
	}
	for cursor := ""; ; {
		var page struct {
			Lines []struct {
				Server, Text, Stream string
				At                   time.Time
			}
			Next string
			More bool
		}
		query := url.Values{"limit": {"5000"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := api.Do(ctx, http.MethodGet, path, query, nil, &page); err != nil {
			return err
		}
		for _, line := range page.Lines {
			if line.At.Before(since) {
				continue
			}
			if err := hosts.line(line.Server, line.Stream, line.Text); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		cursor = page.Next
	}
}
