package secrets

import (
	"context"
	"fmt"

	"cronium.dev/cronium"
)

// rotationBatch is how many values a rotation reads at once.
const rotationBatch = 100

// Sealed is one stored value that an older data key seals.
type Sealed struct {
	WorkspaceID cronium.ID
	Purpose     string // PurposeCredential, PurposeVariable or PurposeTerminal(Part)
	ID          cronium.ID
	Part        int // of a recording; of a variable: the version that this was the value of, 0 the present one
	Key         int
	Data        []byte
}

// NewestDataKey is a workspace's newest data key.
type NewestDataKey struct {
	WorkspaceID cronium.ID
	Version     int
	Older       int // how many older ones there are still
}

// Vault stores what a Rotation works on.
type Vault interface {
	Keys
	// SetMasterKey says which master key wraps new data keys from now on.
	SetMasterKey(ctx context.Context, fingerprint string) error
	// NewestDataKeys gives the newest data key of each workspace that has one.
	NewestDataKeys(ctx context.Context) ([]NewestDataKey, error)
	// WrappedByOthers gives data keys that another master key wraps, at most limit.
	WrappedByOthers(ctx context.Context, fingerprint string, limit int) ([]DataKey, error)
	// Rewrap replaces a data key's wrapping, if it is still as old says.
	Rewrap(ctx context.Context, old, rewrapped DataKey) error
	// SealedByOlder gives values that another than their workspace's newest key seals, at most limit.
	SealedByOlder(ctx context.Context, limit int) ([]Sealed, error)
	// Reseal replaces a sealed value, if it is still as old says.
	Reseal(ctx context.Context, old Sealed, key int, data []byte) error
	// DropDataKeys removes data keys that are not the newest and seal nothing.
	DropDataKeys(ctx context.Context) error
}

// Rotation replaces keys while servers go on. Each step is one transaction, and
// what an interrupted one left is taken up by the next. One may run at a time.
type Rotation struct {
	box    *Box
	vault  Vault
	report func(format string, args ...any)
}

// NewRotation makes a Rotation that tells by report what it has done.
func NewRotation(vault Vault, master *Master, report func(format string, args ...any)) *Rotation {
	return &Rotation{box: NewBox(vault, master), vault: vault, report: report}
}

// DataKeys gives each workspace a new data key, seals all values with it and
// removes the older ones. A workspace that has older ones still, because that
// was interrupted, is finished and gets no further one.
func (r *Rotation) DataKeys(ctx context.Context) error {
	newest, err := r.vault.NewestDataKeys(ctx)
	if err != nil {
		return err
	}
	made := 0
	for _, key := range newest {
		if key.Older > 0 {
			r.report("Workspace %s: an earlier rotation is finished.", key.WorkspaceID)
			continue
		}
		if err := r.box.add(ctx, key.WorkspaceID, key.Version+1); err != nil {
			return err
		}
		made++
	}
	r.report("%d new data keys.", made)
	return r.reseal(ctx)
}

func (r *Rotation) reseal(ctx context.Context) error {
	for count := 0; ; {
		values, err := r.vault.SealedByOlder(ctx, rotationBatch)
		if err != nil {
			return err
		}
		if len(values) == 0 {
			r.report("%d values sealed anew.", count)
			return r.vault.DropDataKeys(ctx)
		}
		for _, v := range values {
			if err := r.resealOne(ctx, v); err != nil {
				return err
			}
		}
		count += len(values)
	}
}

func (r *Rotation) resealOne(ctx context.Context, v Sealed) error {
	plain, err := r.box.Open(ctx, v.WorkspaceID, v.Purpose, v.ID, v.Key, v.Data)
	if err != nil {
		return err
	}
	defer Wipe(plain)
	key, sealed, err := r.box.Seal(ctx, v.WorkspaceID, v.Purpose, v.ID, plain)
	if err != nil {
		return err
	}
	return r.vault.Reseal(ctx, v, key, sealed)
}

// Master makes a new master key, wraps all data keys with it, and removes the
// older ones from the file. The file has both before the new one is used, so
// that running servers find it there.
func (r *Rotation) Master(ctx context.Context) error {
	master := r.box.master
	current, err := r.vault.MasterKey(ctx)
	if err != nil {
		return err
	}
	next := master.Newest()
	if next == current {
		others, err := r.vault.WrappedByOthers(ctx, current, 1)
		if err != nil {
			return err
		}
		if len(others) == 0 && master.count() == 1 { // else an earlier rotation is to be finished
			if next, err = master.add(); err != nil {
				return err
			}
		}
	}
	if err := r.vault.SetMasterKey(ctx, next); err != nil {
		return err
	}
	if err := r.rewrap(ctx, next); err != nil {
		return err
	}
	if err := master.retire(next); err != nil {
		return err
	}
	r.report("The master key is %s, in %s.", next, master.Where())
	return nil
}

func (r *Rotation) rewrap(ctx context.Context, master string) error {
	for count := 0; ; {
		keys, err := r.vault.WrappedByOthers(ctx, master, rotationBatch)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			r.report("%d data keys wrapped anew.", count)
			return nil
		}
		for _, old := range keys {
			data, err := r.box.unwrap(&old)
			if err != nil {
				return err
			}
			rewrapped := old
			rewrapped.Master = master
			rewrapped.Wrapped, err = r.box.master.wrap(master, data, old.place())
			Wipe(data)
			if err != nil {
				return fmt.Errorf("wrap data key %d: %w", old.Version, err)
			}
			if err := r.vault.Rewrap(ctx, old, rewrapped); err != nil {
				return err
			}
		}
		count += len(keys)
	}
}
