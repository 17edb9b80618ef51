package installed_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"cronium.dev/agent/proto"
	"cronium.dev/executor"
	"cronium.dev/executor/conformance"
)

// runAs runs a script on a machine as a user.
func (h *hub) runAs(t *testing.T, p *process, m *machine, script, user string) conformance.Result {
	t.Helper()
	place, run := h.order(t, p, m, "")
	made := conformance.Python(script).Run(h.key)
	made.ExecutionID, made.Manifest.RunAs = run.ExecutionID, user
	sink := conformance.NewRecorder(t)
	finish, err := executor.Drive(conformance.Context(t), place, made, sink)
	return conformance.Result{Finish: finish, Err: err, Sink: sink}
}

func TestScriptRunsAsTheUserThatTheEventNames(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("only root can run scripts as another user: run the tests as root")
	}
	h := newHub(t)
	h.registry = allOpen{h.store}
	p := h.process(t, "")
	m := h.install(t, p)
	r := h.runAs(t, p, m, `
import cronium, os, pwd
me = pwd.getpwuid(os.getuid())
print(me.pw_name, os.getgid() == me.pw_gid, 0 in os.getgroups(), os.environ["USER"], os.environ["HOME"] == me.pw_dir)
open("mine", "w").write("x")
open("/dev/stdout", "w").write("again\n")
for secret in ("identity.json", "run-1/spool"):
    try:
        os.listdir("`+m.state+`/" + secret) if "spool" in secret else open("`+m.state+`/" + secret)
        print("can read", secret)
    except PermissionError:
        pass
cronium.output({"done": True})
`, "nobody")
	r.Exited(t, 0)
	if got, want := r.Sink.Stdout(), "nobody True False nobody True\nagain\n"; got != want {
		t.Errorf("it said %q, want %q", got, want)
	}
	if string(r.Finish.GetOutput()) != `{"done": true}` && string(r.Finish.GetOutput()) != `{"done":true}` {
		t.Errorf("its output is %s", r.Finish.GetOutput())
	}
	r = h.runAs(t, p, m, `print("ran")`, "nosuchuser")
	r.Ended(t, proto.Outcome_OUTCOME_NOT_STARTED)
	if !strings.Contains(r.Finish.GetMessage(), "There is no user nosuchuser") {
		t.Errorf("it says %q", r.Finish.GetMessage())
	}
	// The script of an agent that may read everything cannot have it read for it.
	r = h.runAs(t, p, m, `
import os
box = os.environ["CRONIUM_DIR"]
os.link(box + "/input.json", box + "/output.json")
`, "nobody")
	r.Exited(t, 0)
	if r.Finish.GetOutput() != nil || !strings.Contains(r.Finish.GetMessage(), "is a link") {
		t.Errorf("what a link led to was read: %s, %q", r.Finish.GetOutput(), r.Finish.GetMessage())
	}
	eventually(t, "nothing is left of them", func() bool { return len(folders(t, m)) == 0 })
}

func TestAgentThatIsNotRootRunsAsItselfAlone(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("only root can run an agent as another user: run the tests as root")
	}
	h := newHub(t)
	h.registry = allOpen{h.store}
	p := h.process(t, "")
	m := newMachine(t)
	if said, err := m.join(p.server.URL, h.code(t).String()); err != nil {
		t.Fatalf("join: %v: %s", err, said)
	}
	m.server = h.serverOf(t, m)
	const nobody = 65534
	for _, path := range []string{m.state, stateFile(m, "identity.json")} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	m.as = &syscall.Credential{Uid: nobody, Gid: nobody}
	m.start()
	p.waitFor(t, m.server)
	h.runAs(t, p, m, `print("ran")`, "nobody").Exited(t, 0)
	r := h.runAs(t, p, m, `print("ran")`, "root")
	r.Ended(t, proto.Outcome_OUTCOME_NOT_STARTED)
	if !strings.Contains(r.Finish.GetMessage(), "can run nothing as root") || r.Sink.Stdout() != "" {
		t.Errorf("it says %q and %q", r.Finish.GetMessage(), r.Sink.Stdout())
	}
}
