package handlers_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/handlers"
)

// echo answers with who asks.
func echo(w http.ResponseWriter, r *http.Request) error {
	p := auth.FromContext(r.Context())
	name := "nobody"
	if p != nil {
		name = p.DisplayName()
	}
	_, err := io.WriteString(w, name)
	return err
}

func route(method, pattern string, permission cronium.Permission, kind handlers.Kind, handle handlers.Handler) handlers.Route {
	return handlers.Route{Method: method, Pattern: pattern, Permission: permission, Kind: kind, Handle: handle}
}

func apiRoutes() []handlers.Route {
	var routes []handlers.Route
	for _, p := range []cronium.Permission{
		cronium.PermissionAccount, cronium.PermissionRead, cronium.PermissionRun, cronium.PermissionWrite, cronium.PermissionAdmin, cronium.PermissionToken,
		cronium.PermissionPeople, cronium.PermissionMetrics,
	} {
		routes = append(routes, route("GET", "/api/"+string(p), p, handlers.KindAPI, echo))
	}
	return append(routes, route("GET", "/page", cronium.PermissionRead, handlers.KindPage, echo))
}

func TestTokensMayWhatTheirScopeAndTheirOwnersRoleMay(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.withRoutes(apiRoutes()...)
	viewer := s.add(t, s.home, "viewer@example.com", cronium.RoleViewer)
	admin := s.people["mira@example.com"]
	for _, c := range []struct {
		name  string
		owner *cronium.User
		scope cronium.Scope
		may   string
	}{
		{"an administrator's read token", admin, cronium.ScopeRead, "account read"},
		{"an administrator's run token", admin, cronium.ScopeRun, "account read run"},
		{"an administrator's write token", admin, cronium.ScopeWrite, "account read run write"},
		{"an administrator's admin token", admin, cronium.ScopeAdmin, "account read run write admin"},
		{"an instance administrator's metrics token", admin, cronium.ScopeMetrics, "account metrics"},
		{"a viewer's write token", viewer, cronium.ScopeWrite, "account read"},
		{"a viewer's admin token", viewer, cronium.ScopeAdmin, "account read"},
		{"a viewer's metrics token", viewer, cronium.ScopeMetrics, "account"},
	} {
		b := s.browser(t)
		secret, _ := s.token(t, s.home, c.owner.ID, c.scope, nil)
		b.header.Set("Authorization", "Bearer "+secret)
		var may []string
		for _, p := range strings.Fields("account read run write admin token people metrics") {
			if res := b.get("/api/" + p); res.StatusCode == http.StatusOK {
				may = append(may, p)
			} else {
				res.want(t, http.StatusForbidden, `"code":"forbidden"`)
			}
		}
		if got := strings.Join(may, " "); got != c.may {
			t.Errorf("%s may %q, want %q", c.name, got, c.may)
		}
	}
}

func TestATokenCountsOnlyWhileItIsValidAndOnlyInItsHeader(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.withRoutes(apiRoutes()...)
	mira := s.people["mira@example.com"].ID
	good, id := s.token(t, s.home, mira, cronium.ScopeRead, nil)
	past := time.Now().Add(-time.Second)
	expired, _ := s.token(t, s.home, mira, cronium.ScopeRead, &past)
	use := func(header, path string) answer {
		b := s.browser(t)
		if header != "" {
			b.header.Set("Authorization", header)
		}
		return b.get(path)
	}
	use("Bearer "+good, "/api/read").want(t, http.StatusOK, "token ci read")
	use("bearer  "+good, "/api/read").want(t, http.StatusOK)
	for _, header := range []string{"Bearer " + expired, "Bearer " + good[:len(good)-1] + "x", "Bearer", "Bearer ", good, "Basic " + good} {
		res := use(header, "/api/read")
		res.want(t, http.StatusUnauthorized, `"code":"unauthorized"`)
		if res.Header.Get("WWW-Authenticate") == "" || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: headers %v", header, res.Header)
		}
	}
	for _, path := range []string{"/api/read?token=" + good, "/api/read?access_token=" + good, "/api/read?authorization=Bearer%20" + good} {
		use("", path).want(t, http.StatusUnauthorized)
	}
	use("Bearer "+good, "/page").want(t, http.StatusSeeOther) // pages are for sessions
	if err := s.store.RevokeToken(t.Context(), s.home, mira, id); err != nil {
		t.Fatal(err)
	}
	use("Bearer "+good, "/api/read").want(t, http.StatusUnauthorized)
	if strings.Contains(s.log.String(), good) {
		t.Error("the log has the token")
	}
}

