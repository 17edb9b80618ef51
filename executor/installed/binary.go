package installed

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
)

// Path is where agents dial in.
const Path = tunnel.Path

// NewCode makes a code to join with, and the hash by which it is known.
func (b *Backend) NewCode() (code string, hash []byte) {
	c := tunnel.NewCode(b.config.Key.Public().(ed25519.PublicKey))
	return c.String(), c.Hash()
}

// Binary is an agent's program, as machines get it.
type Binary struct {
	File   string
	SHA256 string // hex
}

// binaries are the digests of the agents' programs, each read once.
type binaries struct {
	mu    sync.Mutex
	known map[string]Binary
}

// Binary gives the agent for an architecture as Go names it. It fails with
// cronium.ErrNotFound when this server has none.
func (b *Backend) Binary(arch string) (Binary, error) {
	b.binaries.mu.Lock()
	defer b.binaries.mu.Unlock()
	if known, ok := b.binaries.known[arch]; ok {
		return known, nil
	}
	path, ok := b.config.Binaries[arch]
	if !ok {
		return Binary{}, cronium.ErrNotFound
	}
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return Binary{}, cronium.ErrNotFound
	}
	if err != nil {
		return Binary{}, fmt.Errorf("read the agent for %s: %w", arch, err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return Binary{}, fmt.Errorf("read the agent for %s: %w", arch, err)
	}
	binary := Binary{File: path, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if b.binaries.known == nil {
		b.binaries.known = map[string]Binary{}
	}
	b.binaries.known[arch] = binary
	return binary, nil
}
