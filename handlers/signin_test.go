package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/auth"
	"cronium.dev/cronium"
)

func signInForm(email, password string) url.Values {
	return url.Values{"email": {email}, "password": {password}}
}

func TestFirstRunPageMakesTheAdministratorAndThenIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	for _, path := range []string{"/settings/profile", "/signin"} {
		if to := b.get(path).Header.Get("Location"); to != "/setup" {
			t.Errorf("%s leads to %q before the first run", path, to)
		}
	}
	code, _, err := s.auth.FirstRunCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.get("/setup").want(t, http.StatusOK, `name="code"`, "js/setup.js")
	form := url.Values{"code": {"wrong"}, "name": {"Mira <b>"}, "email": {"mira@example.com"}, "password": {password}}
	b.post("/setup", form).want(t, http.StatusUnprocessableEntity, "is not the code", "Mira &lt;b&gt;")
	form.Set("code", code)
	form.Set("password", "short")
	b.post("/setup", form).want(t, http.StatusUnprocessableEntity, "10 to 200 characters")
	form.Set("password", password)
	if res := b.post("/setup", form); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("setup: %s to %s\n%s", res.Status, res.Header.Get("Location"), res.text)
	}
	b.get("/settings/profile").want(t, http.StatusOK, "mira@example.com")
	b.get("/setup").want(t, http.StatusNotFound)
	b.post("/setup", form).want(t, http.StatusNotFound)
	if strings.Contains(s.log.String(), code) {
		t.Error("the log has the code")
	}
}

func TestSignInAndOut(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.browser(t)
	if to := b.get("/settings/tokens?x=1").Header.Get("Location"); to != "/signin?next=%2Fsettings%2Ftokens%3Fx%3D1" {
		t.Errorf("sent to %q", to)
	}
	form := signInForm("mira@example.com", "wrong password")
	form.Set("next", "/settings/tokens")
	b.post("/signin", form).want(t, http.StatusUnauthorized, "wrong", "mira@example.com", `value="/settings/tokens"`)
	form.Set("password", password)
	if to := b.post("/signin", form).Header.Get("Location"); to != "/settings/tokens" {
		t.Errorf("after signing in: %q", to)
	}
	b.get("/settings/tokens").want(t, http.StatusOK)
	kept := b.cookie()
	if to := b.post("/signout", url.Values{}).Header.Get("Location"); to != "/signin" || b.cookie() != "" {
		t.Errorf("after signing out: %q, cookie %q", to, b.cookie())
	}
	b.header.Set("Cookie", auth.CookieName+"="+kept)
	b.get("/settings/tokens").want(t, http.StatusSeeOther)
}

func TestSignInLeadsOnlyToPagesOfOurs(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	for _, next := range []string{"//evil.example", "https://evil.example", `/\evil.example`, "/\t/evil.example", "javascript:alert(1)", "evil"} {
		form := signInForm("mira@example.com", password)
		form.Set("next", next)
		if to := s.browser(t).post("/signin", form).Header.Get("Location"); to != "/" {
			t.Errorf("next %q leads to %q", next, to)
		}
	}
}

func TestASessionGetsANewNameAtSignIn(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.add(t, s.home, "eve@example.com", cronium.RoleViewer)
	planted := "a-name-that-the-attacker-knows"
	b := s.browser(t)
	b.header.Set("Cookie", auth.CookieName+"="+planted)
	res := b.post("/signin", signInForm("mira@example.com", password))
	if got := sessionCookie(res); got == nil || got.Value == planted {
		t.Fatalf("cookie after signing in: %v", got)
	}
	b.get("/settings/profile").want(t, http.StatusSeeOther) // the planted name opens nothing

	eve := s.signedIn(t, "eve@example.com")
	eveName := eve.cookie()
	eve.post("/signin", signInForm("mira@example.com", password))
	if eve.cookie() == eveName {
		t.Error("the session kept its name when another person signed in")
	}
	old := s.browser(t)
	old.header.Set("Cookie", auth.CookieName+"="+eveName)
	old.get("/settings/profile").want(t, http.StatusSeeOther)
}