func TestAWrongTokenIsNotRescuedByACookie(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.withRoutes(apiRoutes()...)
	b := s.signedIn(t, "mira@example.com")
	b.get("/api/read").want(t, http.StatusOK, "Mira Lund")
	b.header.Set("Authorization", "Bearer crn_0000")
	b.get("/api/read").want(t, http.StatusUnauthorized)
}

func TestALostRoleIsLostAtOnce(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.withRoutes(apiRoutes()...)
	user := s.add(t, s.home, "user@example.com", cronium.RoleUser)
	b := s.signedIn(t, "user@example.com")
	b.get("/api/write").want(t, http.StatusOK)
	if err := s.store.SetRole(t.Context(), s.home, cronium.ID{}, user.ID, cronium.RoleViewer); err != nil {
		t.Fatal(err)
	}
	b.get("/api/write").want(t, http.StatusForbidden)
	b.get("/api/read").want(t, http.StatusOK)
}

func TestUseOfATokenIsNoted(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.withRoutes(apiRoutes()...)
	mira := s.people["mira@example.com"].ID
	secret, _ := s.token(t, s.home, mira, cronium.ScopeRead, nil)
	b := s.browser(t)
	b.header.Set("Authorization", "Bearer "+secret)
	b.get("/api/read").want(t, http.StatusOK)
	tokens, err := s.store.Tokens(t.Context(), s.home, mira)
	if err != nil || len(tokens) != 1 || tokens[0].LastUsedAt == nil {
		t.Fatalf("tokens %+v, %v", tokens, err)
	}
	if at := *tokens[0].LastUsedAt; !at.Equal(at.Truncate(time.Minute)) || time.Since(at) > 2*time.Minute {
		t.Errorf("last used at %s", at)
	}
}

func TestAStreamEndsWhenItsViewerMayNoLongerSeeIt(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	open := make(chan struct{})
	s.withRoutes(route("GET", "/stream", cronium.PermissionRead, handlers.KindStream, func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		open <- struct{}{}
		<-r.Context().Done()
		return nil
	}))
	mira := s.people["mira@example.com"].ID
	secret, id := s.token(t, s.home, mira, cronium.ScopeRead, nil)
	byToken, bySession := s.browser(t), s.signedIn(t, "mira@example.com")
	byToken.header.Set("Authorization", "Bearer "+secret)
	for _, c := range []struct {
		viewer *browser
		end    func()
	}{
		{byToken, func() {
			if err := s.store.RevokeToken(t.Context(), s.home, mira, id); err != nil {
				t.Error(err)
			}
		}},
		{bySession, func() {
			if _, err := s.store.EndSessions(t.Context(), mira); err != nil {
				t.Error(err)
			}
		}},
	} {
		ended := make(chan answer, 1)
		go func() { ended <- c.viewer.get("/stream") }()
		<-open
		c.end()
		if res := <-ended; res.StatusCode != http.StatusOK {
			t.Errorf("stream: %s", res.Status)
		}
	}
}

