package manifest_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

var (
	now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
)

func public() ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func valid() *agentproto.Manifest {
	return &agentproto.Manifest{
		ExecutionId:   "01890a5d-ac96-774b-bcce-b302099a8057",
		Target:        "here",
		ExpiresUnixMs: now.Add(time.Minute).UnixMilli(),
		Command:       []string{"python3", "{entry}"},
		Files:         []*agentproto.File{file("main.py")},
		Entry:         "main.py",
	}
}

func file(name string) *agentproto.File {
	return &agentproto.File{Name: name, Sha256: strings.Repeat("0", 64), Mode: 0o644}
}

func TestWhatWasSignedIsVerified(t *testing.T) {
	t.Parallel()
	m := valid()
	signed, err := manifest.Sign(key, m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := manifest.Verify(public(), signed, "here", now)
	if err != nil || !proto.Equal(got, m) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestWhatIsWrongIsRefused(t *testing.T) {
	t.Parallel()
	sign := func() *agentproto.SignedManifest {
		signed, err := manifest.Sign(key, valid())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize)))
	altered := sign()
	altered.Manifest[5] ^= 1
	bare := sign()
	bare.Signature = ed25519.Sign(key, bare.Manifest) // without the domain
	cases := map[string]struct {
		public ed25519.PublicKey
		signed *agentproto.SignedManifest
		target string
		at     time.Time
		want   error
	}{
		"no signature":       {public(), &agentproto.SignedManifest{Manifest: sign().Manifest}, "here", now, manifest.ErrSignature},
		"nothing":            {public(), nil, "here", now, manifest.ErrSignature},
		"another key":        {other.Public().(ed25519.PublicKey), sign(), "here", now, manifest.ErrSignature},
		"no key":             {nil, sign(), "here", now, manifest.ErrSignature},
		"altered":            {public(), altered, "here", now, manifest.ErrSignature},
		"signed for another": {public(), bare, "here", now, manifest.ErrSignature},
		"another target":     {public(), sign(), "there", now, manifest.ErrTarget},
		"expired":            {public(), sign(), "here", now.Add(time.Minute), manifest.ErrExpired},
	}
	for name, c := range cases {
		if _, err := manifest.Verify(c.public, c.signed, c.target, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestManifestsThatAreNotWellFormedAreNeitherSignedNorOpened(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*agentproto.Manifest){
		"no id":               func(m *agentproto.Manifest) { m.ExecutionId = "" },
		"id is a path":        func(m *agentproto.Manifest) { m.ExecutionId = "../../../../../../../../../../tmp/xxx" },
		"id in upper case":    func(m *agentproto.Manifest) { m.ExecutionId = strings.ToUpper(m.ExecutionId) },
		"no command":          func(m *agentproto.Manifest) { m.Command = nil },
		"empty program":       func(m *agentproto.Manifest) { m.Command = []string{""} },
		"NUL in the command":  func(m *agentproto.Manifest) { m.Command = []string{"a\x00b"} },
		"= in a variable":     func(m *agentproto.Manifest) { m.Environment = map[string]string{"A=B": "c"} },
		"NUL in a value":      func(m *agentproto.Manifest) { m.Environment = map[string]string{"A": "\x00"} },
		"entry is missing":    func(m *agentproto.Manifest) { m.Entry = "other.py" },
		"negative limit":      func(m *agentproto.Manifest) { m.Limits = &agentproto.Limits{RunMs: -1} },
		"digest is a path":    func(m *agentproto.Manifest) { m.Files[0].Sha256 = "../" + strings.Repeat("0", 61) },
		"negative size":       func(m *agentproto.Manifest) { m.Files[0].Size = -1 },
		"too large together":  func(m *agentproto.Manifest) { m.Files[0].Size = 1<<30 + 1 },
		"too many files":      func(m *agentproto.Manifest) { m.Files = make([]*agentproto.File, 1001) },
		"same name":           func(m *agentproto.Manifest) { m.Files = append(m.Files, file("main.py")) },
		"same but for case":   func(m *agentproto.Manifest) { m.Files = append(m.Files, file("Main.PY")) },
		"directory in a file": func(m *agentproto.Manifest) { m.Files = append(m.Files, file("main.py/x")) },
		"file over directory": func(m *agentproto.Manifest) { m.Files = append(m.Files, file("a/b"), file("A")) },
	}
	for name, spoil := range cases {
		m := valid()
		spoil(m)
		if _, err := manifest.Sign(key, m); !errors.Is(err, manifest.ErrForm) {
			t.Errorf("%s: signed with %v", name, err)
		}
		if _, err := manifest.Open(public(), signAnyway(t, m)); !errors.Is(err, manifest.ErrForm) {
			t.Errorf("%s: opened with %v", name, err)
		}
	}
}

// signAnyway is a server with a fault.
func signAnyway(t *testing.T, m *agentproto.Manifest) *agentproto.SignedManifest {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &agentproto.SignedManifest{
		Manifest:  raw,
		Signature: ed25519.Sign(key, append([]byte("cronium manifest v1\n"), raw...)),
	}
}

func TestFileNamesStayBelowTheirDirectory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//x", "a//b", "a/", "./a", "a/./b",
		"a\x00b", "a\nb", "\xff", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x",
	} {
		if manifest.CheckName(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"a", ".hidden", "a/b/c.py", "ünïcode", "with space", "..x", "x..", "-rf", strings.Repeat("x", 255)} {
		if err := manifest.CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
