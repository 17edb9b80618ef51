package installed_test

import (
	"net"
	"strconv"
	"testing"

	"cronium.dev/internal/testenv"
)

// A line on which no byte passes any more, as where a cable was pulled, is noticed
// by both sides; when it works again the agent is back by itself.
func TestAStalledLineIsNoticedAndLeft(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.process(t, "")
	host, port, err := net.SplitHostPort(p.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	line := testenv.NewLine(t, host, number)
	m := newMachine(t)
	if said, err := m.join("http://127.0.0.1:"+strconv.Itoa(line.Port), h.code(t).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	m.server = h.serverOf(t, m)
	m.start()
	p.waitFor(t, m.server)
	line.Stall()
	eventually(t, "the server has noticed", func() bool { return !p.Holds(m.server) })
	dialled := line.Dialled()
	eventually(t, "the agent has noticed and dials anew", func() bool { return line.Dialled() > dialled })
	line.Resume()
	p.waitFor(t, m.server)
	m.kill()
	p.stop()
}
