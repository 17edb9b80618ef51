package handlers_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	xssh "golang.org/x/crypto/ssh"

	"cronium.dev/cronium"
	"cronium.dev/executor/ssh"
	"cronium.dev/handlers"
	"cronium.dev/internal/testenv"
)

func TestTheSecondOfTwoWhoChangeAServerSeesWhatTheFirstChanged(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	var server shown
	b.api("POST", "/servers", map[string]any{"name": "web", "address": "192.0.2.1", "user": "root", "tags": map[string]string{"role": "web"}}, &server)
	path := "/servers/" + server.ID.String()
	read := b.call("GET", path, nil)
	tag := read.Header.Get("ETag")
	edit := b.get(path + "/edit")
	edit.want(t, http.StatusOK, `name="version" value="1"`)
	form := url.Values{"version": {"1"}, "edit": {"true"}, "name": {"web"}, "address": {"192.0.2.1"}, "port": {"22"}, "user": {"root"}, "tags": {"role=db"}, "description": {"mine"}}

	changed := b.call("PATCH", path, object{"address": "192.0.2.9"}, "If-Match", tag)
	changed.want(t, http.StatusOK, "192.0.2.9")
	b.call("PATCH", path, object{"description": "late", "archived": true}, "If-Match", tag).want(t, http.StatusConflict, "Mira Lund has changed this server", `"description"`)
	b.call("PATCH", path, object{"description": "late"}, "If-Match", "*").want(t, http.StatusUnprocessableEntity)

	refused := b.post(path+"/edit", form)
	refused.want(t, http.StatusConflict, "Mira Lund has changed this server", "is 192.0.2.9 now", "is role=web now", `value="role=db"`, ">mine</textarea>", `name="version" value="2"`)
	form.Set("user", "-x")
	b.post(path+"/edit", form).want(t, http.StatusUnprocessableEntity, `name="version" value="1"`) // nobody was told yet
	form.Set("user", "root")
	form.Set("version", "2")
	b.post(path+"/edit", form).want(t, http.StatusSeeOther)
	if now := b.call("GET", path, nil); now.Header.Get("ETag") == changed.Header.Get("ETag") || !strings.Contains(now.text, "mine") {
		t.Errorf("%s %s", now.Header.Get("ETag"), now.text)
	}
}

func TestManyHostKeysAreAcceptedTogether(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	key := testenv.SharedSSH(t).HostKey
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := xssh.NewSignerFromKey(other)
	if err != nil {
		t.Fatal(err)
	}
	text := func(key []byte) string { return base64.StdEncoding.EncodeToString(key) }
	made := func(name string, pinned string) cronium.ID {
		var server shown
		b.api("POST", "/servers", map[string]any{"name": name, "address": "192.0.2.1", "user": "root", "host_key": pinned}, &server)
		if err := s.store.OfferHostKey(t.Context(), server.ID, key, "not confirmed"); err != nil {
			t.Fatal(err)
		}
		return server.ID
	}
	one, two, three := made("one", ""), made("two", ""), made("three", "")
	changed := made("changed", text(signer.PublicKey().Marshal()))
	b.get("/servers/keys").want(t, http.StatusOK, "one", "two", "three", ssh.Fingerprint(key)[len("ssh-ed25519 "):][:12], "Each is decided on its own page")

	wrong := text(signer.PublicKey().Marshal())
	res := b.call("POST", "/servers/host-keys", object{"keys": []object{{"id": one, "key": text(key)}, {"id": two, "key": wrong}, {"id": changed, "key": text(key)}, {"id": cronium.NewID(), "key": text(key)}}})
	res.want(t, http.StatusOK, "not the key that the host shows now", "The host key of changed has changed")
	outcome := read[struct{ Keys []struct{ Accepted bool } }](t, res, http.StatusOK)
	if k := outcome.Keys; len(k) != 4 || !k[0].Accepted || k[1].Accepted || k[2].Accepted || k[3].Accepted {
		t.Errorf("%+v", k)
	}
	b.call("POST", "/servers/host-keys", object{"keys": []object{}}).want(t, http.StatusUnprocessableEntity, `"keys"`)
	b.call("POST", "/servers/host-keys", object{"keys": []object{{"id": "x", "key": "y"}}}).want(t, http.StatusUnprocessableEntity, `keys[0].id`)

	b.post("/servers/keys", url.Values{}).want(t, http.StatusUnprocessableEntity, "Tick 1 to 200 keys first")
	b.post("/servers/keys", url.Values{"key": {two.String() + " " + text(key), three.String() + " " + wrong}}).want(t, http.StatusOK, "1 confirmed, 1 could not be", "three: This is not the key")
	for id, state := range map[cronium.ID]bool{one: true, two: true, three: false} {
		if server, err := s.store.Server(t.Context(), s.home, id); err != nil || (server.HostKey != nil) != state {
			t.Errorf("%+v, %v", server, err)
		}
	}
	if server, err := s.store.Server(t.Context(), s.home, changed); err != nil || server.OfferedKey == nil {
		t.Errorf("the key that has changed was accepted with others: %v", err)
	}
	b.post("/servers/keys", url.Values{"key": {three.String() + " " + text(key)}}).want(t, http.StatusSeeOther)
}

