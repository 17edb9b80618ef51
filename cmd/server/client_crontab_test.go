package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestACrontabIsImportedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.signIn()
	text := "MAILTO=ops\n# Nightly backup\n30 2 * * * /usr/local/bin/backup --all\n@reboot /opt/start\n"
	file := filepath.Join(t.TempDir(), "crontab")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, said, code := s.run("import", "crontab", file, "--dry-run", "--zone", "Europe/Berlin")
	if code != 0 || !strings.Contains(out, "Nightly backup  At 02:30, every day, Europe/Berlin") || !strings.Contains(said, "1 of 2 events can be made") || !strings.Contains(said, "MAILTO") {
		t.Fatalf("exit code %d\n%s\n%s", code, out, said)
	}
	if events := s.must("events"); strings.Contains(events, "Nightly") {
		t.Errorf("a dry run has made an event:\n%s", events)
	}
	c := s.command("import", "crontab")
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "1 of 2 events made") {
		t.Fatalf("%v\n%s", err, out)
	}
	if events := s.must("events"); !strings.Contains(events, "Nightly backup") {
		t.Errorf("no event was made:\n%s", events)
	}
	if _, said, code := s.run("import", "crontab", file, "--zone", "Nowhere"); code == 0 || !strings.Contains(said, "There is no time zone") {
		t.Errorf("exit code %d, %s", code, said)
	}
}
