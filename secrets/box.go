package secrets

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"cronium.dev/cronium"
)

// PurposeCredential is the purpose of a server's password or private key.
const PurposeCredential = "credential"

// PurposeVariable is the purpose of a secret variable's value.
const PurposeVariable = "variable"

// PurposeWebhook is the purpose of a webhook's secret.
const PurposeWebhook = "webhook"

// PurposeTerminal is the purpose of one part of a terminal's recording.
func PurposeTerminal(part int) string { return fmt.Sprintf("terminal/%d", part) }

// DataKey is a workspace's key as it is stored.
type DataKey struct {
	WorkspaceID cronium.ID
	Version     int    // from 1
	Wrapped     []byte // by the master key
	Master      string // that key's fingerprint
}

// Keys stores data keys.
type Keys interface {
	// MasterKey is the fingerprint of the master key that wraps new data keys.
	MasterKey(ctx context.Context) (string, error)
	// DataKey is a workspace's key of the version, 0 the newest. It fails with
	// cronium.ErrNotFound.
	DataKey(ctx context.Context, workspace cronium.ID, version int) (*DataKey, error)
	// AddDataKey stores a key. It tells false when there is one of that version,
	// or the key is wrapped by another master key than MasterKey's.
	AddDataKey(ctx context.Context, key DataKey) (bool, error)
}

// Box seals and opens for all workspaces. Its methods may be called
// concurrently. It keeps no plain data key.
type Box struct {
	keys   Keys
	master *Master
}

// NewBox makes a Box.
func NewBox(keys Keys, master *Master) *Box {
	return &Box{keys: keys, master: master}
}

// Seal encrypts plain with the workspace's newest data key, which is made when
// there is none, and gives the key's version. The result opens with the same
// workspace, purpose and id alone.
func (b *Box) Seal(ctx context.Context, workspace cronium.ID, purpose string, id cronium.ID, plain []byte) (key int, sealed []byte, err error) {
	stored, err := b.newest(ctx, workspace)
	if err != nil {
		return 0, nil, fmt.Errorf("seal a %s: %w", purpose, err)
	}
	data, err := b.unwrap(stored)
	if err != nil {
		return 0, nil, err
	}
	defer Wipe(data)
	if sealed, err = seal(data, plain, place(workspace, purpose, id)); err != nil {
		return 0, nil, fmt.Errorf("seal a %s: %w", purpose, err)
	}
	return stored.Version, sealed, nil
}

// Open decrypts what Seal gave. The caller wipes the result after use.
func (b *Box) Open(ctx context.Context, workspace cronium.ID, purpose string, id cronium.ID, key int, sealed []byte) ([]byte, error) {
	stored, err := b.keys.DataKey(ctx, workspace, key)
	if err != nil {
		return nil, fmt.Errorf("read data key %d: %w", key, err)
	}
	data, err := b.unwrap(stored)
	if err != nil {
		return nil, err
	}
	defer Wipe(data)
	plain, err := open(data, sealed, place(workspace, purpose, id))
	if err != nil {
		return nil, fmt.Errorf("open %s %s: %w", purpose, id, err)
	}
	return plain, nil
}

// Item is one sealed value.
type Item struct {
	ID     cronium.ID
	Key    int
	Sealed []byte
}

// OpenAll decrypts values of one purpose. One that does not open is nil, and the
// error, which names it, says why.
func (b *Box) OpenAll(ctx context.Context, workspace cronium.ID, purpose string, items []Item) ([][]byte, error) {
	plain, keys := make([][]byte, len(items)), map[int][]byte{}
	defer func() {
		for _, key := range keys {
			Wipe(key)
		}
	}()
	var failed error
	for i, item := range items {
		if keys[item.Key] == nil {
			stored, err := b.keys.DataKey(ctx, workspace, item.Key)
			if err != nil {
				return nil, fmt.Errorf("read data key %d: %w", item.Key, err)
			}
			if keys[item.Key], err = b.unwrap(stored); err != nil {
				failed = errors.Join(failed, err)
				continue
			}
		}
		var err error
		if plain[i], err = open(keys[item.Key], item.Sealed, place(workspace, purpose, item.ID)); err != nil {
			failed = errors.Join(failed, fmt.Errorf("open %s %s: %w", purpose, item.ID, err))
		}
	}
	return plain, failed
}

// newest gives the workspace's newest data key and makes the first one.
func (b *Box) newest(ctx context.Context, workspace cronium.ID) (*DataKey, error) {
	stored, err := b.keys.DataKey(ctx, workspace, 0)
	if !errors.Is(err, cronium.ErrNotFound) {
		return stored, err
	}
	if err := b.add(ctx, workspace, 1); err != nil {
		return nil, err
	}
	return b.keys.DataKey(ctx, workspace, 0)
}

// add makes a workspace's data key of the version, or finds it made by another
// process meanwhile.
func (b *Box) add(ctx context.Context, workspace cronium.ID, version int) error {
	data := make([]byte, keySize)
	rand.Read(data)
	defer Wipe(data)
	key := DataKey{WorkspaceID: workspace, Version: version}
	for {
		master, err := b.keys.MasterKey(ctx)
		if err != nil {
			return err
		}
		key.Master = master
		if key.Wrapped, err = b.master.wrap(master, data, key.place()); err != nil {
			return err
		}
		added, err := b.keys.AddDataKey(ctx, key)
		if err != nil || added {
			return err
		}
		if _, err := b.keys.DataKey(ctx, workspace, version); !errors.Is(err, cronium.ErrNotFound) {
			return err
		}
		// The master key was replaced between the two.
	}
}

func (b *Box) unwrap(key *DataKey) ([]byte, error) {
	data, err := b.master.unwrap(key.Master, key.Wrapped, key.place())
	if err != nil {
		return nil, fmt.Errorf("open data key %d of workspace %s: %w", key.Version, key.WorkspaceID, err)
	}
	return data, nil
}

// place is what a wrapped data key is bound to.
func (k *DataKey) place() []byte {
	return fmt.Appendf(nil, "data key/%s/%d", k.WorkspaceID, k.Version)
}

// place is what a sealed value is bound to.
func place(workspace cronium.ID, purpose string, id cronium.ID) []byte {
	return fmt.Appendf(nil, "%s/%s/%s", purpose, workspace, id)
}
