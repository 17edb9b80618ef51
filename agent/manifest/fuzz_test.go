package manifest_test

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

// FuzzOpen signs arbitrary bytes: whatever the server may be made to sign, what
// Open lets through stays in its directories.
func FuzzOpen(f *testing.F) {
	raw, err := proto.Marshal(valid())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := manifest.Open(public(), &agentproto.SignedManifest{Manifest: raw, Signature: raw}); err == nil {
			t.Fatal("bytes without a signature were opened")
		}
		signature := ed25519.Sign(key, append([]byte("cronium manifest v1\n"), raw...))
		m, err := manifest.Open(public(), &agentproto.SignedManifest{Manifest: raw, Signature: signature})
		if err != nil {
			return
		}
		if !filepath.IsLocal(m.GetExecutionId()) || filepath.Base(m.GetExecutionId()) != m.GetExecutionId() {
			t.Errorf("id %q is not one name", m.GetExecutionId())
		}
		for _, file := range m.GetFiles() {
			if !filepath.IsLocal(file.GetName()) || filepath.Base(file.GetSha256()) != file.GetSha256() {
				t.Errorf("file %q (%s) leaves its directory", file.GetName(), file.GetSha256())
			}
		}
	})
}

func FuzzCheckName(f *testing.F) {
	for _, name := range []string{"a/b", "../x", "a/../..", "\xff", "a//b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if manifest.CheckName(name) == nil && !filepath.IsLocal(name) {
			t.Errorf("%q leaves its directory", name)
		}
	})
}
