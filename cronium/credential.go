package cronium

import (
	"encoding/json"
	"time"
)

// CredentialKind says what a credential is.
type CredentialKind string

// The kinds.
const (
	CredentialPassword CredentialKind = "password"
	CredentialKey      CredentialKind = "key" // a private key, perhaps with a passphrase
)

// Credential is what a server is signed in to with, as it is stored.
type Credential struct {
	ID          ID
	WorkspaceID ID
	Kind        CredentialKind
	DataKey     int    // version of the workspace's key that seals it
	Sealed      []byte // a SignIn
	Hint        string // what may be shown: a public key's type and fingerprint
	UpdatedAt   time.Time
}

// SignIn is the plain content of a credential. It is kept as short as possible,
// wiped after use, and prints nothing of itself.
type SignIn struct {
	Password   []byte `json:"password,omitempty"`
	PrivateKey []byte `json:"private_key,omitempty"` // PEM
	Passphrase []byte `json:"passphrase,omitempty"`
}

// Kind is the kind of a credential with this content.
func (s *SignIn) Kind() CredentialKind {
	if len(s.PrivateKey) > 0 {
		return CredentialKey
	}
	return CredentialPassword
}

// Encode is the form in which it is sealed. The caller wipes it.
func (s *SignIn) Encode() ([]byte, error) {
	type plain SignIn
	return json.Marshal((*plain)(s))
}

// DecodeSignIn reads what Encode gave.
func DecodeSignIn(encoded []byte) (*SignIn, error) {
	type plain SignIn
	var p plain
	if err := json.Unmarshal(encoded, &p); err != nil {
		return nil, Errorf(CodeInternal, "The credential is damaged. Enter it again.")
	}
	return (*SignIn)(&p), nil
}

// Wipe overwrites the content.
func (s *SignIn) Wipe() {
	clear(s.Password)
	clear(s.PrivateKey)
	clear(s.Passphrase)
}

// String keeps the content out of whatever prints the value.
func (s SignIn) String() string { return "[secret]" }

// GoString does so for %#v.
func (s SignIn) GoString() string { return "[secret]" }

// MarshalJSON does so for logs and answers: Encode is the way to store it.
func (s SignIn) MarshalJSON() ([]byte, error) { return []byte(`"[secret]"`), nil }
