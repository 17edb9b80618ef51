// Package manifest signs and verifies what an agent is asked to run. Server and
// agent both use it, so that there is one idea of what a valid manifest is.
//
// A manifest travels as the exact bytes that were signed. The receiver checks
// the signature over those bytes before it parses them, then their form (names
// that cannot leave the work directory, identifiers that can be file names),
// then whom it is for and until when.
//
//	signed, err := manifest.Sign(key, m)                 // server
//	m, err := manifest.Verify(public, signed, target, now) // agent
package manifest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	agentproto "cronium.dev/agent/proto"
)

// domain keeps a signature made for something else from being one of a manifest.
const domain = "cronium manifest v1\n"

// Reasons to refuse a manifest; errors of this package wrap one of them.
var (
	ErrSignature = errors.New("the manifest is not signed by this agent's server")
	ErrForm      = errors.New("the manifest is not well formed")
	ErrTarget    = errors.New("the manifest is for another target")
	ErrExpired   = errors.New("the manifest has expired")
)

// Sign serializes the manifest once and signs the bytes. A manifest that an
// agent would refuse for its form is refused here already.
func Sign(key ed25519.PrivateKey, m *agentproto.Manifest) (*agentproto.SignedManifest, error) {
	if err := checkForm(m); err != nil {
		return nil, err
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("serialize manifest: %w", err)
	}
	return &agentproto.SignedManifest{Manifest: raw, Signature: ed25519.Sign(key, signedBytes(raw))}, nil
}

// Verify is Open and Check in one.
func Verify(public ed25519.PublicKey, signed *agentproto.SignedManifest, target string, now time.Time) (*agentproto.Manifest, error) {
	m, err := Open(public, signed)
	if err != nil {
		return nil, err
	}
	if err := Check(m, target, now); err != nil {
		return nil, err
	}
	return m, nil
}

// Open checks the signature and the form. What it returns may be meant for
// another target or be out of date: see Check. An agent asks in between whether
// it knows the execution already, since a repeated Start may come late.
func Open(public ed25519.PublicKey, signed *agentproto.SignedManifest) (*agentproto.Manifest, error) {
	if len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: the agent has no usable public key", ErrSignature)
	}
	if !ed25519.Verify(public, signedBytes(signed.GetManifest()), signed.GetSignature()) {
		return nil, ErrSignature
	}
	m := &agentproto.Manifest{}
	if err := proto.Unmarshal(signed.GetManifest(), m); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrForm, err)
	}
	if err := checkForm(m); err != nil {
		return nil, err
	}
	return m, nil
}

// Check tells whether the manifest is for this target and still valid.
func Check(m *agentproto.Manifest, target string, now time.Time) error {
	if m.GetTarget() != target {
		return fmt.Errorf("%w: it names %q and this is %q", ErrTarget, m.GetTarget(), target)
	}
	expires := time.UnixMilli(m.GetExpiresUnixMs())
	if !now.Before(expires) {
		return fmt.Errorf("%w: it was valid until %s and this machine's clock says %s", ErrExpired,
			expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

func signedBytes(raw []byte) []byte {
	return append([]byte(domain), raw...)
}
