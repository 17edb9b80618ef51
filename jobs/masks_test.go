package jobs

import (
	"encoding/json"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// secret makes a secret that all events may use, or those given.
func (s *site) secret(key, value string, events ...cronium.ID) *cronium.WorkspaceVariable {
	s.Helper()
	quoted, err := json.Marshal(value)
	if err != nil {
		s.Fatal(err)
	}
	v := &cronium.WorkspaceVariable{ID: cronium.NewID(), WorkspaceID: s.workspace, Key: key, Type: cronium.VariableString, Secret: true,
		Size: len(quoted), AllEvents: len(events) == 0, UpdatedBy: "ann"}
	if v.DataKey, v.Sealed, err = s.box.Seal(s.Context(), s.workspace, secrets.PurposeVariable, v.ID, quoted); err != nil {
		s.Fatal(err)
	}
	if err := s.store.CreateVariable(s.Context(), v, events); err != nil {
		s.Fatal(err)
	}
	return v
}

// A script that prints a secret in pieces, in other forms, to both streams, in
// its output and as its error shows nothing of it.
func TestSecretsAreMaskedInAllThatARunGivesOut(t *testing.T) {
	t.Parallel()
	s := newSite(t).withSecrets()
	event := s.event(cronium.EventPython, `
import base64, json, sys, time, cronium
secret = "tall-" + "giraffe-77"
print("whole", secret)
print("base64", base64.b64encode(secret.encode()).decode())
for part in secret:
    sys.stdout.write(part)
    sys.stdout.flush()
    sys.stderr.write(".")
    sys.stderr.flush()
    time.sleep(0.03)
print()
cronium.output({"token": secret, "list": [secret + "!"]})
print("end", secret[:-1], end="")
`, nil)
	s.secret("TOKEN", "tall-giraffe-77", event)
	p := s.start(0)
	job := s.run(p, event, "")
	row := s.final(job.ID)
	if row.Result != cronium.ResultSuccess {
		t.Fatalf("%+v", row.Job)
	}
	out := s.output(s.executions(job.ID)[0].ID)
	stars := strings.Repeat("*", len("tall-giraffe-77"))
	for _, want := range []string{"whole " + stars + "\n", "end " + stars[1:]} {
		if !strings.Contains(out, want) {
			t.Errorf("the output has no %q:\n%s", want, out)
		}
	}
	for _, piece := range []string{"tall", "giraffe", "all-g", "dGFsbC1naXJhZmZlLTc3"} {
		if strings.Contains(strings.ReplaceAll(out, ".", ""), piece) {
			t.Errorf("the output shows %q:\n%s", piece, out)
		}
	}
	if got, want := string(row.Output), `{"token": "`+stars+`", "list": ["`+stars+`!"]}`; got != want {
		t.Errorf("the output is %s, want %s", got, want)
	}
}

// Another server that takes a run over masks what was secret when the script
// read it, also when that has been replaced since.
func TestSecretsAreMaskedAfterAnotherServerTookOver(t *testing.T) {
	t.Parallel()
	s := newSite(t).withSecrets()
	event := s.event(cronium.EventBash, `s=tall-giraffe-77; echo ready; echo -n ta; while [ ! -e go ]; do sleep 0.1; [ $((i+=1)) -lt 30 ] || touch go; done; echo ll-giraffe-77; echo $s; printf %s $s | base64`, nil)
	v := s.secret("TOKEN", "tall-giraffe-77", event)
	p := s.start(0)
	job := s.run(p, event, "")
	s.printed(job.ID, "ready")
	if err := s.store.DeleteVariable(t.Context(), s.workspace, v.ID); err != nil {
		t.Fatal(err)
	}
	p.crash()
	s.start(0)
	if row := s.final(job.ID); row.Result != cronium.ResultSuccess {
		t.Fatalf("%+v", row.Job)
	}
	stars := strings.Repeat("*", 15)
	if got, want := s.output(s.executions(job.ID)[0].ID), "ready\n"+stars+"\n"+stars+"\n"+strings.Repeat("*", 20)+"\n"; got != want {
		t.Errorf("the output is %q, want %q", got, want)
	}
}

// What only looks like the beginning of a secret is shown after a moment, and at
// the end all of it is there.
func TestWhatIsHeldBackIsShownAfterAMoment(t *testing.T) {
	t.Parallel()
	s := newSite(t).withSecrets()
	event := s.event(cronium.EventBash, `printf 'Name: t'; sleep 600`, nil)
	s.secret("TOKEN", "tall-giraffe-77")
	p := s.start(0)
	job := s.run(p, event, "")
	s.eventually(job.ID, "all of the prompt", func(*store.JobRow) bool {
		executions := s.executions(job.ID)
		return len(executions) == 1 && s.output(executions[0].ID) == "Name: t"
	})
	if err := p.Cancel(t.Context(), s.workspace, job.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	s.final(job.ID)
}

// Keys are replaced while a secret is there: it opens with the new one.
func TestARotationSealsSecretsAnew(t *testing.T) {
	t.Parallel()
	s := newSite(t).withSecrets()
	kept, gone := s.secret("KEPT", "kept-value"), s.secret("GONE", "gone-value")
	if err := s.store.DeleteVariable(t.Context(), s.workspace, gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := secrets.NewRotation(s.store, s.master, t.Logf).DataKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := s.store.Variable(t.Context(), s.workspace, kept.ID)
	if err != nil || v.DataKey != 2 {
		t.Fatalf("sealed by key %d, %v", v.DataKey, err)
	}
	mask, err := newMasks(Config{Store: s.store, Box: s.box}).get(t.Context(), s.workspace, cronium.NewID(), &v.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	if got := mask.Text("kept-value gone-value"); got != "********** **********" {
		t.Errorf("%q", got)
	}
}

// What is held back is not lost with what ran the script.
func TestWhatIsHeldBackIsKeptWhereTheEndIsLost(t *testing.T) {
	t.Parallel()
	s := newSite(t).withSecrets()
	event := s.event(cronium.EventBash, `printf 'x tall-gi'; sleep 600`, nil)
	s.secret("TOKEN", "tall-giraffe-77")
	p := s.start(0)
	job := s.run(p, event, "")
	s.eventually(job.ID, "the beginning", func(*store.JobRow) bool {
		executions := s.executions(job.ID)
		return len(executions) == 1 && strings.HasPrefix(s.output(executions[0].ID), "x ")
	})
	place, err := p.backend.Find(t.Context(), s.executions(job.ID)[0].TargetRef)
	if err != nil {
		t.Fatal(err)
	}
	if err := place.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.final(job.ID)
	if e := s.executions(job.ID)[0]; e.Status != cronium.ExecutionLost || s.output(e.ID) != "x *******" {
		t.Errorf("it is %s and printed %q", e.Status, s.output(e.ID))
	}
}
