package manifest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	agentproto "cronium.dev/agent/proto"
)

// grantDomain keeps a signature made for something else from being one of a
// grant.
const grantDomain = "cronium grant v1\n"

// What a grant may be for.
const (
	ActionShell      = "shell"       // subject: the session's id
	ActionFilesRead  = "files.read"  // subject: the path
	ActionFilesWrite = "files.write" // subject: the path
	ActionUpdate     = "update"      // subject: hex SHA-256 of the binary
)

// ErrGrant says that a grant is for something else than what is asked.
var ErrGrant = errors.New("the grant is for something else")

// SignGrant signs that one thing may be done on one target until a time.
func SignGrant(key ed25519.PrivateKey, target, action, subject string, expires time.Time) (*agentproto.SignedGrant, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(&agentproto.Grant{
		Target: target, Action: action, Subject: []byte(subject), ExpiresUnixMs: expires.UnixMilli(),
	})
	if err != nil {
		return nil, fmt.Errorf("serialize grant: %w", err)
	}
	return &agentproto.SignedGrant{Grant: raw, Signature: ed25519.Sign(key, append([]byte(grantDomain), raw...))}, nil
}

// VerifyGrant tells whether the grant is signed, for exactly this, and still
// valid. Errors wrap ErrSignature, ErrForm, ErrTarget, ErrGrant or ErrExpired.
func VerifyGrant(public ed25519.PublicKey, signed *agentproto.SignedGrant, target, action, subject string, now time.Time) error {
	if len(public) != ed25519.PublicKeySize ||
		!ed25519.Verify(public, append([]byte(grantDomain), signed.GetGrant()...), signed.GetSignature()) {
		return ErrSignature
	}
	g := &agentproto.Grant{}
	if err := proto.Unmarshal(signed.GetGrant(), g); err != nil {
		return fmt.Errorf("%w: %v", ErrForm, err)
	}
	if g.GetTarget() != target {
		return fmt.Errorf("%w: it names %q and this is %q", ErrTarget, g.GetTarget(), target)
	}
	if g.GetAction() != action || string(g.GetSubject()) != subject {
		return fmt.Errorf("%w: it allows %s of %q, not %s of %q", ErrGrant, g.GetAction(), g.GetSubject(), action, subject)
	}
	if expires := time.UnixMilli(g.GetExpiresUnixMs()); !now.Before(expires) {
		return fmt.Errorf("%w: it was valid until %s and this machine's clock says %s", ErrExpired,
			expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}
