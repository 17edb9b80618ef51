package agent_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

func TestOnlyWhatTheServerHasSignedForThisAgentRuns(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(*agentproto.Manifest)
		alter  func(*agentproto.SignedManifest)
		key    ed25519.PrivateKey
		code   codes.Code
	}{
		"not signed":         {alter: func(s *agentproto.SignedManifest) { s.Signature = nil }, code: codes.PermissionDenied},
		"signed by another":  {key: stranger, code: codes.PermissionDenied},
		"altered":            {alter: func(s *agentproto.SignedManifest) { s.Manifest[len(s.Manifest)-1] ^= 1 }, code: codes.PermissionDenied},
		"for another target": {change: func(m *agentproto.Manifest) { m.Target = "other" }, code: codes.PermissionDenied},
		"expired":            {change: func(m *agentproto.Manifest) { m.ExpiresUnixMs = time.Now().UnixMilli() - 1 }, code: codes.FailedPrecondition},
		"nothing at all":     {alter: func(s *agentproto.SignedManifest) { proto.Reset(s) }, code: codes.PermissionDenied},
	}
	for name, c := range cases {
		j := script("bash", "echo must not run")
		if c.change != nil {
			c.change(j.Manifest)
		}
		key := m.key
		if c.key != nil {
			key = c.key
		}
		signed, err := manifest.Sign(key, j.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		if c.alter != nil {
			c.alter(signed)
		}
		if _, err := send(t.Context(), client, signed, j.contents); status.Code(err) != c.code {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
		if m.state(client, j.ExecutionId) != nil {
			t.Errorf("%s: the execution exists", name)
		}
	}
}

func TestFileWithAnotherDigestIsRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	for name, content := range map[string]string{"same size": "echo evil", "shorter": "echo", "longer": "echo good; echo evil"} {
		j := script("bash", "echo good")
		digest := j.Files[0].GetSha256()
		j.contents[digest] = []byte(content)
		if _, err := m.startJob(client, j); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
		j.contents[digest] = []byte("echo good")
		if _, err := os.Stat(filepath.Join(m.path("spool"), "blobs", digest)); err == nil {
			t.Errorf("%s: the file is kept", name)
		}
		f := func() *follower { m.mustStart(client, j); return follow(t, client, j.ExecutionId, 0) }()
		f.end()
		f.wantExit(0)
		client.Forget(t.Context(), &agentproto.ForgetRequest{ExecutionId: j.ExecutionId})
		os.Remove(filepath.Join(m.path("spool"), "blobs", digest))
		m.kill()
		m.start()
		client = m.client()
	}
}

func TestFilesThatWereSentBeforeAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run(script("bash", "echo cached")).wantExit(0)
	j := script("bash", "echo cached")
	j.contents = nil // the server would send nothing, and the Start fail
	f := m.run(j)
	f.wantExit(0)
	if string(f.output) != "cached\n" {
		t.Errorf("output is %q", f.output)
	}
}

func TestFileThatAScriptChangedInTheCacheIsNotRun(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	j := script("bash", "echo original")
	m.run(j).wantExit(0)
	cached := filepath.Join(m.path("spool"), "blobs", j.Files[0].GetSha256())
	if err := os.WriteFile(cached, []byte("echo replaced"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := m.run(script("bash", "echo original"))
	wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_NOT_STARTED)
	f = m.run(script("bash", "echo original"))
	f.wantExit(0)
}

func TestSingleAgentRunsOneScript(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "--single")
	j := script("bash", "cat a b; pwd")
	j.add("a", "same\n")
	j.add("b", "same\n")
	f := m.run(j)
	f.wantExit(0)
	if want := "same\nsame\n" + m.path("work/run") + "\n"; string(f.output) != want {
		t.Errorf("output is %q, want %q", f.output, want)
	}
	client := m.client()
	for range 2 {
		if _, err := m.startJob(client, script("bash", "echo second")); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("second script: %v", err)
		}
		client.Forget(t.Context(), &agentproto.ForgetRequest{ExecutionId: j.ExecutionId})
	}
}

func TestScriptThatCannotBeStartedSaysWhy(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cases := map[string]struct {
		command []string
		want    string
	}{
		"no such interpreter":   {[]string{"python9", "{entry}"}, "There is no python9 here"},
		"no such program":       {[]string{"/nowhere/python3", "{entry}"}, "does not exist"},
		"not a program":         {[]string{"./program"}, "neither a program"},
		"not executable":        {[]string{"./main"}, "may not execute it"},
		"too large environment": {[]string{"bash", "{entry}"}, "larger than the system allows"},
	}
	for name, c := range cases {
		j := script("bash", "echo")
		j.Command = c.command
		j.add("program", "\x01\x02\x03")
		j.Files[1].Mode = 0o755
		if strings.HasPrefix(name, "too large") {
			j.Environment["LARGE"] = strings.Repeat("x", 1<<20)
		}
		f := m.run(j)
		wantOutcome(t, f.finish, agentproto.Outcome_OUTCOME_NOT_STARTED)
		if f.started || !strings.Contains(f.finish.GetMessage(), c.want) {
			t.Errorf("%s: started %v, message %q", name, f.started, f.finish.GetMessage())
		}
	}
}

func TestFilesThatDoNotArriveInTimeEndTheStart(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	client := m.client()
	j := script("bash", "echo")
	j.Limits.SetupMs = 100
	signed, err := manifest.Sign(m.key, j.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := client.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stream.Send(&agentproto.StartRequest{Part: &agentproto.StartRequest_Manifest{Manifest: signed}})
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	j.Limits.SetupMs = 0
	m.mustStart(client, j)
}
