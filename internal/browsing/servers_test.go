package browsing

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/ssh"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/internal/testenv/browser"
)

// serverAdded adds a machine over SSH: what is wrong is told without giving the
// secrets back, each step is seen, its key is confirmed, and it comes online.
// Then the secrets are searched for everywhere.
func serverAdded(t *testing.T, s *site) {
	host := testenv.SSH(t, testenv.SSHOptions{})
	admin := s.person(t)
	admin.open("/servers")
	admin.says("#list", "No servers yet")
	admin.Axe()
	admin.open("/servers/new")
	admin.Axe()
	admin.fill("[name=name]", "no name!")
	admin.fill("[name=address]", host.Address)
	admin.fill("[name=port]", strconv.Itoa(host.Port))
	admin.fill("[name=user]", "bash")
	admin.fill("[name=tags]", "role=web, rack=12")
	admin.fill("[name=password]", host.Password)
	admin.fill("[name=private_key]", string(host.PrivateKey))
	admin.Click("[data-test]")
	admin.says("#test-steps .bad", "Name must be")
	admin.refused(http.StatusUnprocessableEntity)
	admin.follow("form[action='/servers'] [type=submit]")
	admin.refused(http.StatusUnprocessableEntity)
	admin.says("main .notice", "Enter them again")
	if kept := browser.Eval[string](admin.Tab, "['private_key', 'password', 'passphrase'].map(n => document.querySelector(`[name=${n}]`).value).join('')"); kept != "" {
		t.Errorf("secrets were sent back: %q", kept)
	}
	if user := browser.Eval[string](admin.Tab, "document.querySelector('[name=user]').value"); user != "bash" {
		t.Errorf("the user is %q", user)
	}
	admin.fill("[name=name]", "web-1")
	admin.fill("[name=password]", host.Password)
	admin.fill("[name=private_key]", string(host.PrivateKey))
	admin.Click("[data-test]")
	fingerprint := strings.TrimSpace(host.Exec(t, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2"))
	admin.says("#test-steps", fingerprint)
	admin.saysNot("#test-steps", "Sign in")
	admin.Axe()
	admin.Click("#test-steps [name=host_key]")
	admin.says("#test-steps", "Everything works")
	admin.picture("server-new")
	admin.follow("form[action='/servers'] [type=submit]")
	admin.says("#toasts", "The server is added.")
	admin.says("#server .badge", "Online")
	admin.says("#server", "processor")
	admin.Axe()
	admin.picture("server")
	server := browser.Eval[string](admin.Tab, "location.pathname.split('/').pop()")
	hostKeyChanges(t, admin, host)
	event := s.event(t, "on web", cronium.EventBash, "hostname; env; tr '\\0' '\\n' < /proc/self/environ", func(c *cronium.Content) {
		c.Target = cronium.TargetServers
		c.On = &cronium.Fleet{Selector: "role=web", Strategy: cronium.StrategyAll, Offline: cronium.OfflineFail}
	})
	job := s.run(t, event)
	if j := s.finished(t, job); j.Result != cronium.ResultSuccess {
		t.Errorf("the run on the server: %+v", j)
	}
	if output, name := s.output(t, job), strings.TrimSpace(host.Exec(t, "hostname")); !strings.HasPrefix(output, name+"\n") {
		t.Errorf("it did not run on %s: %.200q", name, output)
	}
	admin.open("/servers/" + server)
	admin.says("#server", "on web")
	searchFor(t, s, map[string]string{"password": host.Password, "key": keyLine(host)},
		"/servers", "/servers/"+server, "/servers/"+server+"/edit", "/jobs/"+job.String(), "/events/"+event.String(),
		"/api/v1/servers", "/api/v1/servers/"+server, "/api/v1/servers/"+server+"/history")
}

// hostKeyChanges gives the machine another key: it is blocked, says so, and goes
// on once that key is accepted.
func hostKeyChanges(t *testing.T, admin *page, host *testenv.SSHHost) {
	host.Exec(t, "rm /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null")
	host.RestartSSHD(t)
	admin.says("#server .badge", "Blocked")
	admin.says("#server .why", "The host key of web-1 has changed")
	admin.says("#server .why", strings.TrimSpace(host.Exec(t, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2")))
	admin.Axe()
	admin.picture("server-blocked")
	admin.Click("#server .why [value=accept]")
	admin.follow("dialog[open] .danger")
	admin.says("#server .badge", "Online")
	admin.open("/servers?q=role%3Dweb+and+not+rack%3D13")
	admin.says("#list", "web-1")
	admin.Axe()
	admin.picture("servers")
	admin.open("/servers?q=role%3Ddb")
	admin.says("#list", "No server matches")
}

// keyLine is a line in the middle of a private key.
func keyLine(host *testenv.SSHHost) string {
	lines := strings.Split(string(host.PrivateKey), "\n")
	return lines[len(lines)/2]
}

// searchFor looks for secrets in pages, answers, tables, logs, and arguments and
// environments of processes.
func searchFor(t *testing.T, s *site, secrets map[string]string, paths ...string) {
	places := map[string]string{}
	for _, path := range paths {
		if strings.HasPrefix(path, "/api/") {
			body, err := s.Open(t.Context(), http.MethodGet, path, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			places[path] = readAll(t, body)
			body.Close()
			continue
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.Address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.AddCookie(&http.Cookie{Name: auth.CookieName, Value: s.session})
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		places[path] = readAll(t, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", path, answer.Status)
		}
	}
	log, err := os.ReadFile(s.server.Log)
	if err != nil {
		t.Fatal(err)
	}
	places["the log"] = string(log)
	tables(t, s, places)
	processes(t, places)
	if len(places) < 40 {
		t.Fatalf("only %d places were looked at", len(places))
	}
	for what, secret := range secrets {
		forms := map[string]string{
			"plain": secret, "in base64": base64.StdEncoding.EncodeToString([]byte(secret))[:16], "in hex": hex.EncodeToString([]byte(secret)),
		}
		for place, text := range places {
			for form, searched := range forms {
				if strings.Contains(text, searched) {
					t.Errorf("the %s is in %s, %s", what, place, form)
				}
			}
		}
	}
}

// tables are all rows of the database, as the superuser sees them.
func tables(t *testing.T, s *site, places map[string]string) {
	url, err := s.Database()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '_[0-9]+$'`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		var text string
		if err := conn.QueryRow(t.Context(), `SELECT coalesce(string_agg(r::text, E'\n'), '') FROM (SELECT * FROM `+name+` LIMIT 100000) r`).Scan(&text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		places["the table "+name] = text
		if name == "credentials" && text == "" {
			t.Error("there is no credential to be found")
		}
	}
}

// processes are the arguments and environments of all processes, but for those
// of the container engine's client, with which this test makes its host.
func processes(t *testing.T, places map[string]string) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil || !strings.Contains(string(line), "cronium") && !strings.Contains(string(line), "postgres") {
			continue // it has ended, or is none of ours
		}
		environment, _ := os.ReadFile(filepath.Join(folder, "environ"))
		if strings.Contains(string(environment), "AUTHORIZED=") {
			continue // the host's own
		}
		places["the process "+filepath.Base(folder)] = string(line) + "\x00" + string(environment)
	}
}

// serversImported pastes an SSH configuration and makes what it becomes.
func serversImported(t *testing.T, s *site) {
	p := s.person(t)
	p.open("/servers/import")
	p.Axe()
	p.fill("[name=text]", "Host box-1 box-2\n  HostName 192.0.2.1\n  User deploy\nHost odd\n  ProxyCommand nc %h %p\nInclude more\n")
	p.follow("[value=preview]")
	p.says("#preview h2", "2 of 3 servers can be made")
	p.says("#preview", "Cronium runs none")
	p.says("#preview", "files are not read")
	p.Axe()
	p.picture("servers-import")
	p.follow("[value=make]")
	p.says("#toasts", "The servers are made.")
	p.hostKeysConfirmed(s)
	p.open("/servers")
	p.says("#list", "box-2")
	p.saysNot("#list", "odd")
	var list struct {
		Servers []struct{ Name, Address string }
	}
	if err := s.Try(t.Context(), http.MethodGet, "/api/v1/servers?q=box", nil, nil, &list); err != nil || len(list.Servers) != 2 || list.Servers[0].Address != "192.0.2.1" {
		t.Errorf("%+v, %v", list, err)
	}
}

// hostKeysConfirmed compares what the imported machines show and confirms it at
// once; a key that arrives meanwhile leaves the ticks alone.
func (p *page) hostKeysConfirmed(s *site) {
	p.t.Helper()
	ctx := p.t.Context()
	url, err := s.Database()
	if err != nil {
		p.t.Fatal(err)
	}
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	offer := func(name string) {
		p.t.Helper()
		if _, err := db.Exec(ctx, "SET cronium.scope = 'system'"); err != nil {
			p.t.Fatal(err)
		}
		if _, err := db.Exec(ctx, `WITH shown AS (UPDATE servers SET offered_key = $2, offered_at = now() WHERE name = $1 RETURNING id)
			UPDATE server_states SET state = 'BLOCKED' FROM shown WHERE server_id = id`, name, testenv.SharedSSH(p.t).HostKey); err != nil {
			p.t.Fatal(err)
		}
	}
	p.says("#keys", "2 servers have not shown a key yet")
	offer("box-1")
	p.open("/servers")
	p.says("#list", "1 server shows a key")
	p.clickText("Compare the keys")
	p.says("#keys", "box-1")
	p.mark()
	p.Click("[data-all]")
	offer("box-2")
	browser.Eval[bool](p.Tab, "document.querySelector('#live').dispatchEvent(new Event('servers', { bubbles: true }))")
	p.says("#keys", "box-2")
	p.Wait("[...document.querySelectorAll('[name=key]')].map(box => box.checked).join() === 'true,false'")
	p.Axe()
	p.fits()
	p.picture("servers-keys")
	p.Click("[data-all]")
	p.clickText("Confirm the ticked keys")
	p.says("dialog[open]", "scripts run there")
	p.follow("dialog[open] .danger")
	p.says("#toasts", "The keys are confirmed.")
	p.says("#keys", "No key waits to be confirmed")
}

// keysRotated replaces all keys while the server runs, and with a server that
// was there before.
func keysRotated(t *testing.T, s *site) {
	var made struct{ ID string }
	server := map[string]any{"name": "rotated", "address": "192.0.2.9", "user": "x", "password": "before"}
	if err := s.Try(t.Context(), http.MethodPost, "/api/v1/servers", nil, server, &made); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(s.Data, "master.key")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	rotate := exec.CommandContext(t.Context(), filepath.Join(string(s.Binaries), "cronium"), "keys", "rotate", "--master", "--data", s.Data)
	rotate.Env = []string{"PATH=" + os.Getenv("PATH")}
	said, err := rotate.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	after, err := os.ReadFile(key)
	if err != nil || string(before) == string(after) || strings.Count(string(after), "\n") != 1 {
		t.Fatalf("the master key was not replaced: %v", err)
	}
	change := map[string]any{"password": "after"}
	if err := s.Try(t.Context(), http.MethodPatch, "/api/v1/servers/"+made.ID, nil, change, nil); err != nil {
		t.Error(fmt.Errorf("the running server cannot seal any more: %w", err))
	}
	searchFor(t, s, map[string]string{"old master key": strings.TrimSpace(string(before)), "new master key": strings.TrimSpace(string(after))}, "/servers")
}

// someServers are machines as they would be after a day: those whose agents
// dialled in, one that is away, and one over SSH that shows another key. It gives
// the pages of the first and the last one.
func (s *site) someServers(t *testing.T) (page, blocked string) {
	t.Helper()
	url, err := s.Database()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	write := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for i, name := range []string{"web-1", "web-2", "api-1", "api-2", "db-1", "edge-berlin-07"} {
		id := cronium.NewID()
		state, tags, environment := "ONLINE", `{"role":"`+strings.Split(name, "-")[0]+`","rack":"`+strconv.Itoa(10+i)+`"}`, "prod"
		if i == 3 {
			state, environment = "OFFLINE", "staging"
		}
		if page == "" {
			page = "/servers/" + id.String()
		}
		write(`INSERT INTO servers (id, workspace_id, name, kind, environment, tags) SELECT $1, id, $2, 'agent', $3, $4 FROM workspaces`, id, name, environment, tags)
		write(`INSERT INTO server_states (server_id, workspace_id, state, since, error, seen_at, latency_us, load1, cpus, memory_total, memory_used, disk_total, disk_used, uptime_s, agent_version, os, arch, platform, address)
			SELECT $1, id, $2, now() - interval '3 hours', CASE WHEN $2 = 'ONLINE' THEN '' ELSE 'Its agent is not connected. Is the machine on, and can it reach this server?' END,
				CASE WHEN $2 = 'ONLINE' THEN now() ELSE now() - interval '3 hours' END, 800 + 300 * $3::int, 0.4 * ($3::int + 1), 4, 16e9, 3e9 * ($3::int + 0.3), 500e9, 90e9 * ($3::int + 0.4), 4000000, '0.4.0', 'linux', 'amd64', 'Debian GNU/Linux 12', '192.0.2.' || $3::int
			FROM workspaces`, id, state, i)
		write(`INSERT INTO server_samples (server_id, workspace_id, at, up, load1, memory, disk, latency_us, samples)
			SELECT $1, w.id, date_bin('5 minutes', now(), 'epoch') - n * interval '5 minutes', CASE WHEN $2 <> 'ONLINE' AND n < 36 OR n BETWEEN 150 AND 153 THEN 0 ELSE 1 END,
				1.2 + sin(n / 23.0 + $3::int) + (n * 7919 % 13) / 13.0, 0.3 + 0.1 * sin(n / 60.0 + $3::int), 0.2 + n * 0.0004, 900 + n * 104729 % 400, 20
			FROM generate_series(0, 287) n, workspaces w`, id, state, i)
	}
	key := func() []byte {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		k, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return k.Marshal()
	}
	id := cronium.NewID()
	write(`INSERT INTO servers (id, workspace_id, name, kind, environment, tags, address, login, host_key, host_key_by, host_key_at, offered_key, offered_at)
		SELECT $1, id, 'build-9', 'ssh', 'dev', '{"role":"ci"}', 'build-9.example.com', 'deploy', $2, 'Admin', now(), $3, now() FROM workspaces`, id, key(), key())
	write(`INSERT INTO server_states (server_id, workspace_id, state, error) SELECT $1, id, 'BLOCKED', 'Its key has changed.' FROM workspaces`, id)
	return page, "/servers/" + id.String()
}
