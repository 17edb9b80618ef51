package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"

	"cronium.dev/client"
	v1 "cronium.dev/client/api"
	"cronium.dev/cronium"
)

type psCommand struct {
	listFlags
	All    bool   `short:"a" help:"Also those that have ended."`
	Event  string `placeholder:"NAME" help:"Of events whose name has this."`
	Status string `placeholder:"STATUS" help:"In these statuses, with commas between: QUEUED, CLAIMED, RUNNING, COMPLETED, FAILED, CANCELLED."`
	Limit  int    `short:"n" default:"50" help:"At most so many, the newest first. Without it ${default}."`
}

// Run lists jobs.
func (c *psCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	query := url.Values{}
	switch {
	case c.Status != "":
		query.Set("status", strings.ToUpper(c.Status))
	case !c.All:
		query.Set("status", "QUEUED,CLAIMED,RUNNING")
	}
	if c.Event != "" {
		query.Set("event", c.Event)
	}
	if c.JSON {
		return listJSON(ctx, api, "/jobs", "jobs", query, c.Limit)
	}
	jobs, err := client.List[clientJob](ctx, api, "/jobs", "jobs", query, c.Limit)
	if err != nil {
		return err
	}
	rows := make([][]string, len(jobs))
	for i, j := range jobs {
		state := j.Status
		if j.Result != "" {
			state = j.Result
		}
		if j.Targets > 0 {
			state += fmt.Sprintf(" (%d/%d)", j.Succeeded, j.Targets)
		}
		rows[i] = []string{j.ID, j.EventName, state, j.QueuedAt.Local().Format("2006-01-02 15:04:05"), took(&j), j.TriggeredBy}
	}
	table("JOB\tEVENT\tSTATE\tACCEPTED\tTOOK\tBY", rows)
	return nil
}

// listJSON prints a list as one JSON array.
func listJSON(ctx context.Context, api *client.Client, path, name string, query url.Values, most int) error {
	list, err := client.List[json.RawMessage](ctx, api, path, name, query, most)
	if err != nil {
		return err
	}
	return printJSON(list)
}

// took is how long a job has run, until now if it still does.
func took(j *clientJob) string {
	if j.StartedAt == nil {
		return ""
	}
	end := time.Now()
	if j.FinishedAt != nil {
		end = *j.FinishedAt
	}
	d := end.Sub(*j.StartedAt)
	if d < time.Minute {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// findJob finds the id of a job by a beginning of it that no other job has, or
// takes an id.
func findJob(ctx context.Context, api *client.Client, text string) (string, error) {
	if _, ok := cronium.ParseID(text); ok {
		return text, nil
	}
	if _, _, ok := cronium.IDsBeginning(text); !ok {
		return "", fmt.Errorf("%q is no job's id, nor %d or more characters that begin one; \"cronium ps -a\" shows them", text, cronium.ShortestPrefix)
	}
	jobs, err := client.List[clientJob](ctx, api, "/jobs", "jobs", url.Values{"id": {text}}, 2)
	switch {
	case err != nil:
		return "", err
	case len(jobs) == 0:
		return "", fmt.Errorf("there is no job whose id begins with %s; \"cronium ps -a\" shows them", text)
	case len(jobs) > 1:
		return "", fmt.Errorf("several jobs have ids that begin with %s; \"cronium ps -a\" shows them", text)
	}
	return jobs[0].ID, nil
}

type cancelCommand struct {
	clientFlags
	Job string `arg:"" help:"The job's id, or a beginning of it that no other has."`
}

// Run asks for a job to be stopped.
func (c *cancelCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	job, err := findJob(ctx, api, c.Job)
	if err != nil {
		return err
	}
	return api.Do(ctx, http.MethodPost, "/jobs/"+job+"/cancel", nil, nil, nil)
}

type eventsCommand struct {
	listFlags
}

// Run lists events.
func (c *eventsCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.JSON {
		return listJSON(ctx, api, "/events", "events", nil, 0)
	}
	events, err := client.List[v1.Event](ctx, api, "/events", "events", nil, 0)
	if err != nil {
		return err
	}
	rows := make([][]string, len(events))
	for i, e := range events {
		rows[i] = []string{e.Name, e.Type, e.Status, fmt.Sprint(e.Version), e.ID}
	}
	table("EVENT\tTYPE\tSTATUS\tVERSION\tID", rows)
	return nil
}

type serversCommand struct {
	listFlags
	Selector string `arg:"" optional:"" help:"Those that match, like env=prod and role=web."`
}

// clientServer is what the commands read of a server.
type clientServer = v1.Server

// Run lists servers.
func (c *serversCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	query := url.Values{}
	if c.Selector != "" {
		query.Set("selector", c.Selector)
	}
	if c.JSON {
		return listJSON(ctx, api, "/servers", "servers", query, 0)
	}
	servers, err := client.List[clientServer](ctx, api, "/servers", "servers", query, 0)
	if err != nil {
		return err
	}
	rows := make([][]string, len(servers))
	for i, s := range servers {
		load := ""
		if s.Health != nil {
			load = fmt.Sprintf("%.2f", s.Health.Load)
		}
		rows[i] = []string{s.Name, s.State, s.Kind, s.Environment, tagWords(s.Tags), load, fmt.Sprint(s.Running)}
	}
	table("SERVER\tSTATE\tKIND\tENVIRONMENT\tTAGS\tLOAD\tRUNNING", rows)
	return nil
}

func tagWords(tags map[string]string) string {
	words := make([]string, 0, len(tags))
	for key, value := range tags {
		words = append(words, key+"="+value)
	}
	sort.Strings(words)
	return strings.Join(words, " ")
}

// findServer finds a server by its name, in any case, or takes an id.
func findServer(ctx context.Context, api *client.Client, text string) (string, error) {
	if _, ok := cronium.ParseID(text); ok {
		return text, nil
	}
	servers, err := client.List[clientServer](ctx, api, "/servers", "servers", url.Values{"q": {text}}, 0)
	if err != nil {
		return "", err
	}
	for _, s := range servers {
		if strings.EqualFold(s.Name, text) {
			return s.ID, nil
		}
	}
	return "", fmt.Errorf("there is no server named %q; \"cronium servers\" lists them", text)
}
