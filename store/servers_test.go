package store

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

// server stores a server over SSH; change may alter it before.
func (f *fixture) server(t *testing.T, name string, change func(*cronium.Server)) *cronium.Server {
	t.Helper()
	s := &cronium.Server{ID: cronium.NewID(), WorkspaceID: f.workspace, Name: name, Kind: cronium.ServerSSH, Address: name + ".example.com", Port: 22, Login: "deploy"}
	if change != nil {
		change(s)
	}
	if err := f.CreateServer(f.ctx, s, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func through(jumps ...*cronium.Server) func(*cronium.Server) {
	return func(s *cronium.Server) {
		for _, j := range jumps {
			s.Jumps = append(s.Jumps, j.ID)
		}
	}
}

func TestAServersNameIsUniqueAmongThoseInUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.server(t, "Web-1", nil)
	twin := &cronium.Server{ID: cronium.NewID(), WorkspaceID: f.workspace, Name: "web-1", Kind: cronium.ServerSSH, Address: "a", Port: 22, Login: "x"}
	err := f.CreateServer(f.ctx, twin, nil)
	wantCode(t, err, cronium.CodeConflict, "name")
	if !strings.Contains(err.Error(), "a server named") {
		t.Errorf("it does not say what is there: %v", err)
	}
	if err := f.ArchiveServer(f.ctx, f.workspace, s.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := f.CreateServer(f.ctx, twin, nil); err != nil {
		t.Fatal(err)
	}
	wantCode(t, f.ArchiveServer(f.ctx, f.workspace, s.ID, false), cronium.CodeConflict)
	if got, err := f.ServerByName(f.ctx, f.workspace, "WEB-1"); err != nil || got.ID != twin.ID {
		t.Error(got, err)
	}
	if _, err := f.Server(f.ctx, cronium.NewID(), s.ID); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("another workspace sees it: %v", err)
	}
}

func TestAChangedHostKeyBlocksUntilItIsAccepted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old, other, third := []byte("old"), []byte("other"), []byte("third")
	s := f.server(t, "a", func(s *cronium.Server) { s.HostKey, s.HostKeyBy = old, "ann" })
	state := func() cronium.ServerState {
		t.Helper()
		row, err := f.ServerRow(f.ctx, f.workspace, s.ID)
		if err != nil {
			t.Fatal(err)
		}
		return row.Status.State
	}
	if err := f.OfferHostKey(f.ctx, s.ID, old, ""); err != nil || state() != cronium.ServerUnknown {
		t.Fatal("the pinned key blocked the host", err)
	}
	if err := f.OfferHostKey(f.ctx, s.ID, other, "changed"); err != nil || state() != cronium.ServerBlocked {
		t.Fatal("not blocked", err)
	}
	if watched, err := f.WatchServers(f.ctx, f.process, 10); err != nil || len(watched) != 0 {
		t.Errorf("a blocked host is watched: %v, %v", watched, err)
	}
	if err := f.SaveStatuses(f.ctx, f.process, []cronium.ServerStatus{{ServerID: s.ID, State: cronium.ServerOnline}}); err != nil || state() != cronium.ServerBlocked {
		t.Error("a late answer unblocked it", err)
	}
	wantCode(t, f.PinHostKey(f.ctx, f.workspace, s.ID, third, "bob"), cronium.CodeConflict)
	wantCode(t, f.PinHostKey(f.ctx, f.workspace, s.ID, old, "bob"), cronium.CodeConflict)
	if err := f.PinHostKey(f.ctx, f.workspace, s.ID, other, "bob"); err != nil || state() != cronium.ServerUnknown {
		t.Fatal(err)
	}
	got, err := f.Server(f.ctx, f.workspace, s.ID)
	if err != nil || !bytes.Equal(got.HostKey, other) || got.OfferedKey != nil || got.HostKeyBy != "bob" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := f.OfferHostKey(f.ctx, s.ID, third, "changed"); err != nil {
		t.Fatal(err)
	}
	if err := f.RefuseHostKey(f.ctx, f.workspace, s.ID); err != nil || state() != cronium.ServerUnknown {
		t.Fatal(err)
	}
	if got, err = f.Server(f.ctx, f.workspace, s.ID); err != nil || !bytes.Equal(got.HostKey, other) {
		t.Error("a refused key changed the pinned one", err)
	}
	got.Address = "elsewhere"
	if err := f.UpdateServer(f.ctx, got, nil); err != nil || got.HostKey != nil || got.HostKeyAt != nil {
		t.Errorf("the key of another address is still pinned: %+v, %v", got, err)
	}
}

func TestJumpsLeadToTheServerAndNeverBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	edge := f.server(t, "edge", nil)
	inner := f.server(t, "inner", through(edge))
	deep := f.server(t, "deep", through(inner))
	c, err := f.ConnectionOf(f.ctx, deep.ID)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, hop := range c.Hops {
		names = append(names, hop.Server.Name)
	}
	if fmt.Sprint(names) != "[edge inner deep]" {
		t.Error(names)
	}
	edge.Jumps = []cronium.ID{deep.ID}
	wantCode(t, f.UpdateServer(f.ctx, edge, nil), cronium.CodeInvalid, "jumps")
	wantCode(t, f.ArchiveServer(f.ctx, f.workspace, edge.ID, true), cronium.CodeConflict)
	other := f.server(t, "other", nil)
	other.Jumps = []cronium.ID{cronium.NewID()}
	wantCode(t, f.UpdateServer(f.ctx, other, nil), cronium.CodeInvalid, "jumps")
	f.exec(t, `UPDATE servers SET jumps = ARRAY[$2::uuid] WHERE id = $1`, edge.ID, deep.ID)
	_, err = f.ConnectionOf(f.ctx, deep.ID)
	wantCode(t, err, cronium.CodeConflict)
}

func TestServersAreSharedAmongLivingProcesses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 5 {
		f.server(t, fmt.Sprint("s", i), nil)
	}
	other := cronium.NewID()
	if err := f.RenewLease(f.ctx, Process{ID: other, Hostname: "h", PID: 2, Version: "v"}); err != nil {
		t.Fatal(err)
	}
	mine, err := f.WatchServers(f.ctx, f.process, 3)
	if err != nil || len(mine) != 3 {
		t.Fatal(mine, err)
	}
	theirs, err := f.WatchServers(f.ctx, other, 10)
	if err != nil || len(theirs) != 2 {
		t.Fatal(theirs, err)
	}
	status := cronium.ServerStatus{ServerID: theirs[0].ID, State: cronium.ServerOnline, Load1: 1.5, CPUs: 4, MemoryTotal: 10, MemoryUsed: 5, Uptime: time.Hour, ClockSkew: -time.Second, OS: "linux"}
	for _, holder := range []cronium.ID{f.process, other} { // the first does not watch it
		if err := f.SaveStatuses(f.ctx, holder, []cronium.ServerStatus{status}); err != nil {
			t.Fatal(err)
		}
		row, err := f.ServerRow(f.ctx, f.workspace, theirs[0].ID)
		if err != nil || (row.Status.State == cronium.ServerOnline) != (holder == other) {
			t.Fatalf("%+v, %v", row, err)
		}
	}
	if err := f.SaveStatuses(f.ctx, other, []cronium.ServerStatus{{ServerID: theirs[0].ID, State: cronium.ServerOffline, Error: "no route"}}); err != nil {
		t.Fatal(err)
	}
	row, err := f.ServerRow(f.ctx, f.workspace, theirs[0].ID)
	if s := row.Status; err != nil || s.State != cronium.ServerOffline || s.Error != "no route" || s.Load1 != 1.5 || s.Uptime != time.Hour || s.ClockSkew != -time.Second || s.SeenAt == nil {
		t.Errorf("what was known last: %+v, %v", s, err)
	}
	if err := f.EndLease(f.ctx, other); err != nil {
		t.Fatal(err)
	}
	if all, err := f.WatchServers(f.ctx, f.process, 10); err != nil || len(all) != 5 {
		t.Errorf("%d of 5 servers are watched after the other process died, %v", len(all), err)
	}
	if err := f.UnwatchServers(f.ctx, f.process); err != nil {
		t.Fatal(err)
	}
	if none, err := f.WatchServers(f.ctx, f.process, 0); err != nil || len(none) != 0 {
		t.Error(none, err)
	}
}

