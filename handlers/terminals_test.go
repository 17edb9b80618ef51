package handlers_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/handlers"
	"cronium.dev/terminal"
)

// silentAgents connect for as long as they are asked to.
func silentAgents(c *handlers.Config) {
	c.Terminals = terminal.New(terminal.Config{Store: c.Store, Log: c.Log, Agent: func(ctx context.Context, _ *cronium.Terminal) (*executor.Link, string, error) {
		<-ctx.Done()
		return nil, "", ctx.Err()
	}})
}

// openTerminal makes one of the administrator's on a server of the workspace.
func openTerminal(t *testing.T, s *site) *cronium.Terminal {
	t.Helper()
	mira := s.people["mira@example.com"]
	server, _ := cronium.ParseID(plant(t, s, s.home, mira.ID)["servers"])
	one := &cronium.Terminal{ID: cronium.NewID(), WorkspaceID: s.home, ServerID: &server, Target: "web-1", UserID: mira.ID, UserName: mira.Name, Width: 80, Height: 24}
	if err := s.store.CreateTerminal(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	return one
}

// socket opens a terminal's WebSocket as the browser would from an origin.
func (b *browser) socket(one *cronium.Terminal, origin string) (*websocket.Conn, *http.Response, error) {
	header := b.header.Clone()
	if cookie := b.cookie(); cookie != "" {
		header.Set("Cookie", auth.CookieName+"="+cookie)
	}
	if origin != "" {
		header.Set("Origin", origin)
	}
	address := strings.Replace(b.site.server.URL, "http", "ws", 1) + "/terminals/" + one.ID.String() + "/socket"
	return websocket.Dial(b.t.Context(), address, &websocket.DialOptions{HTTPHeader: header})
}

func TestATerminalOpensFromItsOwnSiteAlone(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, silentAgents, func(c *handlers.Config) { c.Origin = "https://cronium.example" })
	one := openTerminal(t, s)
	b := s.signedIn(t, "mira@example.com")
	for _, origin := range []string{
		"https://evil.example", "null", "http://127.0.0.1:1", "https://cronium.example.evil.example", "https://cronium.example:8443", "https://x.cronium.example",
	} {
		conn, res, err := b.socket(one, origin)
		if err == nil {
			conn.CloseNow()
		}
		if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("from %s it opens or is refused otherwise: %v", origin, err)
		}
	}
	for _, origin := range []string{s.server.URL, "https://cronium.example"} {
		conn, _, err := b.socket(one, origin)
		if err != nil {
			t.Errorf("from %s: %v", origin, err)
			continue
		}
		conn.CloseNow()
	}
}

func TestATerminalIsItsOwnPersonsAlone(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, silentAgents)
	one := openTerminal(t, s)
	s.add(t, s.home, "admin@example.com", cronium.RoleAdmin)
	s.add(t, s.home, "user@example.com", cronium.RoleUser)
	other := &cronium.Workspace{ID: cronium.NewID(), Slug: "other", Name: "Other"}
	if err := s.store.AddWorkspace(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	s.add(t, other.ID, "foreign@example.com", cronium.RoleAdmin)
	for email, want := range map[string]int{
		"admin@example.com": http.StatusForbidden, "user@example.com": http.StatusForbidden, "foreign@example.com": http.StatusNotFound,
	} {
		conn, res, err := s.signedIn(t, email).socket(one, s.server.URL)
		if err == nil {
			conn.CloseNow()
			t.Errorf("%s joins the terminal of another person", email)
		} else if res == nil || res.StatusCode != want {
			t.Errorf("%s: %v, want %d", email, err, want)
		}
	}
}

func TestATerminalEndsWithTheSession(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t, silentAgents)
	one := openTerminal(t, s)
	b := s.signedIn(t, "mira@example.com")
	conn, _, err := b.socket(one, s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	b.post("/signout", nil).want(t, http.StatusSeeOther)
	for {
		if _, _, err = conn.Read(t.Context()); err != nil {
			break
		}
	}
	if t.Context().Err() != nil {
		t.Error("the terminal is open after its person has signed out")
	}
}

func TestATerminalSaysWhetherAnotherTryMaySucceed(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t) // whose servers are away
	one := openTerminal(t, s)
	b := s.signedIn(t, "mira@example.com")
	hear := func() (heard struct {
		Type, Text string
		Again      bool
	}) {
		t.Helper()
		conn, _, err := b.socket(one, "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		_, text, err := conn.Read(t.Context())
		if err == nil {
			err = json.Unmarshal(text, &heard)
		}
		if err != nil {
			t.Fatal(err)
		}
		return heard
	}
	if got := hear(); got.Type != "error" || got.Text != errAway.Error() || !got.Again {
		t.Errorf("of a server that is away: %+v", got)
	}
	if err := s.store.EndTerminal(t.Context(), s.home, one.ID, "The shell ended with exit code 0."); err != nil {
		t.Fatal(err)
	}
	if got := hear(); got.Type != "error" || !strings.Contains(got.Text, "has ended") || got.Again {
		t.Errorf("of a shell that has ended: %+v", got)
	}
}
