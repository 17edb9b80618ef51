package handlers_test

import (
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/dial"
	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
)

// codeIn finds the code that an answer shows.
func codeIn(t *testing.T, text string) string {
	t.Helper()
	at := strings.Index(text, "crj_")
	if at < 0 {
		t.Fatalf("there is no code in\n%s", text)
	}
	end := strings.IndexFunc(text[at+4:], func(r rune) bool { return !strings.ContainsRune("0123456789abcdefghjkmnpqrstvwxyz", r) })
	return text[at : at+4+end]
}

func TestCodeFromThePageLetsAMachineJoin(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	made := b.post("/servers/agents", url.Values{"name": {"web-1"}, "environment": {"prod"}, "tags": {"role=web, rack=12"}, "uses": {"1"}, "hours": {"1"}})
	made.want(t, http.StatusOK, "--code crj_", "not shown again", s.server.URL)
	code, err := tunnel.ParseCode(codeIn(t, made.text))
	if err != nil {
		t.Fatal(err)
	}
	if again := b.get("/servers/agents"); strings.Contains(again.text, "crj_") {
		t.Error("the code is shown again")
	}
	for _, table := range []string{"agent_codes", "login_failures", "settings"} {
		var found int
		err := s.store.WorkerPool().QueryRow(t.Context(), `SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%' || encode($1, 'hex') || '%' OR x::text LIKE '%' || $2 || '%'`,
			code.Secret[:], code.String()).Scan(&found)
		if err != nil || found > 0 {
			t.Errorf("the code is %d times in %s, %v", found, table, err)
		}
	}
	if strings.Contains(s.log.String(), code.String()) {
		t.Error("the code is in the log")
	}
	identity, err := dial.Join(t.Context(), dial.Joining{URL: s.server.URL, Code: code, Dir: t.TempDir(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if identity.Name() != "web-1" {
		t.Errorf("it is called %q", identity.Name())
	}
	var environment, role string
	err = s.store.WorkerPool().QueryRow(t.Context(), `SELECT environment, tags->>'role' FROM servers WHERE id = $1`, identity.Target()).Scan(&environment, &role)
	if err != nil || environment != "prod" || role != "web" {
		t.Errorf("the server has %q, %q, %v", environment, role, err)
	}
	b.get("/servers/"+identity.Target()+"/agent").want(t, http.StatusOK, "Valid")
	b.post("/servers/"+identity.Target()+"/agent/revoke", url.Values{}).want(t, http.StatusSeeOther)
	b.get("/servers/"+identity.Target()+"/agent").want(t, http.StatusOK, "Revoked", "Mira Lund")
}

// What is copied to a machine is run there by root, so nothing that somebody else
// chooses may end up in it as anything but a plain word.
func TestNothingBreaksOutOfTheLinesForAMachine(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	for _, hostile := range []string{"a'; reboot; '", "a\r\nb", "$(reboot)", "`id`", `a"b`, "a b", "-oProxyCommand=x", "a|b", "ä"} {
		for _, field := range []string{"name", "environment", "tags"} {
			form := url.Values{"uses": {"1"}, "hours": {"1"}}
			form.Set(field, hostile)
			if field == "tags" {
				form.Set(field, "role="+hostile)
			}
			res := b.post("/servers/agents", form)
			if res.StatusCode != http.StatusUnprocessableEntity {
				t.Errorf("the %s %q: %s", field, hostile, res.Status)
			}
		}
	}
	for _, host := range []string{"evil'; reboot; '", "x$(id)", "a b", `x"y`, "x`id`"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.server.URL+"/servers/agents", strings.NewReader("uses=1&hours=1"))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range b.client.Jar.Cookies(req.URL) {
			req.AddCookie(c)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			continue // such a host does not even get through
		}
		raw, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if res.StatusCode == http.StatusOK && strings.Contains(text, "reboot") || strings.Contains(text, "$(id)") || strings.Contains(text, "`id`") {
			t.Errorf("the host %q is in the page:\n%s", host, text)
		}
	}
}

func TestCodesOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	send := func(method, path, body string) answer {
		t.Helper()
		if body == "" {
			return b.call(method, path, nil)
		}
		return b.call(method, path, json.RawMessage(body))
	}
	made := send(http.MethodPost, "/agent-codes", `{"name": "edge", "uses": 3}`)
	made.want(t, http.StatusCreated, `"uses":3`, "crj_")
	send(http.MethodPost, "/agent-codes", `{"uses": 10001}`).want(t, http.StatusUnprocessableEntity, "uses")
	send(http.MethodPost, "/agent-codes", `{"expires_at": "`+time.Now().AddDate(1, 0, 0).Format(time.RFC3339)+`"}`).want(t, http.StatusUnprocessableEntity, "90 days")
	send(http.MethodPost, "/agent-codes", `{"server_id": "`+cronium.NewID().String()+`"}`).want(t, http.StatusNotFound)
	list := send(http.MethodGet, "/agent-codes", "")
	list.want(t, http.StatusOK, `"edge"`)
	if strings.Contains(list.text, "crj_") {
		t.Error("the list has the code")
	}
	id := idPattern.FindString(made.text)
	send(http.MethodDelete, "/agent-codes/"+id, "").want(t, http.StatusNoContent)
	code, err := tunnel.ParseCode(codeIn(t, made.text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial.Join(t.Context(), dial.Joining{URL: s.server.URL, Code: code, Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("join with a deleted code: %v", err)
	}
}

func TestTunnelIsForAgentsAlone(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.browser(t)
	b.get("/agent/v1/connect").want(t, http.StatusUpgradeRequired)
	b.get("/agent/v1/binary/amd64").want(t, http.StatusNotFound)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tunnel.Dial(t.Context(), s.server.URL, tunnel.Agent{Key: key, Server: key.Public().(ed25519.PublicKey), Protocol: tunnel.ProtocolServe})
	if err != tunnel.ErrServerKey {
		t.Errorf("dial with the key of another server: %v", err)
	}
}
