package installed_test

import (
	"crypto/ed25519"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

func listenAt(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serverOf reads from the machine's identity which server it is.
func (h *hub) serverOf(t testing.TB, m *machine) cronium.ID {
	t.Helper()
	raw, err := os.ReadFile(stateFile(m, "identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var identity struct{ Target string }
	if err := json.Unmarshal(raw, &identity); err != nil {
		t.Fatal(err)
	}
	id, ok := cronium.ParseID(identity.Target)
	if !ok {
		t.Fatalf("the identity names no server: %s", raw)
	}
	return id
}

func TestJoinedMachineRunsScripts(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.registry = allOpen{h.store}
	p := h.process(t, "")
	m := h.install(t, p)
	spec := executor.Spec{ExecutionID: cronium.NewID(), ServerID: m.server, Limits: cronium.DefaultLimits()}
	place, err := p.Create(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := conformance.Bash("echo hello from $HOME; exit 3").Run(h.key)
	run.ExecutionID = spec.ExecutionID
	sink := conformance.NewRecorder(t)
	finish, err := executor.Drive(conformance.Context(t), place, run, sink)
	conformance.Result{Finish: finish, Err: err, Sink: sink}.Exited(t, 3)
	if !strings.HasPrefix(sink.Stdout(), "hello from "+m.state) {
		t.Errorf("it said %q", sink.Stdout())
	}
	if err := place.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCodeIsGoodForAsManyAgentsAsItSays(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	code := h.code(t).String()
	first := newMachine(t)
	if said, err := first.join(p.server.URL, code); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	thief := newMachine(t)
	said, err := thief.join(p.server.URL, code)
	if err == nil || !strings.Contains(said, "has been used") {
		t.Errorf("a second machine with the same code: %v: %s", err, said)
	}
	if _, err := os.Stat(stateFile(thief, "identity.json")); err == nil {
		t.Error("it has an identity all the same")
	}
	if servers := h.count(t, "servers"); servers != 1 {
		t.Errorf("there are %d servers, want 1", servers)
	}
	many := h.code(t, func(c *cronium.AgentCode) { c.Uses, c.Name = 2, "edge" }).String()
	for range 2 {
		if said, err := newMachine(t).join(p.server.URL, many); err != nil {
			t.Errorf("join: %v: %s", err, said)
		}
	}
	if said, err := newMachine(t).join(p.server.URL, many); err == nil {
		t.Errorf("a third machine with a code for two: %s", said)
	}
	for _, name := range []string{"edge", "edge-2"} {
		if h.count(t, "servers WHERE name = '"+name+"'") != 1 {
			t.Errorf("there is no server %s", name)
		}
	}
}

func (h *hub) count(t testing.TB, from string) (n int) {
	t.Helper()
	if err := h.store.WorkerPool().QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCodesThatAreNotGoodLeaveNothing(t *testing.T) {
	t.Parallel()
	h, other := newHub(t), newHub(t)
	p := h.process(t, "")
	good := h.code(t).String()
	for name, test := range map[string]struct{ code, want string }{
		"unknown":               {newUnknown(h), "not known"},
		"expired":               {h.code(t, func(c *cronium.AgentCode) { c.ExpiresAt = time.Now().Add(-time.Second) }).String(), "has expired"},
		"of another instance":   {other.code(t).String(), "nothing was sent"},
		"with a wrong letter":   {good[:len(good)-1] + swap(good[len(good)-1]), "wrong character"},
		"cut":                   {good[:40], "not complete"},
		"not there":             {"", "needs a code"},
		"with a line end in it": {good + "\r\nX: y", "not complete"},
	} {
		m := newMachine(t)
		said, err := m.join(p.server.URL, test.code)
		if err == nil || !strings.Contains(said, test.want) {
			t.Errorf("a code that is %s: %v: %s", name, err, said)
		}
		if _, err := os.Stat(stateFile(m, "identity.json")); err == nil {
			t.Errorf("a code that is %s gave an identity", name)
		}
	}
	if servers := h.count(t, "servers"); servers != 0 {
		t.Errorf("there are %d servers", servers)
	}
	if said, err := newMachine(t).join(p.server.URL, good); err != nil {
		t.Errorf("the good code does not work any more: %v: %s", err, said)
	}
}

func swap(last byte) string {
	if last == '0' {
		return "1"
	}
	return "0"
}

// newUnknown is a code of the instance that was never made.
func newUnknown(h *hub) string {
	return tunnel.NewCode(h.key.Public().(ed25519.PublicKey)).String()
}
