package ssh_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"testing"

	cryptossh "golang.org/x/crypto/ssh"

	"cronium.dev/cronium"
)

func is(err, target error) bool { return errors.Is(err, target) }

func as[T error](err error, target *T) bool { return errors.As(err, target) }

// encrypted is a private key with a passphrase.
func encrypted(t *testing.T, key []byte, passphrase string) []byte {
	t.Helper()
	raw, err := cryptossh.ParseRawPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := cryptossh.MarshalPrivateKeyWithPassphrase(raw, "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

// otherKey is a host key that no host has.
func otherKey(t *testing.T) []byte {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := cryptossh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return key.Marshal()
}

// offer is the key that a server was said to show instead of the pinned one.
func (d *directory) offer(server cronium.ID) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.offered[server]
}

// publicKey is the line of a .pub file in SSH's wire format.
func publicKey(t *testing.T, line string) []byte {
	t.Helper()
	key, _, _, _, err := cryptossh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return key.Marshal()
}
