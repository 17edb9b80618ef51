package handlers_test

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/handlers"
	"cronium.dev/store"
)

// These tests walk the table of routes: whoever adds a route adds it to them.

// contentSecurity is the policy that every page has to have, word for word.
const contentSecurity = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
	"worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// visitor is one way to ask.
type visitor struct {
	name    string
	may     string // permissions, besides public
	token   bool
	browser func() *browser
}

// visitors are nobody, each role, and each scope of an administrator's token.
func visitors(t *testing.T, s *site) []visitor {
	s.add(t, s.home, "user@example.com", cronium.RoleUser)
	s.add(t, s.home, "admin@example.com", cronium.RoleAdmin)
	viewer := s.add(t, s.home, "viewer@example.com", cronium.RoleViewer)
	admin := s.people["mira@example.com"].ID
	session := func(email string) func() *browser {
		b := s.signedIn(t, email)
		return func() *browser {
			if b.get("/settings/profile").StatusCode != http.StatusOK { // a route has signed out
				b = s.signedIn(t, email)
			}
			return b
		}
	}
	token := func(owner cronium.ID, scope cronium.Scope) func() *browser {
		b := s.browser(t)
		secret, _ := s.token(t, s.home, owner, scope, nil)
		b.header.Set("Authorization", "Bearer "+secret)
		return func() *browser { return b }
	}
	return []visitor{
		{"nobody", "", false, func() *browser { return s.browser(t) }},
		{"a viewer", "account token read", false, session("viewer@example.com")},
		{"a user", "account token read run write", false, session("user@example.com")},
		{"an administrator", "account token read run write admin people terminal", false, session("admin@example.com")},
		{"an instance administrator", "account token read run write admin people metrics terminal", false, session("mira@example.com")},
		{"a read token", "account read", true, token(admin, cronium.ScopeRead)},
		{"a run token", "account read run", true, token(admin, cronium.ScopeRun)},
		{"a write token", "account read run write", true, token(admin, cronium.ScopeWrite)},
		{"an admin token", "account read run write admin terminal", true, token(admin, cronium.ScopeAdmin)},
		{"a metrics token", "account metrics", true, token(admin, cronium.ScopeMetrics)},
		{"a viewer's write token", "account read", true, token(viewer.ID, cronium.ScopeWrite)},
	}
}

func (v visitor) allowed(route handlers.Route) bool {
	if route.Permission == cronium.PermissionPublic {
		return true
	}
	if v.token && route.Kind == handlers.KindPage {
		return false // pages are for sessions
	}
	return slices.Contains(strings.Fields(v.may), string(route.Permission))
}

func TestEveryRouteAdmitsExactlyWhoMay(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	for _, v := range visitors(t, s) {
		for _, route := range s.Routes() {
			// On a page of ours, so that who is sent to sign in is sent with the way back.
			header := http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {s.server.URL + "/jobs"}}
			res := v.browser().ask(route, fill(t, route.Pattern, cronium.NewID().String()), header)
			denied := res.StatusCode == http.StatusForbidden || strings.HasPrefix(res.Header.Get("HX-Redirect"), "/signin?next=") ||
				res.StatusCode == http.StatusUnauthorized && route.Kind != handlers.KindPage
			if denied == v.allowed(route) || res.StatusCode >= 500 {
				t.Errorf("%s, %s %s (%s): %s\n%.300s", v.name, route.Method, route.Pattern, route.Permission, res.Status, res.text)
			}
		}
	}
}

func TestAnotherWorkspacesIDsAreAnsweredLikeUnknownOnes(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	mine := plant(t, s, s.home, s.people["mira@example.com"].ID)
	other := &cronium.Workspace{ID: cronium.NewID(), Slug: "other", Name: "Other"}
	if err := s.store.AddWorkspace(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	foreign := plant(t, s, other.ID, s.add(t, other.ID, "other@example.com", cronium.RoleAdmin).ID)
	b := s.signedIn(t, "mira@example.com")
	for _, route := range s.Routes() {
		if !strings.Contains(route.Pattern, "{id}") {
			continue
		}
		kind := kindOf(t, route.Pattern)
		theirs := b.ask(route, fill(t, route.Pattern, foreign[kind]), nil)
		unknown := b.ask(route, fill(t, route.Pattern, cronium.NewID().String()), nil)
		name := route.Method + " " + route.Pattern
		if theirs.StatusCode != unknown.StatusCode || plain(theirs.text) != plain(unknown.text) {
			t.Errorf("%s tells another workspace's id from an unknown one: %s and %s\n%s\n%s", name, theirs.Status, unknown.Status, theirs.text, unknown.text)
		}
		if unknown.StatusCode != http.StatusNotFound && unknown.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s of an unknown id: %s", name, unknown.Status)
		}
		if route.Method == http.MethodGet {
			want := cmp.Or(needsMore[route.Pattern], http.StatusOK)
			if res := b.ask(route, fill(t, route.Pattern, mine[kind]), nil); res.StatusCode != want {
				t.Errorf("%s of our own: %s, want %d\n%s", name, res.Status, want, res.text)
			}
		}
	}
}