func TestErrorsAreAnsweredInTheFormThatWasAsked(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	invalid := cronium.Problems{{Field: "name", Message: "must be there"}}.Err("The event")
	errs := map[string]error{"/invalid": invalid, "/internal": errors.New("the secret cause"), "/panic": nil}
	var routes []handlers.Route
	for path, err := range errs {
		handle := func(http.ResponseWriter, *http.Request) error {
			if err == nil {
				panic("the secret cause")
			}
			return err
		}
		routes = append(routes,
			route("GET", path, cronium.PermissionPublic, handlers.KindPage, handle),
			route("GET", "/api"+path, cronium.PermissionPublic, handlers.KindAPI, handle))
	}
	s.withRoutes(routes...)
	b := s.browser(t)
	var problem struct {
		Type, Title, Detail, Code string
		Status                    int
		Fields                    []cronium.FieldError
		RequestID                 string `json:"request_id"`
	}
	res := b.get("/api/invalid")
	res.want(t, http.StatusUnprocessableEntity)
	if err := json.Unmarshal([]byte(res.text), &problem); err != nil {
		t.Fatal(err)
	}
	if problem.Status != 422 || problem.Code != "invalid" || len(problem.Fields) != 1 || problem.Fields[0].Field != "name" || problem.RequestID == "" {
		t.Errorf("problem %+v", problem)
	}
	b.get("/invalid").want(t, http.StatusUnprocessableEntity, "<h1>", "was not accepted")
	for _, path := range []string{"/internal", "/panic", "/api/internal", "/api/panic"} {
		res := b.get(path)
		res.want(t, http.StatusInternalServerError)
		if strings.Contains(res.text, "secret cause") {
			t.Errorf("%s tells the cause:\n%s", path, res.text)
		}
	}
	if n := strings.Count(s.log.String(), "the secret cause"); n != 4 {
		t.Errorf("the causes are in the log %d times, want 4", n)
	}
	b.get("/nowhere").want(t, http.StatusNotFound, "<h1>")
	b.get("/api/nowhere").want(t, http.StatusNotFound, `"code":"not_found"`)
	b.post("/invalid", url.Values{}).want(t, http.StatusMethodNotAllowed)
	b.header.Set("HX-Request", "true")
	fragment := b.get("/internal")
	fragment.want(t, http.StatusInternalServerError, "hx-partial")
	if strings.Contains(fragment.text, "<html") {
		t.Error("htmx got a whole page")
	}
}

func TestBodiesHaveALimit(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	small := route("POST", "/api/small", cronium.PermissionPublic, handlers.KindAPI, func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	})
	small.MaxBody = 100
	s.withRoutes(small)
	b := s.browser(t)
	b.post("/api/small", url.Values{"x": {strings.Repeat("x", 98)}}).want(t, http.StatusOK)
	b.post("/api/small", url.Values{"x": {strings.Repeat("x", 99)}}).want(t, http.StatusRequestEntityTooLarge, `"code":"too_large"`)
	b.post("/signin", url.Values{"email": {strings.Repeat("x", 20<<10)}}).want(t, http.StatusRequestEntityTooLarge)
}

func TestATableWithARouteThatNamesNoPermissionIsRefused(t *testing.T) {
	t.Parallel()
	whole := route("GET", "/x", cronium.PermissionRead, handlers.KindPage, echo)
	if err := handlers.CheckTable([]handlers.Route{whole}); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*handlers.Route){
		"no permission":  func(r *handlers.Route) { r.Permission = "" },
		"unknown":        func(r *handlers.Route) { r.Permission = "wirte" },
		"no kind":        func(r *handlers.Route) { r.Kind = "" },
		"no handler":     func(r *handlers.Route) { r.Handle = nil },
		"guarded static": func(r *handlers.Route) { r.Kind = handlers.KindStatic },
	} {
		broken := whole
		spoil(&broken)
		if err := handlers.CheckTable([]handlers.Route{broken}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if err := handlers.CheckTable([]handlers.Route{whole, whole}); err == nil {
		t.Error("a route that is there twice is accepted")
	}
}

func TestBehindAProxyThatChangesTheHost(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) { c.Origin = "https://cronium.example" })
	b := s.browser(t)
	b.header.Set("Origin", "https://cronium.example")
	b.post("/signin", signInForm("mira@example.com", password)).want(t, http.StatusSeeOther)
	b.header.Set("Origin", "https://other.example")
	b.post("/signin", signInForm("mira@example.com", password)).want(t, http.StatusForbidden)
}

func TestBehindAProxyThatSpeaksTLS(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, func(c *handlers.Config) { c.Proxies = auth.Proxies{netip.MustParsePrefix("127.0.0.0/8")} })
	b := s.browser(t)
	b.header.Set("X-Forwarded-Proto", "https")
	b.header.Set("X-Forwarded-For", "203.0.113.77")
	res := b.post("/signin", signInForm("mira@example.com", password))
	res.want(t, http.StatusSeeOther)
	if c := sessionCookie(res); c == nil || !c.Secure {
		t.Errorf("cookie %v", c)
	}
	if res.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
	if !strings.Contains(s.log.String(), "203.0.113.77") {
		t.Error("the log does not name the browser's address")
	}
	direct := newPeopledSite(t).browser(t)
	direct.header.Set("X-Forwarded-Proto", "https")
	if res := direct.get("/signin"); res.Header.Get("Strict-Transport-Security") != "" {
		t.Error("a stranger's X-Forwarded-Proto was believed")
	}
}
