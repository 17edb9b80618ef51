package store

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"cronium.dev/cronium"
)

func (f *fixture) session(user cronium.ID, name string, epoch int) error {
	session := &cronium.Session{ID: cronium.NewID(), UserID: user, WorkspaceID: f.workspace}
	return f.BeginSession(f.ctx, session, []byte(name), epoch, time.Hour)
}

func TestNoSessionOutlivesTheEndOfAll(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ann := f.person(t, "ann", cronium.RoleUser)
	epoch := 0
	for round := range 10 {
		// Signing in has read the epoch, and takes its time meanwhile.
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if err := f.session(ann, strconv.Itoa(round)+"-"+strconv.Itoa(i), epoch); err != nil && code(err) != cronium.CodeNotFound {
					t.Error(err)
				}
			})
		}
		next, err := f.EndSessions(f.ctx, ann)
		if err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if left, err := f.Sessions(f.ctx, ann); err != nil || len(left) != 0 {
			t.Fatalf("%d sessions are left, %v", len(left), err)
		}
		epoch = next
	}
	if err := f.session(ann, "late", epoch-1); code(err) != cronium.CodeNotFound {
		t.Errorf("a session of an earlier epoch: %v", err)
	}
	if err := f.session(ann, "now", epoch); err != nil {
		t.Error(err)
	}
}

func TestASessionBeginsForMembersAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ann := f.person(t, "ann", cronium.RoleUser)
	f.exec(t, `DELETE FROM memberships WHERE user_id = $1`, ann)
	if err := f.session(ann, "s", 0); code(err) != cronium.CodeNotFound {
		t.Errorf("got %v", err)
	}
	if left, err := f.Sessions(f.ctx, ann); err != nil || len(left) != 0 {
		t.Errorf("%d sessions, %v", len(left), err)
	}
}

func TestSessionsThatEndedAreSwept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ann := f.person(t, "ann", cronium.RoleUser)
	for _, name := range []string{"idle", "over", "open"} {
		if err := f.session(ann, name, 0); err != nil {
			t.Fatal(err)
		}
	}
	f.exec(t, `UPDATE sessions SET used_at = now() - interval '8 days' WHERE hash = 'idle'`)
	f.exec(t, `UPDATE sessions SET ends_at = now() - interval '1 second' WHERE hash = 'over'`)
	if err := f.SweepSignIns(f.ctx); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := f.worker.QueryRow(f.ctx, `SELECT string_agg(convert_from(hash, 'UTF8'), ' ') FROM sessions`).Scan(&left); err != nil || left != "open" {
		t.Errorf("left are %q, %v", left, err)
	}
}
