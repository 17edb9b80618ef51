package jobs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// maxMasks is how many events' masks are kept, and maskIdle how long one that is
// not used: its secrets are in memory so long.
const (
	maxMasks = 64
	maskIdle = 10 * time.Minute
)

// masks makes the masks of runs. That of an event is made anew when its secrets
// have changed.
type masks struct {
	store *store.Store
	box   *secrets.Box
	none  *secrets.Mask

	mu      sync.Mutex
	byEvent map[cronium.ID]*keptMask
}

type keptMask struct {
	of   [sha256.Size]byte // which secrets it masks
	mask *secrets.Mask
	used time.Time
}

func newMasks(config Config) *masks {
	return &masks{store: config.Store, box: config.Box, none: secrets.NewMask(), byEvent: map[cronium.ID]*keptMask{}}
}

// get is the mask of an event's secrets as they are now; with since also of those
// that were replaced later than that. The error with a mask says which secrets
// could not be opened: a script cannot read them either.
func (m *masks) get(ctx context.Context, workspace, event cronium.ID, since *time.Time) (*secrets.Mask, error) {
	if m.box == nil {
		return m.none, nil
	}
	sealed, err := m.store.SecretsFor(ctx, workspace, event, since)
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 {
		return m.none, nil
	}
	of := digestOf(sealed)
	if mask := m.kept(event, of); mask != nil {
		return mask, nil
	}
	items := make([]secrets.Item, len(sealed))
	for i, s := range sealed {
		items[i] = secrets.Item{ID: s.ID, Key: s.DataKey, Sealed: s.Sealed}
	}
	values, err := m.box.OpenAll(ctx, workspace, secrets.PurposeVariable, items)
	if values == nil {
		return nil, err
	}
	plain := make([][]byte, len(values))
	for i, value := range values {
		plain[i] = secrets.Plain(value)
		secrets.Wipe(value)
	}
	mask := secrets.NewMask(plain...)
	if err == nil {
		m.keep(event, of, mask)
	}
	return mask, err
}

// digestOf tells sets of secrets apart.
func digestOf(sealed []store.SealedSecret) [sha256.Size]byte {
	names := make([]string, len(sealed))
	for i, s := range sealed {
		names[i] = fmt.Sprintf("%s %d\n", s.ID, s.Version)
	}
	slices.Sort(names)
	return sha256.Sum256(fmt.Append(nil, names))
}

func (m *masks) kept(event cronium.ID, of [sha256.Size]byte) *secrets.Mask {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.byEvent[event]
	if k == nil || k.of != of {
		return nil
	}
	k.used = time.Now()
	return k.mask
}

func (m *masks) keep(event cronium.ID, of [sha256.Size]byte, mask *secrets.Mask) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byEvent[event] = &keptMask{of: of, mask: mask, used: time.Now()}
	for len(m.byEvent) > maxMasks {
		var oldest cronium.ID
		var used time.Time
		for id, k := range m.byEvent {
			if used.IsZero() || k.used.Before(used) {
				oldest, used = id, k.used
			}
		}
		delete(m.byEvent, oldest)
	}
}

// tidy forgets masks that nothing has used for a while.
func (m *masks) tidy() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, k := range m.byEvent {
		if time.Since(k.used) > maskIdle {
			delete(m.byEvent, id)
		}
	}
}

// findSecrets finds what is to be masked in what the run gives out. Until then
// nothing of it is stored, and no call answered.
func (r *run) findSecrets(ctx context.Context) {
	var since *time.Time
	if r.adopted {
		begin := cronium.IDTime(r.execution.ID)
		since = &begin
	}
	_ = r.insist(ctx, func(ctx context.Context) error {
		mask, err := r.engine.masks.get(ctx, r.execution.WorkspaceID, r.job.EventID, since)
		if mask == nil {
			return err
		}
		if err != nil {
			r.log().Error("secrets cannot be opened, so they are not masked either", "error", err)
		}
		r.hide(mask)
		return nil
	})
}

// hide begins to mask what the run gives out.
func (r *run) hide(mask *secrets.Mask) {
	r.hidden = secrets.NewHidden(mask)
	close(r.hiding)
}

// secrets waits until it is known what is secret.
func (r *run) secrets(ctx context.Context) (*secrets.Hidden, error) {
	select {
	case <-r.hiding:
	case <-ctx.Done():
		select {
		case <-r.hiding: // what is known counts, also while this process stops
		default:
			return nil, context.Cause(ctx)
		}
	}
	return r.hidden, nil
}
