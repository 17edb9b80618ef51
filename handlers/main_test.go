package handlers_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/installed"
	"cronium.dev/files"
	"cronium.dev/handlers"
	"cronium.dev/internal/testenv"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/static"
	"cronium.dev/store"
	"cronium.dev/terminal"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const password = "a long enough password"

var testAddress = netip.MustParseAddr("192.0.2.7")

// site is a server on a database of its own.
type site struct {
	*handlers.Handlers
	store  *store.Store
	auth   *auth.Service
	server *httptest.Server
	log    *syncBuffer
	box    *secrets.Box
	people map[string]*cronium.User // by e-mail
	home   cronium.ID               // the workspace "default"; zero before the first run
}

// newSite gives a server on which nobody is yet. change may alter what it is
// made from.
func newSite(t *testing.T, change ...func(*handlers.Config)) *site {
	t.Helper()
	s := &site{log: &syncBuffer{}, people: map[string]*cronium.User{}}
	var err error
	if s.store, err = store.Open(t.Context(), testenv.Database(t, store.Migrate)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.store.Close)
	log := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if s.auth, err = auth.New(s.store, log); err != nil {
		t.Fatal(err)
	}
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	hub := live.New(s.store.Pool(), log)
	// An engine that is not started accepts jobs and runs none.
	backends := map[cronium.TargetKind]executor.Backend{cronium.TargetContainer: noPlace{}}
	engine, err := jobs.New(jobs.Config{Store: s.store, Hub: hub, Backends: backends, Log: log, Version: "test", MaxRuns: 1})
	if err != nil {
		t.Fatal(err)
	}
	tails := live.NewTails(hub, s.store, log)
	t.Cleanup(tails.Close)
	agents, err := installed.New(installed.Config{Registry: s.store, Tries: s.store, Process: cronium.NewID(), Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agents.Close)
	config := handlers.Config{
		Terminals: terminal.New(terminal.Config{Store: s.store, Log: log, Agent: func(context.Context, *cronium.Terminal) (*executor.Link, string, error) { return nil, "", errAway }}),
		Files:     files.New(files.Config{Agent: func(context.Context, *cronium.Server) (*executor.Link, string, error) { return nil, "", errAway }}),
		Agents:    agents, Engine: engine, Hub: hub, Tails: tails, Store: s.store, Auth: s.auth, Log: log, Version: "test", Static: assets, Started: time.Now(), Recheck: 20 * time.Millisecond,
	}
	master, err := secrets.LoadMaster(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.InitMasterKey(t.Context(), master.Newest()); err != nil {
		t.Fatal(err)
	}
	s.box = secrets.NewBox(s.store, master)
	config.Box = s.box
	for _, c := range change {
		c(&config)
	}
	s.Handlers = handlers.New(config)
	s.server = httptest.NewServer(s.Handlers)
	t.Cleanup(func() {
		s.server.Close()
		if t.Failed() {
			t.Log(s.log.troubles())
		}
	})
	return s
}

// errAway is of servers that are not there.
var errAway = cronium.Errorf(cronium.CodeUnavailable, "Nobody answers there.")

// noPlace is a target that is switched on and has no place to run anything.
type noPlace struct{}

// Warm has none.
func (noPlace) Warm(executor.Spec) executor.Place { return nil }

// Create cannot make one.
func (noPlace) Create(context.Context, executor.Spec, func(string)) (executor.Place, error) {
	return nil, executor.ErrUnavailable
}

// Find finds none.
func (noPlace) Find(context.Context, string) (executor.Place, error) { return nil, executor.ErrGone }

// newPeopledSite gives a server with the administrator mira@example.com in the
// workspace "default".
func newPeopledSite(t *testing.T, change ...func(*handlers.Config)) *site {
	t.Helper()
	s := newSite(t, change...)
	code, _, err := s.auth.FirstRunCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	user, err := s.auth.MakeFirstAdmin(t.Context(), code, "Mira Lund", "mira@example.com", password, testAddress)
	if err != nil {
		t.Fatal(err)
	}
	s.people[user.Email] = user
	if s.home, err = s.store.HomeWorkspace(t.Context(), user.ID); err != nil {
		t.Fatal(err)
	}
	return s
}

// withRoutes gives the server other routes, to test what admits to them.
func (s *site) withRoutes(routes ...handlers.Route) {
	s.Mount(routes)
}

// add makes a person in a workspace. All test people share one password, whose
// hash is taken from the administrator.
func (s *site) add(t *testing.T, workspace cronium.ID, email string, role cronium.Role) *cronium.User {
	t.Helper()
	user := &cronium.User{ID: cronium.NewID(), Email: email, Name: email, PasswordHash: s.people["mira@example.com"].PasswordHash}
	if err := s.store.AddUser(t.Context(), workspace, user, role); err != nil {
		t.Fatal(err)
	}
	s.people[email] = user
	return user
}

// token makes an API token of a person.
func (s *site) token(t *testing.T, workspace, user cronium.ID, scope cronium.Scope, expires *time.Time) (string, cronium.ID) {
	t.Helper()
	secret, hash, prefix := auth.NewToken()
	token := &cronium.Token{ID: cronium.NewID(), WorkspaceID: workspace, UserID: user, Name: "ci " + string(scope), Prefix: prefix, Scope: scope, ExpiresAt: expires}
	if err := s.store.CreateToken(t.Context(), token, hash); err != nil {
		t.Fatal(err)
	}
	return secret, token.ID
}

// browser is a client with cookies that follows no redirects.
type browser struct {
	t      *testing.T
	site   *site
	client *http.Client
	header http.Header // sent with each request
	prefix string      // of the API, for call; "" = /api/v1
}

func (s *site) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: http.DefaultTransport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &browser{t: t, site: s, client: client, header: http.Header{}}
}

// signedIn is a browser in which the person has signed in.
func (s *site) signedIn(t *testing.T, email string) *browser {
	t.Helper()
	b := s.browser(t)
	if res := b.post("/signin", url.Values{"email": {email}, "password": {password}}); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign in as %s: %s\n%s", email, res.Status, res.text)
	}
	return b
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	text string
}

func (b *browser) get(path string) answer { return b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string, form url.Values) answer {
	return b.do(http.MethodPost, path, form)
}

func (b *browser) do(method, path string, form url.Values) answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, b.site.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = b.header.Clone()
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Errorf("read %s %s: %v", method, path, err)
	}
	return answer{res, string(body)}
}

// cookie is the session's cookie in the browser, "" without one.
func (b *browser) cookie() string {
	u, err := url.Parse(b.site.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == auth.CookieName {
			return c.Value
		}
	}
	return ""
}

func (a answer) want(t *testing.T, status int, parts ...string) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("%s %s: %s, want %d\n%s", a.Request.Method, a.Request.URL.Path, a.Status, status, a.text)
	}
	for _, part := range parts {
		if !strings.Contains(a.text, part) {
			t.Errorf("%s %s does not contain %q\n%s", a.Request.Method, a.Request.URL.Path, part, a.text)
		}
	}
}

// syncBuffer collects the log of requests that run side by side.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// troubles are the lines that tell of an error.
func (s *syncBuffer) troubles() string {
	var lines []string
	for line := range strings.Lines(s.String()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
