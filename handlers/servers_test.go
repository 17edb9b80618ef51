package handlers_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/handlers"
	"cronium.dev/internal/testenv"
)

// withSSH gives a site that seals credentials and connects over SSH, up to
// the agent, of which it has none.
func withSSH(t *testing.T) *site {
	t.Helper()
	s := newPeopledSite(t, func(c *handlers.Config) {
		backend, err := ssh.New(ssh.Config{Servers: &ssh.Stored{Servers: c.Store, Box: c.Box}, Log: c.Log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(backend.Close)
		c.Tester = backend
	})
	return s
}

// api sends a request to the API as the administrator and reads the answer.
func (b *browser) api(method, path string, body, into any) int {
	b.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.site.server.URL+"/api/v1"+path, strings.NewReader(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			b.t.Fatal(err)
		}
	}
	return res.StatusCode
}

// shown is what a test reads of a server.
type shown struct {
	ID         cronium.ID
	Name       string
	State      cronium.ServerState
	Tags       map[string]string
	Port       int
	SignsIn    bool                  `json:"signs_in"`
	HostKey    *struct{ Key string } `json:"host_key"`
	OfferedKey *struct{ Key string } `json:"offered_key"`
	ArchivedAt *string               `json:"archived_at"`
	Jumps      []cronium.ID
	Fields     []cronium.FieldError
	Detail     string
}

func TestAServerIsTestedWithoutSendingSecretsToAnUnconfirmedHost(t *testing.T) {
	t.Parallel()
	s, host := withSSH(t), testenv.SharedSSH(t)
	b := s.signedIn(t, "mira@example.com")
	server := map[string]any{"name": "web", "address": host.Address, "port": host.Port, "user": "dash", "password": host.Password}
	var first, second struct {
		OK      bool
		Error   string
		HostKey *struct{ Key, Fingerprint string } `json:"host_key"`
		Steps   []struct {
			Name  string
			OK    bool
			Error string
		}
	}
	if status := b.api("POST", "/servers/test", server, &first); status != http.StatusOK {
		t.Fatal(status, first)
	}
	last := first.Steps[len(first.Steps)-1]
	if first.OK || last.Name != "host key" || first.HostKey == nil || first.HostKey.Key != base64.StdEncoding.EncodeToString(host.HostKey) {
		t.Fatalf("%+v", first)
	}
	server["host_key"] = first.HostKey.Key
	b.api("POST", "/servers/test", server, &second)
	passed := map[string]bool{}
	for _, step := range second.Steps {
		passed[step.Name] = step.OK
	}
	if !passed["authenticate"] || second.Error == "" { // this process has no agent to send
		t.Errorf("%+v", second)
	}
	server["password"] = "wrong"
	b.api("POST", "/servers/test", server, &second)
	if last := second.Steps[len(second.Steps)-1]; last.Name != "authenticate" || last.OK || strings.Contains(second.Error, "wrong") {
		t.Errorf("%+v", second)
	}
}

func TestAFormIsShownAgainWithAllButItsSecrets(t *testing.T) {
	t.Parallel()
	s, host := withSSH(t), testenv.SharedSSH(t)
	b := s.signedIn(t, "mira@example.com")
	form := url.Values{
		"name": {"web"}, "address": {host.Address}, "port": {strconv.Itoa(host.Port)}, "user": {"dash"}, "tags": {"role=web, rack=12"},
		"password": {"planted-password"}, "private_key": {"planted-key"}, "description": {"the front"},
	}
	res := b.post("/servers", form)
	res.want(t, http.StatusUnprocessableEntity, "the front", "role=web, rack=12", "not a private key", "Enter them again")
	if strings.Contains(res.text, "planted-") {
		t.Error("a secret was sent back")
	}
	form.Set("private_key", string(host.PrivateKey))
	res = b.post("/servers", form) // without a confirmed key
	key := base64.StdEncoding.EncodeToString(host.HostKey)
	res.want(t, http.StatusUnprocessableEntity, "I confirm that this is the key of web", ssh.Fingerprint(host.HostKey)[len("ssh-ed25519 "):][:12], `value="`+strings.ReplaceAll(key, "+", "&#43;")+`"`)
	form.Set("host_key", key)
	res = b.post("/servers", form)
	res.want(t, http.StatusSeeOther)
	page := b.get(res.Header.Get("Location"))
	page.want(t, http.StatusOK, "role=web", "and a password", "The server is added.")
	for _, secret := range []string{"planted-password", "PRIVATE KEY", key[:10]} {
		if strings.Contains(page.text, secret) && secret != key[:10] {
			t.Errorf("the page has %q", secret)
		}
	}
	edit := page.Request.URL.Path + "/edit"
	b.get(edit).want(t, http.StatusOK, "Leave both empty to keep it")
	form.Del("password")
	form.Del("private_key")
	form.Set("tags", "role=db")
	form.Set("edit", "true")
	b.post(edit, form).want(t, http.StatusSeeOther)
	var kept shown
	b.api("GET", "/servers/"+strings.Split(edit, "/")[2], nil, &kept)
	if !kept.SignsIn || kept.Tags["role"] != "db" || kept.HostKey == nil {
		t.Errorf("%+v", kept)
	}
	if strings.Contains(s.log.String(), "planted-") {
		t.Error("the log has a secret")
	}
}

func TestServersOverTheAPI(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	var edge, web, got shown
	if status := b.api("POST", "/servers", map[string]any{"name": "edge", "address": "192.0.2.1", "user": "root"}, &edge); status != http.StatusCreated || edge.Port != 22 {
		t.Fatal(status, edge)
	}
	key := base64.StdEncoding.EncodeToString(testenv.SharedSSH(t).HostKey)
	status := b.api("POST", "/servers", map[string]any{"name": "web", "address": "192.0.2.2", "user": "root", "jumps": []string{"EDGE"}, "tags": map[string]string{"role": "web"}, "host_key": "host ssh-ed25519 " + key, "password": "p"}, &web)
	if status != http.StatusCreated || len(web.Jumps) != 1 || web.Jumps[0] != edge.ID || web.HostKey == nil || web.HostKey.Key != key || !web.SignsIn {
		t.Fatalf("%d, %+v", status, web)
	}
	for name, refused := range map[string]map[string]any{
		"name": {"name": "Web", "address": "a", "user": "x"}, "address": {"name": "m", "address": "169.254.169.254", "user": "x"}, "user": {"name": "m", "address": "a", "user": "-oProxyCommand=x"},
		"jumps": {"name": "m", "address": "a", "user": "x", "jumps": []string{"nowhere"}}, "host_key": {"name": "m", "address": "a", "user": "x", "host_key": "AAAA"},
		"private_key": {"name": "m", "address": "a", "user": "x", "private_key": "planted"}, "passphrase": {"name": "m", "address": "a", "user": "x", "passphrase": "planted"},
	} {
		got = shown{}
		if status := b.api("POST", "/servers", refused, &got); status != http.StatusUnprocessableEntity && status != http.StatusConflict || len(got.Fields) != 1 || got.Fields[0].Field != name {
			t.Errorf("%s: %d, %+v", name, status, got)
		}
		if strings.Contains(got.Fields[0].Message+got.Detail, "planted") {
			t.Errorf("%s: the answer has the secret", name)
		}
	}
	var list struct{ Servers []shown }
	b.api("GET", "/servers?selector="+url.QueryEscape("role=web and not name=edge"), nil, &list)
	if len(list.Servers) != 1 || list.Servers[0].ID != web.ID {
		t.Errorf("%+v", list)
	}
	if status := b.api("GET", "/servers?selector=role%3D", nil, &got); status != http.StatusUnprocessableEntity {
		t.Errorf("a selector that cannot be read: %d", status)
	}
	if status := b.api("DELETE", "/servers/"+edge.ID.String(), nil, &got); status != http.StatusConflict {
		t.Errorf("a jump host was deleted: %d", status)
	}
	got = shown{}
	if status := b.api("PATCH", "/servers/"+web.ID.String(), map[string]any{"address": "192.0.2.3", "archived": false}, &got); status != http.StatusOK || got.HostKey != nil || !got.SignsIn || got.Tags["role"] != "web" {
		t.Errorf("%d, %+v", status, got)
	}
	got = shown{}
	if status := b.api("PATCH", "/servers/"+web.ID.String(), map[string]any{"archived": true}, &got); status != http.StatusOK || got.ArchivedAt == nil {
		t.Errorf("%d, %+v", status, got)
	}
	if status := b.api("PATCH", "/servers/"+web.ID.String(), map[string]any{"name": "x"}, &got); status != http.StatusConflict {
		t.Errorf("an archived server was changed: %d", status)
	}
	if status := b.api("DELETE", "/servers/"+web.ID.String(), nil, nil); status != http.StatusNoContent {
		t.Errorf("%d", status)
	}
}

func TestAnOfferedKeyIsAcceptedByName(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	var server, got shown
	b.api("POST", "/servers", map[string]any{"name": "edge", "address": "192.0.2.1", "user": "root"}, &server)
	key := testenv.SharedSSH(t).HostKey
	if err := s.store.OfferHostKey(t.Context(), server.ID, key, "not confirmed"); err != nil {
		t.Fatal(err)
	}
	b.get("/servers").want(t, http.StatusOK, "1 server shows a key that nobody has confirmed")
	b.get("/servers/"+server.ID.String()).want(t, http.StatusOK, "is not confirmed yet", "Accept the new key")
	decide := "/servers/" + server.ID.String() + "/host-key"
	for _, wrong := range []map[string]string{{"decision": "accept"}, {"decision": "accept", "key": "AAAA"}, {"decision": "maybe"}, {}} {
		if status := b.api("POST", decide, wrong, nil); status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", wrong, status)
		}
	}
	if status := b.api("POST", decide, map[string]string{"decision": "accept", "key": base64.StdEncoding.EncodeToString(key)}, &got); status != http.StatusOK || got.State != cronium.ServerUnknown || got.HostKey == nil || got.OfferedKey != nil {
		t.Errorf("%d, %+v", status, got)
	}
	viewer := s.add(t, s.home, "viewer@example.com", cronium.RoleViewer)
	v := s.signedIn(t, viewer.Email)
	page := v.get("/servers/" + server.ID.String())
	page.want(t, http.StatusOK, "edge")
	for _, forbidden := range []string{"Signs in", "Accept the new key", "/edit", "Delete"} {
		if strings.Contains(page.text, forbidden) {
			t.Errorf("a viewer sees %q", forbidden)
		}
	}
}

