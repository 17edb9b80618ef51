package store

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"cronium.dev/cronium"
)

// A job without its event would never reach a final state.
func TestAnEventIsNotRemovedWhileAJobOfItIsAccepted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "unused")
	removed := make(chan error, 1)
	job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: e.ID, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	_, err := f.Enqueue(f.ctx, job, nil, func(ctx context.Context, _ pgx.Tx) error {
		go func() { removed <- f.DeleteEvent(f.ctx, f.workspace, e.ID) }()
		for waits := false; !waits; {
			select {
			case err := <-removed:
				removed <- err
				return nil
			default:
			}
			if err := f.worker.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, <-removed, cronium.CodeConflict, "1 of the event's jobs")
}

func TestNoJobIsAcceptedForAnEventThatIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.create(t, "unused")
	if err := f.DeleteEvent(f.ctx, f.workspace, e.ID); err != nil {
		t.Fatal(err)
	}
	job := &cronium.Job{ID: cronium.NewID(), WorkspaceID: f.workspace, EventID: e.ID, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	_, err := f.Enqueue(f.ctx, job, nil, noQueue)
	wantCode(t, err, cronium.CodeNotFound)
}
