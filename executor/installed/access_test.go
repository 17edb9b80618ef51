package installed_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
)

// knock opens a tunnel with a key, and gives how the server ended it; nil if it
// let the key in.
func knock(t *testing.T, h *hub, url string, key ed25519.PrivateKey) *tunnel.Ended {
	t.Helper()
	conn, err := tunnel.Dial(t.Context(), url, tunnel.Agent{Key: key, Server: h.key.Public().(ed25519.PublicKey), Protocol: tunnel.ProtocolServe})
	var ended *tunnel.Ended
	if errors.As(err, &ended) {
		return ended
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		return nil // the beginning of gRPC
	}
	if conn.Ended() == nil {
		t.Fatal("the server has ended the tunnel without a word")
	}
	return conn.Ended()
}

// edit changes the identity of a machine.
func (m *machine) edit(change func(identity map[string]any)) {
	m.t.Helper()
	raw, err := os.ReadFile(stateFile(m, "identity.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	identity := map[string]any{}
	if err := json.Unmarshal(raw, &identity); err != nil {
		m.t.Fatal(err)
	}
	change(identity)
	if raw, err = json.Marshal(identity); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(stateFile(m, "identity.json"), raw, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// key is the machine's.
func (m *machine) key() ed25519.PrivateKey {
	m.t.Helper()
	raw, err := os.ReadFile(stateFile(m, "identity.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	var identity struct{ Key []byte }
	if err := json.Unmarshal(raw, &identity); err != nil {
		m.t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(identity.Key)
}

func TestUnknownKeyIsRefused(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if ended := knock(t, h, p.server.URL, key); ended == nil || ended.Reason != tunnel.ReasonRefused {
		t.Errorf("an unknown key: %v", ended)
	}
	if held := p.Held(); len(held) > 0 {
		t.Errorf("%v are held", held)
	}
}

func TestRevokedAgentIsCutOffAndStaysOut(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	m := h.install(t, p)
	begun := time.Now()
	n, err := h.store.RevokeAgent(t.Context(), h.workspace, m.server, "Mira")
	if n != 1 || err != nil {
		t.Fatalf("revoked %d keys, %v", n, err)
	}
	p.wake <- struct{}{}
	eventually(t, "the agent is cut off", func() bool { return !p.Holds(m.server) })
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	eventually(t, "the agent says why", func() bool { return m.log.has("was revoked") && m.log.has("every few minutes") })
	if ended := knock(t, h, p.server.URL, m.key()); ended == nil || ended.Reason != tunnel.ReasonRefused {
		t.Errorf("the revoked key again: %v", ended)
	}
	// The machine comes back with a code for its server, and as no other.
	again := newMachine(t)
	if said, err := again.join(p.server.URL, h.code(t, func(c *cronium.AgentCode) { c.ServerID = &m.server }).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	again.start()
	p.waitFor(t, m.server)
}

func TestAgentIsRevokedByItsWorkspaceAlone(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	m := h.install(t, p)
	other := &cronium.Workspace{ID: cronium.NewID(), Slug: "other", Name: "Other"}
	if err := h.store.AddWorkspace(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.RevokeAgent(t.Context(), other.ID, m.server, "Eve"); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("revoke from another workspace: %v", err)
	}
	p.wake <- struct{}{}
	p.wake <- struct{}{} // taken, so the first look is over
	if !p.Holds(m.server) {
		t.Error("it was cut off all the same")
	}
}

func TestAgentCannotBeAnother(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	victim, thief := newMachine(t), newMachine(t)
	for _, m := range []*machine{victim, thief} {
		if said, err := m.join(p.server.URL, h.code(t).String()); err != nil {
			t.Fatalf("join: %v: %s", err, said)
		}
		m.server = h.serverOf(t, m)
	}
	thief.edit(func(identity map[string]any) { identity["target"] = victim.server.String() })
	thief.start()
	eventually(t, "the agent is told", func() bool { return thief.log.has("takes itself for") })
	if p.Holds(victim.server) || p.Holds(thief.server) {
		t.Error("it was let in")
	}
}

func TestAgentKnowsItsServer(t *testing.T) {
	t.Parallel()
	h, impostor := newHub(t), newHub(t)
	p, other := h.process(t, ""), impostor.process(t, "")
	m := newMachine(t)
	if said, err := m.join(p.server.URL, h.code(t).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	m.edit(func(identity map[string]any) { identity["url"] = other.server.URL })
	m.start()
	eventually(t, "the agent notices", func() bool { return m.log.has("another key") })
	if held := other.Held(); len(held) > 0 {
		t.Errorf("the impostor holds %v", held)
	}
	// Joining through it tells it nothing either.
	said, err := newMachine(t).join(other.server.URL, h.code(t).String())
	if err == nil || !strings.Contains(said, "nothing was sent to it") {
		t.Errorf("join through an impostor: %v: %s", err, said)
	}
	if n := impostor.count(t, "login_failures"); n != 0 {
		t.Errorf("the impostor was asked %d times", n)
	}
}

func TestCopiedMachineTakesThePlaceOnceAndNoStormFollows(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	first := h.install(t, p)
	second := newMachine(t)
	raw, err := os.ReadFile(stateFile(first, "identity.json"))
	if err == nil {
		err = os.WriteFile(stateFile(second, "identity.json"), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	second.start()
	eventually(t, "the first is told", func() bool { return first.log.has("another agent with the same key") })
	eventually(t, "the second is in", func() bool { return second.log.has(`"msg":"connected"`) && p.Holds(first.server) })
	// Were they to drive each other out, they would have done so many times by now:
	// a lost connection is dialled again within 100 ms.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	<-ctx.Done()
	if n := strings.Count(second.log.String(), `"msg":"connected"`); n != 1 || second.log.has("ended") {
		t.Errorf("the second was connected %d times:\n%s", n, second.log.String())
	}
}

func TestOldKeyIsRenewed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	p := h.process(t, "")
	g := newGate(t, p.server.Listener.Addr().String())
	m := h.installBehind(t, p, g)
	old := m.key()
	if _, err := h.store.WorkerPool().Exec(t.Context(), `UPDATE agent_keys SET created_at = now() - interval '31 days'`); err != nil {
		t.Fatal(err)
	}
	keys := func(what string) int { return h.count(t, "agent_keys WHERE "+what) }
	reconnect := func() {
		before := strings.Count(m.log.String(), `"msg":"connected"`)
		g.close(false)
		eventually(t, "the agent is back", func() bool {
			return strings.Count(m.log.String(), `"msg":"connected"`) > before && p.Holds(m.server)
		})
	}
	reconnect() // the age of the key is known from here on
	p.wake <- struct{}{}
	eventually(t, "there is a second key", func() bool { return keys("revoked_at IS NULL") == 2 })
	if keys("expires_at IS NOT NULL") != 0 {
		t.Error("the old key ended before the new one was used")
	}
	reconnect()
	eventually(t, "the old key has ended", func() bool { return keys("expires_at <= now()") == 1 })
	if m.key().Equal(old) {
		t.Error("the machine keeps its old key")
	}
	if ended := knock(t, h, p.server.URL, old); ended == nil || ended.Reason != tunnel.ReasonRefused {
		t.Errorf("the old key: %v", ended)
	}
	reconnect()
}

func TestNextKeyThatTheServerDoesNotKnowCostsOneTry(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	m := newMachine(t)
	if said, err := m.join(p.server.URL, h.code(t).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	m.server = h.serverOf(t, m)
	m.edit(func(identity map[string]any) { identity["next_key"] = make([]byte, ed25519.SeedSize) })
	m.start()
	p.waitFor(t, m.server)
}
