package store

import (
	"testing"
	"time"

	"cronium.dev/cronium"
)

func TestAnAgentIsOfflineOnceNobodyHasItAndItsProcessIsDead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	servers := f.servers(t, 2)
	f.exec(t, `UPDATE servers SET kind = 'agent'`)
	state := func(id cronium.ID) (state cronium.ServerState, held bool) {
		t.Helper()
		if err := f.worker.QueryRow(f.ctx, `SELECT state, holder IS NOT NULL FROM server_states WHERE server_id = $1`, id).Scan(&state, &held); err != nil {
			t.Fatal(err)
		}
		return state, held
	}
	later := func() {
		t.Helper()
		f.exec(t, `UPDATE server_states SET seen_at = seen_at - $1::interval`, AgentGrace+time.Second)
		if _, err := f.OfflineAgents(f.ctx); err != nil {
			t.Fatal(err)
		}
	}
	held := func(ids ...cronium.ID) {
		t.Helper()
		if err := f.AgentsHeld(f.ctx, f.process, append([]cronium.ID{}, ids...)); err != nil {
			t.Fatal(err)
		}
	}
	held(servers...)
	held(servers[0]) // the other has connected a moment ago
	if s, is := state(servers[1]); s != cronium.ServerOnline || !is {
		t.Errorf("just connected: %s, %v", s, is)
	}
	var before string
	row := `SELECT string_agg(xmin::text, ' ' ORDER BY server_id) FROM server_states`
	if err := f.worker.QueryRow(f.ctx, row).Scan(&before); err != nil {
		t.Fatal(err)
	}
	held(servers...)
	var after string
	if err := f.worker.QueryRow(f.ctx, row).Scan(&after); err != nil || after != before {
		t.Errorf("what is known was written again: %s, then %s, %v", before, after, err)
	}
	later()
	held(servers[0])
	if s, _ := state(servers[0]); s != cronium.ServerOnline {
		t.Errorf("held by a living process: %s", s)
	}
	if s, is := state(servers[1]); s != cronium.ServerOnline || is {
		t.Errorf("not held any more, a moment ago: %s, %v", s, is)
	}
	if err := f.EndLease(f.ctx, f.process); err != nil {
		t.Fatal(err)
	}
	later()
	if s, _ := state(servers[1]); s != cronium.ServerOffline {
		t.Errorf("held by nobody: %s", s)
	}
	if s, _ := state(servers[0]); s != cronium.ServerOnline {
		t.Errorf("its process died a moment ago: %s", s)
	}
	f.exec(t, `UPDATE processes SET lease_until = lease_until - $1::interval`, AgentGrace)
	later()
	if s, _ := state(servers[0]); s != cronium.ServerOffline {
		t.Errorf("its process is dead: %s", s)
	}
}
