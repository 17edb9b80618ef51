package manifest_test

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"cronium.dev/agent/manifest"
	agentproto "cronium.dev/agent/proto"
)

func TestAGrantAllowsExactlyWhatItNames(t *testing.T) {
	t.Parallel()
	public, key, _ := ed25519.GenerateKey(nil)
	_, other, _ := ed25519.GenerateKey(nil)
	now := time.Unix(1_800_000_000, 0)
	sign := func(key ed25519.PrivateKey, target, action, subject string) *agentproto.SignedGrant {
		g, err := manifest.SignGrant(key, target, action, subject, now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	altered := sign(key, "web-1", manifest.ActionShell, "s")
	altered.Grant = append(altered.Grant, 0x2a, 0x00)
	// The same bytes signed as a manifest would be are no grant.
	crossed := sign(key, "web-1", manifest.ActionShell, "s")
	crossed.Signature = ed25519.Sign(key, append([]byte("cronium manifest v1\n"), crossed.Grant...))

	for name, c := range map[string]struct {
		grant *agentproto.SignedGrant
		at    time.Time
		want  error
	}{
		"good":             {sign(key, "web-1", manifest.ActionShell, "s"), now, nil},
		"absent":           {nil, now, manifest.ErrSignature},
		"another's key":    {sign(other, "web-1", manifest.ActionShell, "s"), now, manifest.ErrSignature},
		"altered":          {altered, now, manifest.ErrSignature},
		"made for another": {crossed, now, manifest.ErrSignature},
		"another target":   {sign(key, "web-2", manifest.ActionShell, "s"), now, manifest.ErrTarget},
		"another action":   {sign(key, "web-1", manifest.ActionFilesRead, "s"), now, manifest.ErrGrant},
		"another subject":  {sign(key, "web-1", manifest.ActionShell, "t"), now, manifest.ErrGrant},
		"expired":          {sign(key, "web-1", manifest.ActionShell, "s"), now.Add(time.Minute), manifest.ErrExpired},
	} {
		if err := manifest.VerifyGrant(public, c.grant, "web-1", manifest.ActionShell, "s", c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