// needsMore are routes that need more than an id to answer with 200: a WebSocket,
// or a server that can be reached.
var needsMore = map[string]int{
	"/terminals/{id}/socket":             http.StatusUpgradeRequired,
	"/servers/{id}/files":                http.StatusServiceUnavailable,
	"/servers/{id}/files/download":       http.StatusUnprocessableEntity,
	"/executions/{id}/artifact":          http.StatusNotFound,
	"/api/v1/executions/{id}/artifact":   http.StatusNotFound,
	"/api/v1/servers/{id}/files":         http.StatusServiceUnavailable,
	"/api/v1/servers/{id}/files/content": http.StatusUnprocessableEntity,
}

func TestWhatIsNotAnIDIsNotFound(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	known := plant(t, s, s.home, s.people["mira@example.com"].ID)
	b := s.signedIn(t, "mira@example.com")
	for _, route := range s.Routes() {
		if !strings.Contains(route.Pattern, "{id}") {
			continue
		}
		id := known[kindOf(t, route.Pattern)]
		for _, spelling := range []string{
			"..", ".", "%2e%2e", "%2e%2e%2f" + id, "%252e%252e", "..%2f..%2fetc%2fpasswd", "..%5c" + id, strings.ToUpper(id) + ".", id + "%00", id + "%2f", id + "%20",
			"{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), "'%20OR%20'1'='1", id + "'", "%ff", "-1", "0", strings.Repeat("a", 3000),
		} {
			res := b.ask(route, fill(t, route.Pattern, spelling), nil)
			wrongForm := route.Method != http.MethodGet && res.StatusCode == http.StatusUnprocessableEntity
			if res.StatusCode != http.StatusNotFound && !wrongForm {
				t.Errorf("%s %s with the id %.60s: %s", route.Method, route.Pattern, spelling, res.Status)
			}
		}
	}
}

func TestNoChangingRouteObeysAnotherSite(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	known := plant(t, s, s.home, s.people["mira@example.com"].ID)
	b := s.signedIn(t, "mira@example.com")
	for _, route := range s.Routes() {
		if route.Method == http.MethodGet {
			continue
		}
		path := fill(t, route.Pattern, "x")
		if strings.Contains(route.Pattern, "{id}") {
			path = fill(t, route.Pattern, known[kindOf(t, route.Pattern)])
		}
		for _, header := range []http.Header{
			{"Origin": {"https://evil.example"}}, {"Origin": {"null"}}, {"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}},
			{"Origin": {"https://evil.example"}, "Content-Type": {"text/plain"}},
		} {
			if res := b.ask(route, path, header); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s from another site (%v): %s", route.Method, route.Pattern, header, res.Status)
			}
		}
	}
	b.get("/settings/profile").want(t, http.StatusOK) // still signed in, so nothing of it was done
	own := http.Header{"Origin": {s.server.URL}, "Sec-Fetch-Site": {"same-origin"}}
	if res := b.ask(route("POST", "/signout", "", "", nil), "/signout", own); res.StatusCode != http.StatusSeeOther {
		t.Errorf("from our own page: %s", res.Status)
	}
}

func TestEveryAnswerCarriesTheHeadersThatGuardIt(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	known := plant(t, s, s.home, s.people["mira@example.com"].ID)
	for _, b := range []*browser{s.browser(t), s.signedIn(t, "mira@example.com")} {
		for _, route := range s.Routes() {
			if route.Method != http.MethodGet {
				continue
			}
			path := fill(t, route.Pattern, "x")
			if strings.Contains(route.Pattern, "{id}") {
				path = fill(t, route.Pattern, known[kindOf(t, route.Pattern)])
			}
			res := b.ask(route, path, nil)
			for name, want := range map[string]string{
				"Content-Security-Policy": contentSecurity, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
				"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
				"Access-Control-Allow-Origin": "",
			} {
				if got := strings.Join(res.Header.Values(name), " | "); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
			if route.Kind != handlers.KindStatic && !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
				t.Errorf("%s may be kept: Cache-Control %q", path, res.Header.Get("Cache-Control"))
			}
			for _, inline := range []string{"<style", "style=\"", " onclick=", " onload=", "javascript:", "<script>"} {
				if strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && strings.Contains(res.text, inline) {
					t.Errorf("%s has %q, which the policy blocks", path, inline)
				}
			}
		}
	}
}

