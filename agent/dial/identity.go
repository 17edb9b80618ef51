package dial

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"cronium.dev/agent/tunnel"
)

// identityFile is the file's name in the state directory.
const identityFile = "identity.json"

// ErrNotJoined says that the state directory has no identity.
var ErrNotJoined = errors.New("this machine has not joined a server")

// Identity is who an agent is and whose. Its methods may be called concurrently.
type Identity struct {
	dir string

	mu   sync.Mutex
	file identity
}

// identity is the file. Keys are seeds or public keys, in base64.
type identity struct {
	URL    string `json:"url"`
	Server []byte `json:"server_key"`
	Target string `json:"target"`
	Name   string `json:"name"`
	Key    []byte `json:"key"`
	Next   []byte `json:"next_key,omitempty"` // made by RenewKey, not used yet
}

// Load reads the identity of a state directory. It fails with ErrNotJoined when
// there is none, and refuses one that others may read.
func Load(dir string) (*Identity, error) {
	path := filepath.Join(dir, identityFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s; run cronium-agent join", ErrNotJoined, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read identity: others may read %s; make it private: chmod 600 %s", path, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	i := &Identity{dir: dir}
	if err := json.Unmarshal(raw, &i.file); err != nil {
		return nil, fmt.Errorf("read identity: %s is damaged: %w", path, err)
	}
	if err := i.file.check(); err != nil {
		return nil, fmt.Errorf("read identity: %s is damaged: %w", path, err)
	}
	return i, nil
}

func (f *identity) check() error {
	if _, err := tunnel.CheckURL(f.URL); err != nil {
		return err
	}
	if len(f.Server) != ed25519.PublicKeySize || len(f.Key) != ed25519.SeedSize || f.Target == "" || len(f.Next) != 0 && len(f.Next) != ed25519.SeedSize {
		return errors.New("a key is not whole")
	}
	return nil
}

// save replaces the file in one step. i.mu is held.
func (i *Identity) save() error {
	raw, err := json.MarshalIndent(i.file, "", "  ")
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	file, err := os.CreateTemp(i.dir, identityFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(append(raw, '\n'))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	if err := os.Rename(file.Name(), filepath.Join(i.dir, identityFile)); err != nil {
		return fmt.Errorf("write identity: %w", err)
	}
	return nil
}

// URL is the server's address.
func (i *Identity) URL() string { return i.file.URL }

// Target is what manifests for this agent name: the server's id.
func (i *Identity) Target() string { return i.file.Target }

// Name is what the server called this machine when it joined.
func (i *Identity) Name() string { return i.file.Name }

// ServerKey is the key that all the server sends is signed with.
func (i *Identity) ServerKey() ed25519.PublicKey { return i.file.Server }

// keys are those that the server may know, the likeliest first. An agent beside
// this one may have changed them, as one that drains has beside it.
func (i *Identity) keys() []ed25519.PrivateKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now, err := Load(i.dir); err == nil && now.file.Target == i.file.Target {
		i.file.Key, i.file.Next = now.file.Key, now.file.Next
	}
	keys := []ed25519.PrivateKey{ed25519.NewKeyFromSeed(i.file.Key)}
	if len(i.file.Next) > 0 {
		keys = append([]ed25519.PrivateKey{ed25519.NewKeyFromSeed(i.file.Next)}, keys...)
	}
	return keys
}

// admitted notes that the server has let the agent in with the key. It is the
// only one from then on.
func (i *Identity) admitted(key ed25519.PrivateKey) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.file.Next) == 0 || !ed25519.NewKeyFromSeed(i.file.Next).Equal(key) {
		return nil
	}
	i.file.Key, i.file.Next = i.file.Next, nil
	return i.save()
}

// Renew makes the next key, which counts from the next connection on, and has the
// present one vouch for it. Called again before that, it gives the same.
func (i *Identity) Renew() (public ed25519.PublicKey, signature []byte, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.file.Next) == 0 {
		i.file.Next = newSeed()
		if err := i.save(); err != nil {
			i.file.Next = nil
			return nil, nil, err
		}
	}
	public = ed25519.NewKeyFromSeed(i.file.Next).Public().(ed25519.PublicKey)
	return public, tunnel.SignNextKey(ed25519.NewKeyFromSeed(i.file.Key), i.file.Target, public), nil
}
