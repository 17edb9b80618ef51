package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"cronium.dev/client"
	v1 "cronium.dev/client/api"
	"cronium.dev/cronium"
)

// clientJob is what the commands read of a job.
type clientJob struct{ v1.Job }

func (j *clientJob) final() bool { return cronium.JobStatus(j.Status).Final() }

// severalServers reports whether the job runs on more than one; before its servers
// have been found it does not know.
func (j *clientJob) severalServers() bool { return j.Targets > 1 }

type clientExecution struct {
	ID          string     `json:"id"`
	JobID       string     `json:"job_id"`
	Attempt     int        `json:"attempt"`
	ServerID    string     `json:"server_id"`
	Status      string     `json:"status"`
	ExitCode    *int       `json:"exit_code"`
	StartedAt   *time.Time `json:"started_at"`
	OutputBytes int64      `json:"output_bytes"`
}

// clientTarget is one server of a job.
type clientTarget struct {
	ServerID string `json:"server_id"`
	Server   string `json:"server"`
	Status   string `json:"status"`
	Reason   string `json:"reason"`
	ExitCode *int   `json:"exit_code"`
}

type runCommand struct {
	listFlags
	Event     string   `arg:"" help:"The event's name, its id, or a beginning of the id that no other has."`
	On        string   `placeholder:"SELECTOR" help:"Run on the servers that match, like env=prod and role=web."`
	OnNames   []string `name:"on-names" placeholder:"NAMES" help:"Run on the servers with these names, with commas between."`
	Input     string   `placeholder:"JSON" help:"The run's input; - reads it from the standard input."`
	InputFile string   `name:"input-file" placeholder:"FILE" help:"File with the run's input; - is the standard input."`
	Priority  string   `enum:",LOW,NORMAL,HIGH,CRITICAL" default:"" placeholder:"PRIORITY" help:"LOW, NORMAL, HIGH or CRITICAL."`
	Follow    bool     `short:"f" help:"Show the output as it comes and end with the script's exit code."`
	Wait      bool     `short:"w" help:"Wait for the end, and end with the script's exit code."`
	Key       string   `name:"idempotency-key" placeholder:"KEY" help:"The same key runs the event once, however often the command is repeated."`
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
	if c.JSON && c.Follow {
		return errors.New("--json and --follow would mix on the standard output. Take --wait --json, or one of them")
	}
	body, err := c.body(ctx, api)
	if err != nil {
		return err
	}
	if c.Key == "" { // so that the request can be repeated when its answer is lost
		c.Key = rand.Text()
	}
	var answer json.RawMessage
	if err := api.Insist(ctx, http.MethodPost, "/events/"+event+"/run", nil, body, &answer, "Idempotency-Key", c.Key); err != nil {
		return err
	}
	var job clientJob
	if err := json.Unmarshal(answer, &job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	if !c.Follow && !c.Wait {
		if c.JSON {
			return printJSON(answer)
		}
		fmt.Println(job.ID)
		return nil
	}
	fmt.Fprintf(os.Stderr, "job %s\n", job.ID)
	if c.Follow {
		err = followJob(ctx, api, job.ID, shown{})
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

// body is what the server is asked for.
func (c *runCommand) body(ctx context.Context, api *client.Client) (map[string]any, error) {
	body := map[string]any{}
	if c.On != "" {
		body["on"] = c.On
	}
	if c.Priority != "" {
		body["priority"] = c.Priority
	}
	var servers []string
	for _, name := range c.OnNames {
		id, err := findServer(ctx, api, name)
		if err != nil {
			return nil, err
		}
		servers = append(servers, id)
	}
	if servers != nil {
		body["servers"] = servers
	}
	input, err := c.input()
	if input != nil {
		body["input"] = input
	}
	return body, err
}

func (c *runCommand) input() (json.RawMessage, error) {
	text := []byte(c.Input)
	var err error
	switch {
	case c.Input == "-" || c.InputFile == "-":
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

// findEvent finds the id of an event by its name, in any case, by a beginning of
// its id that no other event has, or takes an id.
func findEvent(ctx context.Context, api *client.Client, text string) (string, error) {
	if _, ok := cronium.ParseID(text); ok {
		return text, nil
	}
	type event struct{ ID, Name string }
	events, err := client.List[event](ctx, api, "/events", "events", url.Values{"name": {text}}, 0)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		if strings.EqualFold(e.Name, text) {
			return e.ID, nil
		}
	}
	if _, _, ok := cronium.IDsBeginning(text); !ok {
		return "", fmt.Errorf("there is no event named %q; \"cronium events\" lists them", text)
	}
	if events, err = client.List[event](ctx, api, "/events", "events", nil, 0); err != nil {
		return "", err
	}
	events = slices.DeleteFunc(events, func(e event) bool { return !strings.HasPrefix(e.ID, text) })
	switch len(events) {
	case 0:
		return "", fmt.Errorf("there is no event named %q, nor one whose id begins so; \"cronium events\" lists them", text)
	case 1:
		return events[0].ID, nil
	}
	return "", fmt.Errorf("%d events have ids that begin with %s; \"cronium events\" lists them", len(events), text)
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

// getJob reads a job, again while the server does not answer.
func getJob(ctx context.Context, api *client.Client, id string) (*clientJob, error) {
	var job clientJob
	return &job, api.Insist(ctx, http.MethodGet, "/jobs/"+id, nil, nil, &job)
}

// endOf says how a job ended, and gives the exit code that stands for it: the
// script's own where there is one.
func endOf(ctx context.Context, api *client.Client, id string, asJSON bool) error {
	var answer json.RawMessage
	var job clientJob
	err := api.Insist(ctx, http.MethodGet, "/jobs/"+id, nil, nil, &answer)
	if err == nil {
		err = json.Unmarshal(answer, &job)
	}
	if err == nil && asJSON {
		err = printJSON(answer)
	}
	if err != nil {
		return err
	}
	if job.Result == string(cronium.ResultSuccess) {
		return nil
	}
	if job.severalServers() {
		if err := sayFailed(ctx, api, id); err != nil {
			return err
		}
	}
	switch cronium.Result(job.Result) {
	case cronium.ResultTimeout:
		say(cmp.Or(job.Error, "the time limit was reached"))
		return exitCode(exitTimeout)
	case cronium.ResultCancelled:
		say("the run was cancelled")
		return exitCode(exitCancelled)
	}
	if job.Error != "" {
		say(job.Error)
	}
	if job.severalServers() {
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

// say tells the person something of the server.
func say(text string) { fmt.Fprintln(os.Stderr, "cronium: "+printable(text)) }

// sayFailed names the servers on which a job did not succeed.
func sayFailed(ctx context.Context, api *client.Client, id string) error {
	targets, err := jobTargets(ctx, api, id)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if t.Status == string(cronium.TargetSuccess) {
			continue
		}
		text := t.Server + ": " + t.Status
		if t.ExitCode != nil {
			text += fmt.Sprintf(", exit code %d", *t.ExitCode)
		}
		if t.Reason != "" {
			text += ", " + t.Reason
		}
		say(text)
	}
	return nil
}

func jobTargets(ctx context.Context, api *client.Client, id string) ([]clientTarget, error) {
	return client.InsistList[clientTarget](ctx, api, "/jobs/"+id+"/targets", "targets", nil)
}

func jobExecutions(ctx context.Context, api *client.Client, id string) ([]clientExecution, error) {
	return client.InsistList[clientExecution](ctx, api, "/jobs/"+id+"/executions", "executions", nil)
}
