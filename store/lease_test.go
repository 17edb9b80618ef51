package store

import (
	"errors"
	"testing"

	"cronium.dev/cronium"
)

// Others remove what a process that they take for dead kept ready, so it may name
// none of that in a claim.
func TestAProcessWithoutALeaseClaimsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	server := f.servers(t, 1)[0]
	all, one := &cronium.Fleet{Servers: []cronium.ID{server}, Strategy: cronium.StrategyAll}, &cronium.Fleet{Servers: []cronium.ID{server}, Strategy: cronium.StrategyAny}
	onAll, onAny := f.resolve(t, all), f.resolve(t, one)
	job, placed := f.enqueue(t), f.enqueue(t)
	claim := Claim{JobID: placed.ID, ExecutionID: cronium.NewID(), Owner: f.process, Target: cronium.TargetContainer}
	if _, err := f.Claim(f.ctx, claim, false); err != nil {
		t.Fatal(err)
	}
	execution := claim.ExecutionID
	claims := func() []error {
		claim := Claim{JobID: job.ID, ExecutionID: cronium.NewID(), Owner: f.process, Target: cronium.TargetContainer, TargetRef: "c"}
		_, plain := f.Claim(f.ctx, claim, false)
		_, limited := f.Claim(f.ctx, claim, true)
		_, ofAll := f.attempt(onAll.ID, server, all)
		_, ofAny := f.attempt(onAny.ID, server, one)
		return []error{plain, limited, ofAll, ofAny}
	}
	if err := f.EndLease(f.ctx, f.process); err != nil {
		t.Fatal(err)
	}
	for i, err := range claims() {
		if !errors.Is(err, ErrNoLease) {
			t.Errorf("claim %d without a lease: %v", i, err)
		}
	}
	if err := f.SetPlace(f.ctx, execution, f.process, "", "c2"); !errors.Is(err, ErrNotOwner) {
		t.Errorf("a place was named without a lease: %v", err)
	}
	if err := f.RenewLease(f.ctx, Process{ID: f.process, Hostname: "h", PID: 1, Version: "v"}); !errors.Is(err, ErrNoLease) {
		t.Errorf("a lease that had ended was renewed: %v", err)
	}
	if err := f.RegainLease(f.ctx, f.process); err != nil {
		t.Fatal(err)
	}
	if err := f.SetPlace(f.ctx, execution, f.process, "", "c2"); err != nil {
		t.Error(err)
	}
	for i, err := range claims() {
		if want := i == 1; errors.Is(err, ErrNotQueued) != want || !want && err != nil {
			t.Errorf("claim %d with a lease again: %v", i, err)
		}
	}
}
