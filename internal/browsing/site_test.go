package browsing

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/internal/instance"
	"cronium.dev/internal/testenv"
)

const (
	// startLimit is how long a server may take to start, with its database
	// to be made or recovered on a busy machine.
	startLimit = time.Minute
	// waitLimit is how long a job may take.
	waitLimit = 45 * time.Second
)

// site is an installation with one server.
type site struct {
	*instance.Client
	instance.Site
	server  *instance.Server
	session string // the administrator's cookie
	killed  bool   // one of its servers was killed, and may have left a container behind
}

func build(t *testing.T) instance.Binaries {
	t.Helper()
	binaries, err := instance.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return binaries
}

// start starts a server on which nobody is yet.
func start(t *testing.T, binaries instance.Binaries) *site {
	t.Helper()
	// Not t.TempDir, whose folders PostgreSQL's user may not enter.
	dir, err := os.MkdirTemp("", "cronium-browsing-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	s := &site{Site: instance.Site{
		Binaries: binaries, Data: filepath.Join(dir, "data"), Logs: dir, Engine: testenv.Engine(t), Flags: []string{"--pool", "3"}}}
	t.Cleanup(func() {
		s.stop(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.startServer(t)
	return s
}

// startServer starts a server process; flags are more flags of its command.
func (s *site) startServer(t *testing.T, flags ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	server, err := s.Start(ctx, flags...)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
}

// startPeopled starts a server with its administrator signed in and a client
// of its API.
func startPeopled(t *testing.T, binaries instance.Binaries) *site {
	t.Helper()
	s := start(t, binaries)
	s.makeClient(t)
	s.session = s.signIn(t)
	return s
}

// makeClient makes the administrator and a token.
func (s *site) makeClient(t *testing.T) {
	t.Helper()
	token, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.use(t, token)
}

func (s *site) use(t *testing.T, token string) {
	s.Client = instance.NewClient(token, func() string { return s.server.Address })
	t.Cleanup(s.Client.Close)
}

// stop cancels what runs and stops the server. No container may stay then.
func (s *site) stop(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	if s.server == nil {
		return
	}
	if t.Failed() {
		t.Logf("the server's log ends:\n%s", s.server.LogTail(6000))
	}
	if s.Client != nil {
		for _, job := range s.openJobs(t, ctx) {
			if err := s.Cancel(ctx, job); err != nil {
				t.Error(err)
			}
		}
		for len(s.openJobs(t, ctx)) > 0 && ctx.Err() == nil {
			pause(ctx)
		}
	}
	label, err := s.label(ctx)
	if err != nil {
		t.Error(err)
	}
	if err := s.server.Stop(ctx); err != nil {
		t.Error(err)
	}
	left, err := s.removeContainers(ctx, label)
	if err != nil {
		t.Error(err)
	}
	if left > 0 && !s.killed {
		t.Errorf("the server that stopped left %d containers", left)
	}
}

func (s *site) openJobs(t *testing.T, ctx context.Context) []cronium.ID {
	var page struct{ Jobs []struct{ ID cronium.ID } }
	if err := s.Insist(ctx, http.MethodGet, "/api/v1/jobs?status=QUEUED,CLAIMED,RUNNING&limit=200", nil, nil, &page); err != nil {
		t.Error(err)
	}
	var ids []cronium.ID
	for _, job := range page.Jobs {
		ids = append(ids, job.ID)
	}
	return ids
}

// pause waits a moment between two looks at something.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(50 * time.Millisecond):
	}
}

// signIn signs the administrator in and gives the session's cookie.
func (s *site) signIn(t *testing.T) string {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Jar: jar, Timeout: waitLimit}
	answer, err := client.PostForm(s.server.Address+"/signin", url.Values{"email": {instance.Email}, "password": {instance.Password}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	address, err := url.Parse(s.server.Address)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range jar.Cookies(address) {
		if cookie.Name == auth.CookieName {
			return cookie.Value
		}
	}
	t.Fatalf("signing in gave no cookie: %s", answer.Status)
	return ""
}

// event makes an active event with one script. change may alter the content.
func (s *site) event(t *testing.T, name string, kind cronium.EventType, script string, change ...func(*cronium.Content)) cronium.ID {
	t.Helper()
	content := cronium.NewContent(kind)
	content.Files[0].Content = script
	for _, c := range change {
		c(&content)
	}
	id, err := s.CreateEvent(t.Context(), name, kind, content)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// run starts a job.
func (s *site) run(t *testing.T, event cronium.ID) cronium.ID {
	t.Helper()
	job, err := s.Run(t.Context(), event, cronium.NewID().String())
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// job is what the API says of one.
type job struct {
	ID     cronium.ID
	Status cronium.JobStatus
	Result cronium.Result
}

// finished waits until a job is final.
func (s *site) finished(t *testing.T, id cronium.ID) job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	for {
		var j job
		if err := s.Insist(ctx, http.MethodGet, "/api/v1/jobs/"+id.String(), nil, nil, &j); err != nil {
			t.Fatal(err)
		}
		if j.Status.Final() {
			return j
		}
		pause(ctx)
	}
}

// output is all that a job's last attempt has written.
func (s *site) output(t *testing.T, id cronium.ID) string {
	t.Helper()
	body, err := s.Open(t.Context(), http.MethodGet, "/api/v1/executions/"+s.execution(t, id).String()+"/output?download=1", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	return readAll(t, body)
}

// execution is a job's last attempt.
func (s *site) execution(t *testing.T, id cronium.ID) cronium.ID {
	t.Helper()
	var list struct{ Executions []struct{ ID cronium.ID } }
	if err := s.Insist(t.Context(), http.MethodGet, "/api/v1/jobs/"+id.String()+"/executions", nil, nil, &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Executions) == 0 {
		t.Fatal("the job has no execution")
	}
	return list.Executions[len(list.Executions)-1].ID
}

// quote writes a text as JavaScript does.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}
