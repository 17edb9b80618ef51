package secrets

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cronium.dev/cronium"
)

const (
	// MasterFile is the master key's file in the data folder: a key a line, in
	// base64, the newest first. More than one are there while they are replaced.
	MasterFile = "master.key"
	// MasterVariable may hold the key instead, or several with commas between,
	// the newest first.
	MasterVariable = "CRONIUM_MASTER_KEY"
)

// Master wraps data keys. Its methods may be called concurrently.
type Master struct {
	path string // "" = the keys are the environment's

	mu   sync.Mutex
	keys []masterKey // the newest first
}

type masterKey struct {
	fingerprint string
	key         []byte
}

// LoadMaster gives the keys of the environment or, without any there, of the
// file in dir, which it makes on the first start.
func LoadMaster(dir string) (*Master, error) {
	if text := os.Getenv(MasterVariable); text != "" {
		keys, err := parseKeys(strings.Split(text, ","))
		if err != nil {
			return nil, cronium.Errorf(cronium.CodeInvalid, "%s must be %d random bytes in base64, as openssl rand -base64 %d prints them: %v", MasterVariable, keySize, keySize, err)
		}
		return &Master{keys: keys}, nil
	}
	m := &Master{path: filepath.Join(dir, MasterFile)}
	err := m.load()
	if errors.Is(err, fs.ErrNotExist) {
		// Of two processes that start at the same time one makes the file.
		if err = writeKeys(m.path, []masterKey{newKey()}, os.Link); err == nil || errors.Is(err, fs.ErrExist) {
			err = m.load()
		}
	}
	return m, err
}

// Newest is the fingerprint of the newest key.
func (m *Master) Newest() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[0].fingerprint
}

func (m *Master) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.keys)
}

// Where names where the keys are, for a person.
func (m *Master) Where() string {
	if m.path == "" {
		return "$" + MasterVariable
	}
	return m.path
}

// Has tells whether there is a key with the fingerprint.
func (m *Master) Has(fingerprint string) bool {
	_, err := m.find(fingerprint)
	return err == nil
}

// find gives the key of a fingerprint. One that is unknown may have been added
// to the file since.
func (m *Master) find(fingerprint string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range 2 {
		for _, k := range m.keys {
			if k.fingerprint == fingerprint {
				return k.key, nil
			}
		}
		if m.path == "" {
			break
		}
		if err := m.load(); err != nil {
			return nil, err
		}
	}
	return nil, cronium.Errorf(cronium.CodeUnavailable,
		"The master key %s is not in %s, so nothing that it protects can be read. Put it there, from a backup or from another server of this database.", fingerprint, m.Where())
}

// wrap encrypts a data key under the master key with the fingerprint.
func (m *Master) wrap(fingerprint string, plain, bound []byte) ([]byte, error) {
	key, err := m.find(fingerprint)
	if err != nil {
		return nil, err
	}
	return seal(key, plain, bound)
}

// unwrap decrypts a data key that is wrapped by the key with the fingerprint.
func (m *Master) unwrap(fingerprint string, wrapped, bound []byte) ([]byte, error) {
	key, err := m.find(fingerprint)
	if err != nil {
		return nil, err
	}
	return open(key, wrapped, bound)
}

// add puts a new key into the file, before the others, and gives its
// fingerprint. Keys of the environment are the operator's to change.
func (m *Master) add() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.path == "" {
		return "", cronium.Errorf(cronium.CodeInvalid,
			"The master key is in %s. Put a new one before it, with a comma between, restart all servers with that, and call this again.", m.Where())
	}
	if err := m.load(); err != nil {
		return "", err
	}
	keys := append([]masterKey{newKey()}, m.keys...)
	if err := writeKeys(m.path, keys, os.Rename); err != nil {
		return "", err
	}
	m.keys = keys
	return keys[0].fingerprint, nil
}

// retire takes all keys but one out of the file. With keys of the environment it
// does nothing.
func (m *Master) retire(keep string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.path == "" {
		return nil
	}
	keys := slices.DeleteFunc(slices.Clone(m.keys), func(k masterKey) bool { return k.fingerprint != keep })
	if len(keys) == 0 || len(keys) == len(m.keys) {
		return nil
	}
	if err := writeKeys(m.path, keys, os.Rename); err != nil {
		return err
	}
	m.keys = keys
	return nil
}

// load reads the file anew.
func (m *Master) load() error {
	info, err := os.Stat(m.path)
	if err != nil {
		return fmt.Errorf("read the master key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return cronium.Errorf(cronium.CodeInvalid, "%s can be read by others. Make it private: chmod 600 %s", m.path, m.path)
	}
	text, err := os.ReadFile(m.path)
	if err != nil {
		return fmt.Errorf("read the master key: %w", err)
	}
	defer Wipe(text)
	keys, err := parseKeys(strings.Fields(string(text)))
	if err != nil {
		return cronium.Errorf(cronium.CodeInvalid, "%s is damaged: %v. Restore it from a backup.", m.path, err)
	}
	m.keys = keys
	return nil
}

func parseKeys(lines []string) ([]masterKey, error) {
	var keys []masterKey
	for i, line := range lines {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("key %d is not %d bytes in base64", i+1, keySize)
		}
		keys = append(keys, masterKey{fingerprint(key), key})
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key")
	}
	return keys, nil
}

func newKey() masterKey {
	key := make([]byte, keySize)
	rand.Read(key)
	return masterKey{fingerprint(key), key}
}

// fingerprint names a key without telling anything of it.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(append([]byte("cronium master key\n"), key...))
	return hex.EncodeToString(sum[:8])
}

// writeKeys writes the file as a whole; place is os.Link, which never replaces
// one, or os.Rename.
func writeKeys(path string, keys []masterKey, place func(from, to string) error) error {
	var text []byte
	for _, k := range keys {
		text = append(base64.StdEncoding.AppendEncode(text, k.key), '\n')
	}
	defer Wipe(text)
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, MasterFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("make the master key: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the master key: %w", err)
	}
	if err := place(file.Name(), path); err != nil {
		return fmt.Errorf("store the master key: %w", err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("store the master key: %w", err)
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fmt.Errorf("store the master key: %w", err)
	}
	return nil
}
