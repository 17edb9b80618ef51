package handlers_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/handlers"
)

var tokenPattern = regexp.MustCompile(`crn_[0-9a-z]{50,}`)

func TestATokenMadeInTheSettingsIsShownOnceAndKeptAsAHash(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	made := b.post("/settings/tokens", url.Values{"name": {" ci "}, "scope": {"run"}, "days": {"30"}})
	made.want(t, http.StatusOK, "not shown again")
	secret := tokenPattern.FindString(made.text)
	if secret == "" {
		t.Fatalf("no token in\n%s", made.text)
	}
	if strings.Contains(b.get("/settings/tokens").text, secret) || strings.Contains(s.log.String(), secret) {
		t.Error("the token is shown again, or logged")
	}
	var rows string
	if err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT string_agg(t::text, ' ') FROM api_tokens t`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(rows, secret) || !strings.Contains(rows, "ci") {
		t.Errorf("the table holds %s", rows)
	}
	tokens, err := s.store.Tokens(t.Context(), s.home, s.people["mira@example.com"].ID)
	if err != nil || len(tokens) != 1 || tokens[0].Name != "ci" || tokens[0].ExpiresAt == nil {
		t.Fatalf("tokens %+v, %v", tokens, err)
	}
	b.post("/settings/tokens/"+tokens[0].ID.String()+"/revoke", url.Values{}).want(t, http.StatusSeeOther)
	if tokens, err := s.store.Tokens(t.Context(), s.home, s.people["mira@example.com"].ID); err != nil || len(tokens) != 0 {
		t.Errorf("after revoking: %+v, %v", tokens, err)
	}
}

func TestAWrongTokenFormNamesTheFieldAndKeepsWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.add(t, s.home, "viewer@example.com", cronium.RoleViewer)
	s.add(t, s.home, "user@example.com", cronium.RoleUser)
	s.add(t, s.home, "other@example.com", cronium.RoleAdmin)
	viewer, admin := s.signedIn(t, "viewer@example.com"), s.signedIn(t, "mira@example.com")
	user, other := s.signedIn(t, "user@example.com"), s.signedIn(t, "other@example.com")
	for _, c := range []struct {
		who               *browser
		name, scope, days string
		says              string
	}{
		{admin, "", "read", "30", "1 to 120 printable characters"},
		{admin, "deploy", "root", "30", "read, run, write, admin or metrics"},
		{admin, "deploy", "read", "-1", "number of days"},
		{admin, "deploy", "read", "soon", "number of days"},
		{viewer, "deploy", "write", "30", "your role here (VIEWER)"},
		{user, "deploy", "admin", "30", "your role here (USER)"},
		{other, "deploy", "metrics", "30", "administrators of the whole instance"},
	} {
		res := c.who.post("/settings/tokens", url.Values{"name": {c.name}, "scope": {c.scope}, "days": {c.days}})
		res.want(t, http.StatusUnprocessableEntity, c.says, `value="`+c.name+`"`)
	}
}

func TestAPersonSeesAndRevokesOnlyTheirOwnTokens(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	user := s.add(t, s.home, "user@example.com", cronium.RoleUser)
	_, id := s.token(t, s.home, user.ID, cronium.ScopeRead, nil)
	admin := s.signedIn(t, "mira@example.com")
	if strings.Contains(admin.get("/settings/tokens").text, id.String()) {
		t.Error("another person's token is listed")
	}
	admin.post("/settings/tokens/"+id.String()+"/revoke", url.Values{}).want(t, http.StatusNotFound)
}

func TestAPersonsNameIsChanged(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	b.post("/settings/profile", url.Values{"name": {"\x01"}}).want(t, http.StatusUnprocessableEntity, "printable")
	if to := b.post("/settings/profile", url.Values{"name": {"  Mira Åkesson "}}).Header.Get("Location"); to != "/settings/profile?done=name" {
		t.Errorf("sent to %q", to)
	}
	b.get("/settings/profile?done=name").want(t, http.StatusOK, "Mira Åkesson", "Your name is saved.")
}

func TestPagesAreCompressedForWhoTakesIt(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	plain := b.get("/settings/tokens") // the client asks for gzip and unpacks it
	if !plain.Uncompressed {
		t.Error("the page came uncompressed")
	}
	b.header.Set("Accept-Encoding", "gzip;q=0, br")
	if res := b.get("/settings/tokens"); res.Header.Get("Content-Encoding") != "" || res.text != plain.text {
		t.Errorf("refused gzip came as %q", res.Header.Get("Content-Encoding"))
	}
	b.header.Set("Accept-Encoding", "br, gzip")
	packed := b.get("/settings/tokens")
	z, err := gzip.NewReader(strings.NewReader(packed.text))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != plain.text {
		t.Errorf("unpacked page differs (%v)", err)
	}
	if vary := strings.Join(packed.Header.Values("Vary"), ", "); !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Cookie") {
		t.Errorf("Vary %q", vary)
	}
}

func TestAPageThatCannotBeRenderedIsAnErrorPageAndNotHalfAPage(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	s.withRoutes(route("GET", "/half", cronium.PermissionPublic, handlers.KindPage, func(w http.ResponseWriter, r *http.Request) error {
		return s.Render(w, r, http.StatusOK, templ.Join(templ.Raw("<p>half</p>"), templ.Raw("", errors.New("no more"))))
	}))
	res := s.browser(t).get("/half")
	res.want(t, http.StatusInternalServerError, "<h1>")
	if strings.Contains(res.text, "half") {
		t.Errorf("half a page was sent:\n%s", res.text)
	}
}
