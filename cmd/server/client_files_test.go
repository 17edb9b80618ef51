package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAWorkspaceGoesIntoFilesAndBack(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.signIn()
	s.event("Nightly: backup", "echo one\necho two\n", nil)
	dir := filepath.Join(s.home, "files")
	s.must("export", dir)
	script, err := os.ReadFile(filepath.Join(dir, "events", "nightly-backup", "script.sh"))
	if err != nil || string(script) != "echo one\necho two\n" {
		t.Fatalf("%q, %v: want the script as a file of its own", script, err)
	}
	if out := s.must("apply", "-f", dir, "--dry-run"); !strings.Contains(out, "0 added, 0 changed, 0 taken out, 1 the same") {
		t.Errorf("what was just exported would change something: %s", out)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("events/nightly-backup/script.sh", "echo three\n")
	write("more.yaml", "kind: variable\nkey: cursor\nvalue: 7\n---\nkind: variable\nkey: PASSWORD\nsecret: true\nvalue_env: APPLY_PASSWORD\n")
	if _, said, code := s.run("apply", "-f", dir); code == 0 || !strings.Contains(said, "more.yaml:5: value_env: the environment variable APPLY_PASSWORD is not set") {
		t.Errorf("without the secret: %d, %s", code, said)
	}
	apply := s.command("apply", "-f", dir)
	apply.Env = append(apply.Env, "APPLY_PASSWORD=correct horse")
	if out, err := apply.CombinedOutput(); err != nil || !strings.Contains(string(out), "~ event Nightly: backup") ||
		!strings.Contains(string(out), "+ variable cursor") || !strings.Contains(string(out), "2 added, 1 changed") {
		t.Errorf("%v, %s", err, out)
	}
	events, err := os.ReadFile(filepath.Join(dir, "more.yaml"))
	if err != nil || strings.Contains(string(events), "correct horse") {
		t.Error("a secret stands in a file")
	}
	write("more.yaml", "kind: event\nname: Wrong\ntype: BASH\ncontent:\n  limits:\n    timeout_seconds: 0\n")
	if _, said, code := s.run("apply", "-f", dir); code == 0 || !strings.Contains(said, "more.yaml:1: event Wrong: content.limits.timeout_seconds must be between") {
		t.Errorf("with a wrong document: %d, %s", code, said)
	}
	write("more.yaml", "kind: event\nname: Escape\ntype: BASH\ncontent:\n  files:\n    - name: a.sh\n      from: ../../../etc/passwd\n")
	if _, said, code := s.run("apply", "-f", dir); code == 0 || !strings.Contains(said, "more.yaml:1: the file a.sh") {
		t.Errorf("with a file from outside: %d, %s", code, said)
	}
}
