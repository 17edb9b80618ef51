package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"cronium.dev/client"
	"cronium.dev/cronium"
)

// mergedPause is how often the merged output of a job on several servers is asked
// for while it is followed.
const mergedPause = time.Second

type logsCommand struct {
	clientFlags
	Job    string `arg:"" help:"The job's id."`
	Follow bool   `short:"f" help:"Stay until the run has ended."`
	Host   string `placeholder:"NAME" help:"Of this server alone."`
}

// Run shows what a job's script has printed. Output is passed on as it is.
func (c *logsCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if _, ok := cronium.ParseID(c.Job); !ok {
		return fmt.Errorf("%q is no job's id; \"cronium ps\" shows them", c.Job)
	}
	if c.Host != "" {
		execution, err := executionOn(ctx, api, c.Job, c.Host)
		if err != nil {
			return err
		}
		return showExecution(ctx, api, execution, c.Follow)
	}
	if c.Follow {
		return followJob(ctx, api, c.Job)
	}
	job, err := getJob(ctx, api, c.Job)
	if err != nil {
		return err
	}
	if job.Target == string(cronium.TargetServers) {
		_, err := showMerged(ctx, api, job.ID, 0)
		return err
	}
	executions, err := jobExecutions(ctx, api, job.ID)
	if err != nil || len(executions) == 0 {
		return err
	}
	return showExecution(ctx, api, executions[len(executions)-1].ID, false)
}

func executionOn(ctx context.Context, api *client.Client, job, host string) (string, error) {
	targets, err := client.List[struct {
		Server      string `json:"server"`
		ExecutionID string `json:"execution_id"`
	}](ctx, api, "/jobs/"+job+"/targets", "targets", nil, 0)
	if err != nil {
		return "", err
	}
	for _, t := range targets {
		if strings.EqualFold(t.Server, host) {
			if t.ExecutionID == "" {
				return "", fmt.Errorf("the job has not run on %s", host)
			}
			return t.ExecutionID, nil
		}
	}
	return "", fmt.Errorf("the job does not run on a server named %q", host)
}

// followJob shows the output of a job's attempts, one after the other, or of its
// servers together, until the job is final.
func followJob(ctx context.Context, api *client.Client, id string) error {
	job, err := getJob(ctx, api, id)
	if err != nil {
		return err
	}
	if job.Target == string(cronium.TargetServers) {
		return followMerged(ctx, api, id)
	}
	for shown := 0; ; {
		executions, err := jobExecutions(ctx, api, id)
		if err != nil {
			return err
		}
		for ; shown < len(executions); shown++ {
			if shown > 0 {
				fmt.Fprintf(os.Stderr, "attempt %d\n", executions[shown].Attempt)
			}
			if err := showExecution(ctx, api, executions[shown].ID, true); err != nil {
				return err
			}
		}
		job, err := getJob(ctx, api, id)
		if err != nil || job.final() {
			return err
		}
		if err := pauseFor(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// errNoMore ends a stream that has shown what there is.
var errNoMore = errors.New("that is all for now")

// showExecution writes stdout to stdout and stderr to stderr.
func showExecution(ctx context.Context, api *client.Client, id string, follow bool) error {
	var known struct {
		OutputBytes int64 `json:"output_bytes"`
	}
	if !follow {
		if err := api.Do(ctx, http.MethodGet, "/executions/"+id, nil, nil, &known); err != nil || known.OutputBytes == 0 {
			return err
		}
	}
	err := api.Follow(ctx, "/executions/"+id+"/output/stream", nil, func(e client.Event) (bool, error) {
		switch e.Name {
		case "end":
			return false, nil
		case "output":
			var piece struct {
				Records []struct{ Stream, Text string }
			}
			if err := json.Unmarshal([]byte(e.Data), &piece); err != nil {
				return false, fmt.Errorf("read output: %w", err)
			}
			for _, r := range piece.Records {
				to := os.Stdout
				if r.Stream == "stderr" {
					to = os.Stderr
				}
				if _, err := to.WriteString(r.Text); err != nil {
					return false, err
				}
			}
			offset, _, _ := strings.Cut(e.ID, ":")
			if at, err := strconv.ParseInt(offset, 10, 64); err == nil && !follow && at >= known.OutputBytes {
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

// followMerged shows the output of all servers of a job until it is final.
func followMerged(ctx context.Context, api *client.Client, id string) error {
	for from := 0; ; {
		job, err := getJob(ctx, api, id)
		if err != nil {
			return err
		}
		// What is read after the job was final is all.
		if from, err = showMerged(ctx, api, id, from); err != nil || job.final() {
			return err
		}
		if err := pauseFor(ctx, mergedPause); err != nil {
			return err
		}
	}
}

// showMerged writes lines from one on, each after the name of its server, and
// gives the number of the next.
func showMerged(ctx context.Context, api *client.Client, id string, from int) (int, error) {
	colour := term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""
	for {
		var page struct {
			Lines []struct {
				Server, Text, Stream string
			}
			Next int
			More bool
		}
		query := url.Values{"from": {strconv.Itoa(from)}, "limit": {"5000"}}
		if err := api.Do(ctx, http.MethodGet, "/jobs/"+id+"/output", query, nil, &page); err != nil {
			return from, err
		}
		for _, line := range page.Lines {
			name := printable(line.Server)
			if colour {
				name = "\x1b[" + strconv.Itoa(31+hostColour(name)) + "m" + name + "\x1b[0m"
			}
			fmt.Printf("%s | %s\n", name, line.Text)
		}
		from = page.Next
		if !page.More || len(page.Lines) == 0 {
			return from, nil
		}
	}
}

// hostColour is one of six colours, always the same for a name.
func hostColour(name string) int {
	sum := 0
	for _, b := range []byte(name) {
		sum = sum*31 + int(b)
	}
	return (sum%6 + 6) % 6
}
