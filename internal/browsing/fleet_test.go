package browsing

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// agents installs agents on this machine, as many as there are names for: host,
// host-2, host-3 and so on, tagged role=web.
func (s *site) agents(t *testing.T, count int) {
	t.Helper()
	var made struct{ Code string }
	code := map[string]any{"name": "host", "uses": count, "tags": map[string]string{"role": "web"}, "environment": "prod"}
	if err := s.Try(t.Context(), http.MethodPost, "/api/v1/agent-codes", nil, code, &made); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "fleet-") // short: sockets are in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(string(s.Binaries), "cronium-agent")
	for i := range count {
		state := filepath.Join(dir, string(rune('a'+i)))
		join := exec.Command(program, "join", s.server.Address, "--state", state)
		join.Env = []string{"CRONIUM_JOIN_CODE=" + made.Code}
		if said, err := join.CombinedOutput(); err != nil {
			t.Fatalf("join: %v\n%s", err, said)
		}
		agent := exec.Command(program, "run", "--state", state)
		agent.Env = []string{"PATH=" + os.Getenv("PATH")}
		agent.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			agent.Process.Signal(syscall.SIGTERM)
			agent.Wait()
		})
	}
}

// fleetRun puts an event on servers by its form, runs it on four of which one
// fails, watches the grid, looks at one host and at all, and runs it again where
// it failed.
func fleetRun(t *testing.T, s *site) {
	s.agents(t, 4)
	event := s.event(t, "restart web", cronium.EventBash, `source cronium.sh
name=$(cronium_event .server.name)
echo stopping; sleep 1
if [ "$name" = host-3 ]; then echo "disk is full" >&2; exit 3; fi
echo started
`)
	p := s.person(t)
	p.openEvent(event)
	p.clickText("Where")
	p.Click("[name=target][value=servers]")
	p.Click("[name='on.choice'][value=selector]")
	p.fill("[name='on.selector']", "role=web and")
	p.says("main", "the selector ends here")
	p.fill("[name='on.selector']", "env=prod and role=web")
	p.says("main", "4 servers match")
	p.Axe()
	p.fits()
	p.picture("event-where")
	p.clickText("Save version")
	p.says("#event .facts", "version 2, saved")

	job := s.run(t, event)
	p.open("/jobs/" + job.String())
	p.says("#fleet-progress", "3 succeeded")
	p.says("#fleet-progress", "1 failed")
	p.says("#job-facts", "Partial")
	p.says("#job-failure", "disk is full")
	p.present(".host.is-failure[title*='host-3']")
	p.Click(".host[title*='host-2']")
	p.says("#fleet-output", "host-2")
	p.says("#fleet-output .log-view", "started")
	p.Axe()
	p.picture("fleet")
	p.clickText("All, by time")
	p.says("cronium-merged", "disk is full")
	p.says("cronium-merged", "host-3")
	p.says("cronium-merged .log-foot", "8 lines.")
	p.fill("cronium-merged input", "STARTED")
	p.says("cronium-merged .log-foot", "3 lines with “STARTED”.")
	p.saysNot(".merged", "disk is full")
	p.Axe()
	p.picture("fleet-merged")
	p.fill("cronium-merged input", "")
	p.says(".merged", "disk is full")
	// All at once, none is left out.
	browser.Eval[bool](p.Tab, `[".host[title*='host-3']", "[data-tab=same]", "[data-tab=hosts]"].forEach(one => document.querySelector(one).click()), true`)
	p.says("#fleet-hosts", "host-4")
	p.clickText("One host")
	p.says("#fleet-output .log-view", "disk is full")
	p.clickText("Same output")
	p.says("#fleet-same", "3 hosts said this, 1 said that")
	p.present("#fleet-same .diff")
	p.Axe()
	p.clickText("Hosts")
	p.says("#fleet-hosts", "host-4")
	p.Axe()
	p.fits()
	p.follow("#rerun-failed button")
	p.says("#fleet-progress", "1 of 1 done")
	p.says("#job-facts", "repeats")
	if path := browser.Eval[string](p.Tab, "location.pathname"); strings.Contains(path, job.String()) {
		t.Errorf("it is still the same job: %s", path)
	}
}