func TestNamesAreShownAsText(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	hostile := `"><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}` + "\u202e"
	known := plantNamed(t, s, s.home, s.people["mira@example.com"].ID, hostile)
	if err := s.store.RenameUser(t.Context(), s.people["mira@example.com"].ID, hostile); err != nil {
		t.Fatal(err)
	}
	b := s.signedIn(t, "mira@example.com")
	shown := 0
	for _, route := range s.Routes() {
		if route.Method != http.MethodGet || route.Kind != handlers.KindPage {
			continue
		}
		path := fill(t, route.Pattern, "x")
		if strings.Contains(route.Pattern, "{id}") {
			path = fill(t, route.Pattern, known[kindOf(t, route.Pattern)])
		}
		res := b.ask(route, path, nil)
		if strings.Contains(res.text, "<script>alert(1)") || strings.Contains(res.text, "<img src=x") {
			t.Errorf("%s has markup from a name", path)
		}
		if strings.Contains(res.text, "alert(1)") {
			shown++
		}
	}
	if shown < 3 {
		t.Errorf("the name is shown on %d pages: the test looks at nothing", shown)
	}
}

// ask sends a request to a route, in any spelling of the path. A stream's
// answer is not read.
func (b *browser) ask(route handlers.Route, path string, header http.Header) answer {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	body := ""
	if route.Kind != handlers.KindPage && route.Method != http.MethodGet {
		body = "{}"
	}
	req, err := http.NewRequestWithContext(ctx, route.Method, b.site.server.URL, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	base, err := url.Parse(b.site.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	req.URL = &url.URL{Scheme: base.Scheme, Host: base.Host, Opaque: path}
	req.Header = b.header.Clone()
	if route.Method != http.MethodGet {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if route.Kind == handlers.KindAPI {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	for _, c := range b.client.Jar.Cookies(base) {
		req.AddCookie(c)
	}
	res, err := b.client.Transport.RoundTrip(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", route.Method, path, err)
	}
	defer res.Body.Close()
	b.client.Jar.SetCookies(base, res.Cookies())
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return answer{res, ""}
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatalf("read %s %s: %v", route.Method, path, err)
	}
	return answer{res, string(text)}
}

// fill puts an id into a pattern, and something that exists nowhere or is the
// first of its kind into its other parts.
func fill(t *testing.T, pattern, id string) string {
	t.Helper()
	path := strings.NewReplacer("{id}", "\x00", "{n}", "1", "{number}", "1", "{hook}", "nothing", "*", "nothing", "/search", "/search?q=x").Replace(pattern)
	if strings.ContainsAny(path, "{}") {
		t.Fatalf("the walk does not know all parts of %s: teach fill what to put there", pattern)
	}
	if strings.HasSuffix(pattern, "/search") {
		path += "?q=x"
	}
	return strings.ReplaceAll(path, "\x00", id)
}

var (
	idPattern      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	requestPattern = regexp.MustCompile(`"request_id":"[0-9a-f]+"`)
)

// plain is an answer without what differs between two requests.
func plain(text string) string {
	return requestPattern.ReplaceAllString(idPattern.ReplaceAllString(text, "ID"), "")
}

// kindOf tells what the {id} of a pattern names.
func kindOf(t *testing.T, pattern string) string {
	t.Helper()
	before, _, _ := strings.Cut(pattern, "/{id}")
	kind := before[strings.LastIndexByte(before, '/')+1:]
	if before == "/api/logs" { // what earlier clients call jobs
		kind = "jobs"
	}
	if !slices.Contains([]string{"events", "jobs", "executions", "tokens", "people", "sessions", "servers", "agents", "agent-codes", "terminals", "variables", "schedules", "webhooks", "deliveries"}, kind) {
		t.Fatalf("the walk does not know what the id in %s is: teach plant to make one", pattern)
	}
	return kind
}

// plant makes one of everything that has an id, in a workspace.
func plant(t *testing.T, s *site, workspace, owner cronium.ID) map[string]string {
	t.Helper()
	return plantNamed(t, s, workspace, owner, "Backup")
}

func plantNamed(t *testing.T, s *site, workspace, owner cronium.ID, name string) map[string]string {
	t.Helper()
	event := &cronium.Event{Name: name, Type: cronium.EventPython, Status: cronium.EventActive}
	author := store.Author{ID: owner, Name: name}
	if err := s.store.CreateEvent(t.Context(), workspace, event, cronium.NewContent(cronium.EventPython), name, author); err != nil {
		t.Fatal(err)
	}
	job, execution := cronium.NewID(), cronium.NewID()
	write := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.store.WorkerPool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	write(`INSERT INTO jobs (id, workspace_id, event_id, version, priority, status, result, trigger, triggered_by, attempts, error)
		VALUES ($1, $2, $3, 1, 'NORMAL', 'FAILED', 'FAILURE', 'MANUAL', $4, 1, $4)`, job, workspace, event.ID, name)
	write(`INSERT INTO executions (id, workspace_id, job_id, attempt, target, status, error, started_at, finished_at)
		VALUES ($1, $2, $3, 1, 'container', 'FAILURE', $4, now(), now())`, execution, workspace, job, name)
	_, token := s.token(t, workspace, owner, cronium.ScopeRead, nil)
	member := &cronium.User{ID: cronium.NewID(), Email: cronium.NewID().String() + "@example.com", Name: name}
	if err := s.store.AddUser(t.Context(), workspace, member, cronium.RoleUser); err != nil {
		t.Fatal(err)
	}
	session := &cronium.Session{ID: cronium.NewID(), UserID: member.ID, WorkspaceID: workspace, Browser: name}
	if err := s.store.BeginSession(t.Context(), session, []byte(member.Email), 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	schedule := cronium.DefaultSchedule()
	schedule.EventID, schedule.Name, schedule.Expression = event.ID, name, "0 2 * * *"
	if err := s.store.CreateSchedule(t.Context(), workspace, &schedule); err != nil {
		t.Fatal(err)
	}
	webhook, delivery := cronium.NewWebhook(), cronium.NewID()
	webhook.ID, webhook.WorkspaceID, webhook.EventID, webhook.Hook, webhook.Name, webhook.ChangedBy = cronium.NewID(), workspace, event.ID, cronium.NewID().String(), name, name
	_, hookSecret := s.hookSecret(t, workspace, "")
	if err := s.store.CreateWebhook(t.Context(), &webhook, hookSecret); err != nil {
		t.Fatal(err)
	}
	write(`INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, verdict, verified, reason, status, address, content_type, headers, body, size, by_name)
		VALUES ($1, $2, $3, 'REFUSED', true, $4, 409, '192.0.2.1', 'text/plain', json_build_array(json_build_object('name', $4::text, 'value', $4::text)), convert_to($4, 'UTF8'), length($4), $4)`,
		delivery, workspace, webhook.ID, name)
	variable := cronium.NewID()
	write(`INSERT INTO variables (id, workspace_id, key, type, secret, description, value, size, all_events, updated_by)
		VALUES ($1, $2, 'NAMED', 'STRING', false, $3::text, to_json($3::text), 10, true, $3::text)`, variable, workspace, name)
	server, code, terminal := cronium.NewID(), cronium.NewID(), cronium.NewID()
	write(`INSERT INTO servers (id, workspace_id, name, kind, description, environment, tags, address, login, host_key, host_key_by)
		VALUES ($1, $2, $3, 'ssh', $3, $3, jsonb_build_object($3::text, $3::text), '192.0.2.1', 'root', 'x', $3)`, server, workspace, name)
	write(`INSERT INTO server_states (server_id, workspace_id, error, seen_at, cpus, agent_version, os, platform) VALUES ($1, $2, $3, now(), 2, $3, $3, $3)`, server, workspace, name)
	write(`INSERT INTO job_targets (job_id, server_id, workspace_id, position, kind, name, status) VALUES ($1, $2, $3, 0, 'ssh', $4, 'FAILURE')`, job, server, workspace, name)
	write(`INSERT INTO agent_codes (id, workspace_id, hash, name, created_by, expires_at) VALUES ($1, $2, $3, $4, $4, now() + interval '1 hour')`, code, workspace, []byte(code.String()), name)
	write(`INSERT INTO terminals (id, workspace_id, server_id, target, user_id, user_name, ended_at) VALUES ($1, $2, $3, $4, $5, $4, now())`, terminal, workspace, server, name, owner)
	return map[string]string{
		"variables": variable.String(), "servers": server.String(), "agents": code.String(), "agent-codes": code.String(), "terminals": terminal.String(),
		"events": event.ID.String(), "jobs": job.String(), "executions": execution.String(), "tokens": token.String(),
		"people": member.ID.String(), "sessions": session.ID.String(), "schedules": schedule.ID.String(),
		"webhooks": webhook.ID.String(), "deliveries": delivery.String(),
	}
}
