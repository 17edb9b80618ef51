package store

import (
	"context"
	"errors"
	"testing"

	"cronium.dev/cronium"
)

func TestCallsInOneTransactionAreStoredTogetherOrNotAtAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	author := Author{ID: cronium.NewID(), Name: "ann"}
	wrong := errors.New("the second cannot be")
	make := func(name string, last error) (*cronium.Event, error) {
		e := &cronium.Event{Name: name, Type: cronium.EventBash, Status: cronium.EventActive}
		return e, f.InOne(f.ctx, f.workspace, func(ctx context.Context) error {
			if err := f.CreateEvent(ctx, f.workspace, e, cronium.NewContent(e.Type), "", author); err != nil {
				return err
			}
			if _, err := f.UpdateEvent(ctx, f.workspace, e.ID, name+" 2", ""); err != nil {
				return err // it does not see the first
			}
			return last
		})
	}
	if e, err := make("Half", wrong); !errors.Is(err, wrong) {
		t.Fatal(err)
	} else if _, err := f.Event(f.ctx, f.workspace, e.ID); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("after an error: %v, want that nothing was stored", err)
	}
	if e, err := make("Whole", nil); err != nil {
		t.Fatal(err)
	} else if stored, err := f.Event(f.ctx, f.workspace, e.ID); err != nil || stored.Name != "Whole 2" {
		t.Errorf("%+v, %v: want both changes", stored, err)
	}
	err := f.InOne(f.ctx, f.workspace, func(ctx context.Context) error {
		_, err := f.Event(ctx, cronium.NewID(), f.event)
		return err
	})
	if err == nil || cronium.CodeOf(err) == cronium.CodeNotFound {
		t.Errorf("another workspace in the same transaction: %v, want it to be refused", err)
	}
}
