package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/store"
)

// keyFile holds the seed of the instance's Ed25519 key, which signs all that
// agents run.
const keyFile = "signing.key"

// signingKey reads the instance's key, or makes it on the first start, and
// makes sure that it is the one that this database has always been used with.
func signingKey(ctx context.Context, dir string, s *store.Store) (ed25519.PrivateKey, error) {
	path := filepath.Join(dir, keyFile)
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(dir, path)
	}
	if err != nil {
		return nil, err
	}
	public := base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	known := public
	if err := s.InitSetting(ctx, "signing_key", &known); err != nil {
		return nil, err
	}
	if known != public {
		return nil, cronium.Errorf(cronium.CodeConflict,
			"The key in %s is not the one that this database was used with. "+
				"Copy %s from the server that made the database; all servers of one database share it.", path, keyFile)
	}
	return key, nil
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, cronium.Errorf(cronium.CodeInvalid, "%s can be read by others. Make it private: chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, cronium.Errorf(cronium.CodeInvalid, "%s is damaged: it must be %d bytes in base64. Restore it from a backup.", path, ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// makeKey writes a new key. Of two processes that start at the same time one
// makes it; the link fails for the other, which reads that one's.
func makeKey(dir, path string) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	file, err := os.CreateTemp(dir, keyFile+".*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make the signing key: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = fmt.Fprintln(file, base64.StdEncoding.EncodeToString(seed))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, fmt.Errorf("write the signing key: %w", err)
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("store the signing key: %w", err)
	}
	return readKey(path)
}