func TestAFailedUpdateOfAnAgentIsShownAndTriedAgain(t *testing.T) {
	t.Parallel()
	s := withSSH(t)
	b := s.signedIn(t, "mira@example.com")
	s.running(t).end(t) // so that Home is more than a welcome
	id := cronium.NewID()
	s.exec(t, `INSERT INTO servers (id, workspace_id, name, kind) VALUES ($1, $2, 'web-1', 'agent')`, id, s.home)
	s.exec(t, `INSERT INTO server_states (server_id, workspace_id, state) VALUES ($1, $2, 'ONLINE')`, id, s.home)
	path := "/servers/" + id.String()
	if page := b.get("/"); strings.Contains(page.text, "web-1") {
		t.Error("Home names a server that is well")
	}
	b.call("POST", path+"/update-agent", nil).want(t, http.StatusConflict, "No update of this agent has failed")
	if err := s.store.NoteAgentUpdate(t.Context(), id, "Its disk is full."); err != nil {
		t.Fatal(err)
	}
	b.get("/").want(t, http.StatusOK, "web-1", "has an agent that was not updated: Its disk is full.")
	b.get("/servers").want(t, http.StatusOK, "not updated", "Its disk is full.")
	b.get(path).want(t, http.StatusOK, "Its disk is full.", "Try again")
	b.call("GET", path, nil).want(t, http.StatusOK, `"agent_update_error":"Its disk is full."`)
	viewer := s.add(t, s.home, "viewer@example.com", cronium.RoleViewer)
	if page := s.signedIn(t, viewer.Email).get(path); strings.Contains(page.text, "Try again") {
		t.Error("a viewer is offered to try again")
	}
	b.post(path+"/agent/update", nil).want(t, http.StatusSeeOther)
	if page := b.get(path); strings.Contains(page.text, "disk is full") {
		t.Error("the failure is still shown")
	}
	b.post(path+"/agent/update", nil).want(t, http.StatusConflict, "No update of this agent has failed")
}

// removals notes what is to be removed from hosts.
type removals struct {
	handlers.ServerTester
	users []string
	err   error
}

func (r *removals) Remove(_ context.Context, _ cronium.ID, user string) error {
	r.users = append(r.users, user)
	return r.err
}

func (r *removals) Drop(cronium.ID) {}

func TestADeletedServerIsCleanedForEachUserThatScriptsRanAs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{"reached": {nil, `["" "app"]`}, "not reached": {cronium.Errorf(cronium.CodeUnavailable, "It is away."), `[""]`}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tester := &removals{err: c.err}
			s := newPeopledSite(t, func(c *handlers.Config) { tester.ServerTester, c.Tester = c.Tester, tester })
			run, id := s.running(t), cronium.NewID()
			run.end(t)
			s.exec(t, `INSERT INTO servers (id, workspace_id, name, kind, address, port, login, host_key) VALUES ($1, $2, 'web', 'ssh', 'a', 22, 'deploy', 'key')`, id, s.home)
			s.exec(t, `INSERT INTO server_states (server_id, workspace_id) VALUES ($1, $2)`, id, s.home)
			s.exec(t, `INSERT INTO job_targets (job_id, server_id, workspace_id, position, kind, name, status, execution_id) VALUES ($1, $2, $3, 0, 'ssh', 'web', 'SUCCESS', $4)`, run.job, id, s.home, run.execution)
			s.exec(t, `UPDATE event_versions SET fleet = '{"run_as": "app"}' WHERE event_id = (SELECT event_id FROM jobs WHERE id = $1)`, run.job)
			b := s.signedIn(t, "mira@example.com")
			b.post("/servers/"+id.String()+"/delete", nil).want(t, http.StatusSeeOther)
			if got := fmt.Sprintf("%q", tester.users); got != c.want {
				t.Errorf("removed for %s, want %s", got, c.want)
			}
		})
	}
}
