package dial

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// pendingFile holds the seed of a key that has been made to join with.
const pendingFile = "joining.key"

// pendingKey is the key of a join that did not come to its end, or a new one.
func pendingKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, pendingFile)
	seed, err := os.ReadFile(path)
	if err == nil && len(seed) == ed25519.SeedSize {
		return seed, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the key to join with: %w", err)
	}
	seed = newSeed()
	if err := os.WriteFile(path+".new", seed, 0o600); err != nil {
		return nil, fmt.Errorf("keep the key to join with: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, fmt.Errorf("keep the key to join with: %w", err)
	}
	return seed, nil
}

func dropPending(dir string) error {
	if err := os.Remove(filepath.Join(dir, pendingFile)); err != nil {
		return fmt.Errorf("remove the key that was joined with: %w", err)
	}
	return nil
}