func TestAnImportMakesWhatItsPreviewSaid(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	b.api("POST", "/servers", map[string]any{"name": "there", "address": "192.0.2.1", "user": "root"}, nil)
	text := "[web]\nweb[1:2] ansible_ssh_common_args='-J edge' ansible_password=planted\nthere\nno-user\n[web:vars]\nansible_user=deploy\n[lost]\nx ansible_connection=local\n"
	body := map[string]any{"kind": "inventory", "text": text}
	type plan struct {
		Servers []struct {
			Name     string
			ID       *cronium.ID
			Exists   bool
			Problems []string
		}
	}
	var preview, made plan
	if status := b.api("POST", "/servers/import/preview", body, &preview); status != http.StatusOK || len(preview.Servers) != 6 {
		t.Fatalf("%d, %+v", status, preview)
	}
	body["user"], body["password"] = "root", "p"
	if status := b.api("POST", "/servers/import", body, &made); status != http.StatusOK {
		t.Fatalf("%d, %+v", status, made)
	}
	var names []string
	for _, p := range made.Servers {
		if p.ID != nil {
			names = append(names, p.Name)
		}
		if (p.ID != nil) != (len(p.Problems) == 0 && !p.Exists) {
			t.Errorf("%+v", p)
		}
	}
	if strings.Join(names, " ") != "web1 web2 no-user edge" {
		t.Errorf("%v were made: %+v", names, made)
	}
	page := b.post("/servers/import", url.Values{"kind": {"inventory"}, "text": {text}, "act": {"preview"}})
	page.want(t, http.StatusOK, "There is a server of this name")
	if strings.Contains(page.text, "planted") {
		t.Error("a password of the text was sent back")
	}
}