func TestTheSessionCookieIsGuarded(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	c := sessionCookie(s.browser(t).post("/signin", signInForm("mira@example.com", password)))
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure || c.Domain != "" {
		t.Fatalf("cookie %v", c)
	}
	var stored string
	if err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT string_agg(s::text, ' ') FROM sessions s`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(stored, c.Value) {
		t.Error("the database holds the cookie's value")
	}
}

func TestChangingThePasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	here, there := s.signedIn(t, "mira@example.com"), s.signedIn(t, "mira@example.com")
	change := func(current, next string) answer {
		return here.post("/settings/password", url.Values{"current_password": {current}, "new_password": {next}})
	}
	change("not it", "another long password").want(t, http.StatusUnprocessableEntity, "is not your password")
	change(password, "short").want(t, http.StatusUnprocessableEntity, "10 to 200")
	there.get("/settings/profile").want(t, http.StatusOK)
	change(password, "another long password").want(t, http.StatusSeeOther)
	here.get("/settings/profile").want(t, http.StatusOK)
	there.get("/settings/profile").want(t, http.StatusSeeOther)
	s.browser(t).post("/signin", signInForm("mira@example.com", password)).want(t, http.StatusUnauthorized)
}

func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	here, there := s.signedIn(t, "mira@example.com"), s.signedIn(t, "mira@example.com")
	here.post("/settings/sessions/end", url.Values{}).want(t, http.StatusSeeOther)
	for _, b := range []*browser{here, there} {
		b.get("/settings/profile").want(t, http.StatusSeeOther)
	}
}

func TestSessionsEndIdleAndInAnyCase(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	for _, end := range []string{
		`UPDATE sessions SET used_at = now() - interval '7 days 1 second'`,
		`UPDATE sessions SET ends_at = now() - interval '1 second'`,
	} {
		b := s.signedIn(t, "mira@example.com")
		b.get("/settings/profile").want(t, http.StatusOK)
		if _, err := s.store.WorkerPool().Exec(t.Context(), end); err != nil {
			t.Fatal(err)
		}
		b.get("/settings/profile").want(t, http.StatusSeeOther)
	}
}

func TestUseKeepsASessionOpen(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	unused := func(set string) (minutes float64) {
		t.Helper()
		if _, err := s.store.WorkerPool().Exec(t.Context(), `UPDATE sessions SET used_at = now() - interval '`+set+`'`); err != nil {
			t.Fatal(err)
		}
		b.get("/settings/profile").want(t, http.StatusOK)
		if err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT extract(epoch FROM now() - used_at) / 60 FROM sessions`).Scan(&minutes); err != nil {
			t.Fatal(err)
		}
		return minutes
	}
	if got := unused("6 days"); got > 1 {
		t.Errorf("used after six days: noted as %.1f minutes ago", got)
	}
	if got := unused("5 minutes"); got < 4 {
		t.Errorf("each request writes: used %.1f minutes ago", got)
	}
}

func TestManyWrongPasswordsAreToldToWait(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.browser(t)
	for range 5 {
		b.post("/signin", signInForm("mira@example.com", "a wrong password")).want(t, http.StatusUnauthorized)
	}
	res := b.post("/signin", signInForm("mira@example.com", password))
	res.want(t, http.StatusTooManyRequests, "Too many tries. Wait")
	if after := res.Header.Get("Retry-After"); after == "" || after == "0" {
		t.Errorf("Retry-After %q", after)
	}
	known := normalised(b.post("/signin", signInForm("mira@example.com", "x")).text, "mira@example.com")
	for range 6 {
		b.post("/signin", signInForm("nobody@example.com", "a wrong password"))
	}
	unknown := normalised(b.post("/signin", signInForm("nobody@example.com", "x")).text, "nobody@example.com")
	if known != unknown {
		t.Errorf("an unknown account is answered otherwise:\n%s\n%s", known, unknown)
	}
}

// normalised takes out what differs between two pages for good reason.
func normalised(page, email string) string {
	page = strings.ReplaceAll(page, email, "EMAIL")
	for n := range 60 {
		page = strings.ReplaceAll(page, fmt.Sprintf("Wait %d seconds", n), "Wait")
	}
	return strings.ReplaceAll(page, "Wait a second", "Wait")
}

func sessionCookie(a answer) *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == auth.CookieName {
			return c
		}
	}
	return nil
}
