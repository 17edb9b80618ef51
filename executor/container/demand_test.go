package container

import (
	"testing"
	"time"
)

func TestDemandFollowsBurstsAndDecays(t *testing.T) {
	t.Parallel()
	var d demand
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	if n := d.wanted(now); n != 0 {
		t.Errorf("never used: %d containers, want 0", n)
	}
	for range 8 { // one run at a time, however many, needs one
		now = now.Add(10 * time.Second)
		d.note(now)
	}
	if n := d.wanted(now); n != 1 {
		t.Errorf("single runs: %d containers, want 1", n)
	}
	now = now.Add(burstWindow)
	for range 6 {
		now = now.Add(100 * time.Millisecond)
		d.note(now)
	}
	if n := d.wanted(now); n != 6 {
		t.Errorf("six runs together: %d containers, want 6", n)
	}
	if n := d.wanted(now.Add(demandHalf)); n != 3 {
		t.Errorf("after the half-life: %d containers, want 3", n)
	}
	if n := d.wanted(now.Add(keepOne)); n != 1 {
		t.Errorf("long after: %d containers, want 1", n)
	}
	if n := d.wanted(now.Add(keepOne + time.Second)); n != 0 {
		t.Errorf("not used any more: %d containers, want 0", n)
	}
}