func TestTheFilterOfServersTakesWordsAndSelectors(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	for name, tags := range map[string]map[string]string{"web-1": {"role": "web"}, "db-1": {"role": "db server"}} {
		b.api("POST", "/servers", map[string]any{"name": name, "address": "192.0.2.1", "user": "root", "environment": "prod", "tags": tags}, nil)
	}
	for query, want := range map[string]string{
		"": "web-1 db-1", "WEB": "web-1", "192.0.2": "web-1 db-1", "role=web": "web-1", `tag:"role=db server"`: "db-1", "env:prod role!=web": "db-1", "state:unknown": "web-1 db-1",
		"state:online": "", "kind:agent": "", "kind:ssh name=web-*": "web-1", "is:archived": "",
	} {
		page := b.get("/servers?q=" + url.QueryEscape(query))
		page.want(t, http.StatusOK)
		for _, name := range []string{"web-1", "db-1"} {
			if strings.Contains(page.text, ">"+name+"<") != strings.Contains(want, name) {
				t.Errorf("%q: %s", query, name)
			}
		}
	}
	for query, says := range map[string]string{"state:nice": "It can be online", "role=": "is not a selector yet", "what:x": "is not a filter", "tag:=": "is not a tag"} {
		b.get("/servers?q="+url.QueryEscape(query)).want(t, http.StatusOK, says)
	}
}
