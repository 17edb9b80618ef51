package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
)

// runtimeImage is what both sides of the comparisons run in.
const runtimeImage = "cronium-runtime:latest"

// site is a whole installation with one server, as `make build` has built it.
type site struct {
	*instance.Client
	instance.Site
	server *instance.Server
	logger interface{ Error(string, ...any) }
}

// site starts an installation; flags are more flags of cronium serve.
func (m *machine) site(ctx context.Context, flags ...string) (*site, error) {
	m.count++
	dir := filepath.Join(m.dir, fmt.Sprintf("site%d", m.count))
	if err := os.Mkdir(dir, 0o711); err != nil {
		return nil, err
	}
	binaries, err := filepath.Abs("bin")
	if err != nil {
		return nil, err
	}
	s := &site{logger: m.log, Site: instance.Site{
		Binaries: instance.Binaries(binaries), Data: filepath.Join(dir, "data"), Logs: dir, Engine: os.Getenv("DOCKER_HOST"), Flags: append([]string{"--api-rate", "0"}, flags...)}}
	if s.server, err = s.Start(ctx); err != nil {
		return nil, err
	}
	token, err := s.Token(ctx)
	if err != nil {
		s.close()
		return nil, err
	}
	s.Client = instance.NewClient(token, func() string { return s.server.Address })
	return s, nil
}

func (s *site) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if s.Client != nil {
		s.Client.Close()
	}
	if err := s.server.Stop(ctx); err != nil {
		s.logger.Error("a server did not stop", "error", err)
	}
}

// database opens a connection as the superuser.
func (s *site) database(ctx context.Context) (*pgx.Conn, error) {
	url, err := s.Database()
	if err != nil {
		return nil, err
	}
	return pgx.Connect(ctx, url)
}

// python makes an event that runs a script without a network.
func (s *site) python(ctx context.Context, name, script string, change func(*cronium.Content)) (cronium.ID, error) {
	content := cronium.NewContent(cronium.EventPython)
	content.Files[0].Content, content.Network = script, cronium.NetworkNone
	if change != nil {
		change(&content)
	}
	return s.CreateEvent(ctx, name, cronium.EventPython, content)
}

// attempt is what the figures need to know of an execution.
type attempt struct {
	ID     cronium.ID
	Status cronium.ExecutionStatus
	Warm   bool
}

// execution waits until a job has been claimed and gives its execution.
func (s *site) execution(ctx context.Context, job cronium.ID) (attempt, error) {
	for {
		var list struct{ Executions []attempt }
		err := s.Try(ctx, http.MethodGet, "/api/v1/jobs/"+job.String()+"/executions", nil, nil, &list)
		if err != nil || len(list.Executions) > 0 {
			return append(list.Executions, attempt{})[0], err
		}
	}
}

// ended waits for the end of a job's execution and gives it.
func (s *site) ended(ctx context.Context, job cronium.ID) (attempt, error) {
	var last attempt
	err := until(ctx, func() (bool, error) {
		var err error
		last, err = s.execution(ctx, job)
		return last.Status.Final(), err
	})
	return last, err
}

// browser is an HTTP client that is signed in as a person.
func (s *site) browser(ctx context.Context) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Jar: jar}
	form := url.Values{"email": {instance.Email}, "password": {instance.Password}}
	response, err := client.PostForm(s.server.Address+"/signin", form)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return nil, errors.New("signing in was answered by " + response.Status)
	}
	return client, nil
}