func TestHistoryIsAveragedBySpan(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.server(t, "a", nil)
	at := time.Now().Truncate(SampleSpan)
	for _, add := range []ServerSample{
		{At: at, Up: 1, Load: 2, Samples: 3}, {At: at.Add(time.Minute), Up: 1, Load: 6, Samples: 1}, {At: at, Up: 0, Samples: 4},
		{At: at.Add(-2 * SampleSpan), Up: 1, Load: 7, Samples: 1}, {At: at.Add(-30 * time.Hour), Up: 1, Samples: 1},
	} {
		add.ServerID, add.WorkspaceID = s.ID, s.WorkspaceID
		if err := f.AddSamples(f.ctx, []ServerSample{add, {ServerID: cronium.NewID(), WorkspaceID: s.WorkspaceID, At: at, Samples: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	row, err := f.ServerRow(f.ctx, f.workspace, s.ID)
	if err != nil || len(row.Samples) != 2 {
		t.Fatalf("%+v, %v", row.Samples, err)
	}
	if last := row.Samples[1]; last.Samples != 8 || last.Up != 0.5 || last.Load != 3 {
		t.Errorf("%+v", last)
	}
	if err := f.Tidy(f.ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := f.worker.QueryRow(f.ctx, `SELECT count(*) FROM server_samples`).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows are left, %v", n, err)
	}
}

func TestAServerIsDeletedWithItsCredential(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	c := v.save(t, "one")
	s := &cronium.Server{ID: cronium.NewID(), WorkspaceID: v.workspace, Name: "a", Kind: cronium.ServerSSH, Address: "a", Port: 22, Login: "x"}
	if err := v.CreateServer(v.ctx, s, c); err != nil {
		t.Fatal(err)
	}
	if con, err := v.ConnectionOf(v.ctx, s.ID); err != nil || !bytes.Equal(con.Hops[0].Credential.Sealed, c.Sealed) {
		t.Fatal(con, err)
	}
	execution := cronium.NewID()
	v.exec(t, `INSERT INTO executions (id, workspace_id, job_id, attempt, target, server_id, status) VALUES ($1, $2, $1, 1, 'ssh', $3, 'RUNNING')`, execution, v.workspace, s.ID)
	wantCode(t, v.DeleteServer(v.ctx, v.workspace, s.ID), cronium.CodeConflict)
	v.exec(t, `UPDATE executions SET status = 'SUCCESS' WHERE id = $1`, execution)
	if err := v.ArchiveServer(v.ctx, v.workspace, s.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err := v.ConnectionOf(v.ctx, s.ID)
	wantCode(t, err, cronium.CodeConflict)
	if err := v.DeleteServer(v.ctx, v.workspace, s.ID); err != nil {
		t.Fatal(err)
	}
	_, err = v.Credential(v.ctx, v.workspace, c.ID)
	wantCode(t, err, cronium.CodeNotFound)
}

func TestEventsOfAServerAreThoseThatNameOrSelectIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.server(t, "a", nil)
	for name, fleet := range map[string]string{"named": fmt.Sprintf(`{"servers":[%q]}`, s.ID), "selected": `{"selector":"role=web"}`, "neither": `{"selector":"role=db"}`, "other": fmt.Sprintf(`{"servers":[%q]}`, cronium.NewID())} {
		e := f.create(t, name)
		f.exec(t, `UPDATE event_versions SET fleet = $2, target = 'servers' WHERE event_id = $1`, e.ID, fleet)
	}
	events, err := f.EventsOnServer(f.ctx, f.workspace, s.ID, func(selector string) bool { return selector == "role=web" })
	if err != nil || len(events) != 2 || events[0].Name != "named" || !events[0].Chosen || events[1].Name != "selected" || events[1].Chosen {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestServersAreListedInPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range 7 {
		f.server(t, fmt.Sprintf("web-%d", i), nil)
	}
	f.server(t, "Db", nil)
	var names []string
	filter := ServerFilter{Query: "WEB", Limit: 3}
	for {
		rows, err := f.Servers(f.ctx, f.workspace, filter)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			names = append(names, r.Name)
		}
		after := rows[len(rows)-1].Cursor()
		filter.After = &after
	}
	if fmt.Sprint(names) != "[web-0 web-1 web-2 web-3 web-4 web-5 web-6]" {
		t.Error(names)
	}
	if all, err := f.ServersMatching(f.ctx, f.workspace); err != nil || len(all) != 8 || all[0].Name != "Db" {
		t.Error(all, err)
	}
	if states, err := f.ServerStates(f.ctx, f.workspace); err != nil || states[cronium.ServerUnknown] != 8 {
		t.Error(states, err)
	}
}

func TestOfTwoChangesOfAServerTheSecondIsToldWhatTheFirstChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ada := f.server(t, "web", nil)
	bob, err := f.Server(f.ctx, f.workspace, ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	ada.Address, ada.Tags, ada.ChangedBy = "192.0.2.9", map[string]string{"role": "db"}, "Ada"
	if err := f.UpdateServer(f.ctx, ada, nil); err != nil {
		t.Fatal(err)
	}
	bob.Description = "the front"
	err = f.UpdateServer(f.ctx, bob, nil)
	wantCode(t, err, cronium.CodeConflict, "address", "tags", "description")
	if text := err.Error(); !strings.Contains(text, "Ada has changed this server") || !strings.Contains(text, "address is 192.0.2.9 now") || !strings.Contains(text, "tags is role=db now") {
		t.Error(text)
	}
	if now, err := f.Server(f.ctx, f.workspace, ada.ID); err != nil || now.Description != "" || now.Version != ada.Version || now.ChangedBy != "Ada" {
		t.Errorf("%+v, %v", now, err)
	}
	bob.Version = ada.Version // who has read it
	if err := f.UpdateServer(f.ctx, bob, nil); err != nil || bob.Version != ada.Version+1 || bob.Description != "the front" {
		t.Errorf("%+v, %v", bob, err)
	}
}

func TestUsersOfAServerAreThoseThatScriptsRanAsThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	servers := f.servers(t, 2)
	for i, as := range []string{"deploy", "", "app", "deploy", "never"} {
		e := f.create(t, fmt.Sprint("e", i))
		f.exec(t, `UPDATE event_versions SET target = 'servers', fleet = json_build_object('run_as', $2::text) WHERE event_id = $1`, e.ID, as)
		job, execution := cronium.NewID(), cronium.NewID()
		f.exec(t, `INSERT INTO jobs (id, workspace_id, event_id, version, priority, trigger, status, triggered_by) VALUES ($1, $2, $3, 1, 'NORMAL', 'MANUAL', 'RUNNING', '{}')`, job, f.workspace, e.ID)
		f.exec(t, `INSERT INTO job_targets (job_id, server_id, workspace_id, position, kind, name, status, execution_id) VALUES ($1, $2, $3, 0, 'ssh', 's', 'RUNNING', CASE WHEN $5 THEN NULL ELSE $4::uuid END)`,
			job, servers[0], f.workspace, execution, as == "never")
	}
	if users, err := f.UsersOnServer(f.ctx, f.workspace, servers[0]); err != nil || fmt.Sprint(users) != "[app deploy]" {
		t.Errorf("%v, %v", users, err)
	}
	if users, err := f.UsersOnServer(f.ctx, f.workspace, servers[1]); err != nil || len(users) != 0 {
		t.Errorf("%v, %v", users, err)
	}
}
