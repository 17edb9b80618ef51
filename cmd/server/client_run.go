package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cronium.dev/client"
	"cronium.dev/cronium"
)

// clientJob is what the commands read of a job.
type clientJob struct {
	ID        string     `json:"id"`
	EventName string     `json:"event_name"`
	Status    string     `json:"status"`
	Result    string     `json:"result"`
	Target    string     `json:"target"`
	Error     string     `json:"error"`
	Targets   int        `json:"targets"`
	Succeeded int        `json:"succeeded"`
	Trigger   string     `json:"triggered_by"`
	QueuedAt  time.Time  `json:"queued_at"`
	StartedAt *time.Time `json:"started_at"`
	Finished  *time.Time `json:"finished_at"`
}

func (j *clientJob) final() bool { return cronium.JobStatus(j.Status).Final() }

type clientExecution struct {
	ID       string `json:"id"`
	Attempt  int    `json:"attempt"`
	Status   string `json:"status"`
	ExitCode *int   `json:"exit_code"`
	Error    string `json:"error"`
}

type runCommand struct {
	clientFlags
	Event     string `arg:"" help:"The event's name, or its id."`
	On        string `placeholder:"SELECTOR" help:"Run on the servers that match, like env=prod and role=web."`
	Input     string `placeholder:"JSON" help:"The run's input; - reads it from the standard input."`
	InputFile string `name:"input-file" placeholder:"FILE" help:"File with the run's input."`
	Priority  string `enum:",LOW,NORMAL,HIGH,CRITICAL" default:"" placeholder:"PRIORITY" help:"LOW, NORMAL, HIGH or CRITICAL."`
	Follow    bool   `short:"f" help:"Show the output as it comes and end with the script's exit code."`
	Wait      bool   `short:"w" help:"Wait for the end, and end with the script's exit code."`
	Key       string `name:"idempotency-key" placeholder:"KEY" help:"The same key runs the event once, however often the command is repeated."`
}

// Run starts the event and, if wanted, stays until it has ended.
func (c *runCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	event, err := findEvent(ctx, api, c.Event)
	if err != nil {
		return err
	}
	body := map[string]any{}
	if c.On != "" {
		body["on"] = c.On
	}
	if c.Priority != "" {
		body["priority"] = c.Priority
	}
	input, err := c.input()
	if err != nil {
		return err
	}
	if input != nil {
		body["input"] = input
	}
	var headers []string
	if c.Key != "" {
		headers = []string{"Idempotency-Key", c.Key}
	}
	var job clientJob
	if err := api.Do(ctx, http.MethodPost, "/events/"+event+"/run", nil, body, &job, headers...); err != nil {
		return err
	}
	if !c.Follow && !c.Wait {
		if c.JSON {
			return printJSON(job)
		}
		fmt.Println(job.ID)
		return nil
	}
	fmt.Fprintf(os.Stderr, "job %s\n", job.ID)
	if c.Follow {
		err = followJob(ctx, api, job.ID)
	} else {
		err = waitForJob(ctx, api, job.ID)
	}
	if ctx.Err() != nil {
		fmt.Fprintf(os.Stderr, "The run goes on. To stop it: cronium cancel %s\n", job.ID)
		return exitCode(exitCancelled)
	}
	if err != nil {
		return err
	}
	return endOf(ctx, api, job.ID, c.JSON)
}

func (c *runCommand) input() (json.RawMessage, error) {
	text := []byte(c.Input)
	var err error
	switch {
	case c.Input == "-":
		text, err = io.ReadAll(io.LimitReader(os.Stdin, cronium.MaxInputBytes+1))
	case c.InputFile != "":
		text, err = os.ReadFile(c.InputFile)
	case c.Input == "":
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the input: %w", err)
	}
	if !json.Valid(text) {
		return nil, fmt.Errorf("the input is not JSON, like {\"customer\": 7}")
	}
	return text, nil
}

// findEvent finds the id of an event by its name, in any case, or takes an id.
func findEvent(ctx context.Context, api *client.Client, text string) (string, error) {
	if _, ok := cronium.ParseID(text); ok {
		return text, nil
	}
	events, err := client.List[struct{ ID, Name string }](ctx, api, "/events", "events", url.Values{"name": {text}}, 0)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		if strings.EqualFold(e.Name, text) {
			return e.ID, nil
		}
	}
	return "", fmt.Errorf("there is no event named %q; \"cronium events\" lists them", text)
}

// waitForJob returns when the job is final. It asks with growing pauses.
func waitForJob(ctx context.Context, api *client.Client, id string) error {
	for wait := 100 * time.Millisecond; ; wait = min(wait*3/2, 2*time.Second) {
		job, err := getJob(ctx, api, id)
		if err != nil {
			return err
		}
		if job.final() {
			return nil
		}
		if err := pauseFor(ctx, wait); err != nil {
			return err
		}
	}
}

func pauseFor(ctx context.Context, wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func getJob(ctx context.Context, api *client.Client, id string) (*clientJob, error) {
	var job clientJob
	return &job, api.Do(ctx, http.MethodGet, "/jobs/"+id, nil, nil, &job)
}

// endOf says how a job ended, and gives the exit code that stands for it: the
// script's own where there is one.
func endOf(ctx context.Context, api *client.Client, id string, asJSON bool) error {
	job, err := getJob(ctx, api, id)
	if err != nil {
		return err
	}
	if asJSON {
		if err := printJSON(job); err != nil {
			return err
		}
	}
	switch cronium.Result(job.Result) {
	case cronium.ResultSuccess:
		return nil
	case cronium.ResultTimeout:
		fmt.Fprintln(os.Stderr, "cronium: "+printable(job.Error))
		return exitCode(exitTimeout)
	case cronium.ResultCancelled:
		fmt.Fprintln(os.Stderr, "cronium: the run was cancelled")
		return exitCode(exitCancelled)
	}
	if job.Error != "" {
		fmt.Fprintln(os.Stderr, "cronium: "+printable(job.Error))
	}
	if job.Targets > 1 {
		return exitCode(1)
	}
	executions, err := jobExecutions(ctx, api, id)
	if err != nil {
		return err
	}
	if n := len(executions); n > 0 && executions[n-1].ExitCode != nil && *executions[n-1].ExitCode != 0 {
		return exitCode(*executions[n-1].ExitCode)
	}
	return exitCode(1)
}

func jobExecutions(ctx context.Context, api *client.Client, id string) ([]clientExecution, error) {
	var answer struct{ Executions []clientExecution }
	err := api.Do(ctx, http.MethodGet, "/jobs/"+id+"/executions", nil, nil, &answer)
	return answer.Executions, err
}
