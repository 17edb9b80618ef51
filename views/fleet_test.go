package views

import (
	"slices"
	"testing"

	"cronium.dev/cronium"
)

func TestWhatAllThatFailedHaveAndNoneThatSucceeded(t *testing.T) {
	t.Parallel()
	target := func(status cronium.TargetStatus, platform string, used int64) cronium.JobTarget {
		return cronium.JobTarget{Status: status, Host: &cronium.TargetHost{Platform: platform, Arch: "amd64", DiskTotal: 100, DiskUsed: used}}
	}
	for name, c := range map[string]struct {
		targets []cronium.JobTarget
		want    []string
	}{
		"platform and disk": {
			[]cronium.JobTarget{target(cronium.TargetFailure, "Debian 12", 95), target(cronium.TargetTimeout, "Debian 12", 90), target(cronium.TargetSuccess, "Debian 13", 10)},
			[]string{"All that failed run Debian 12; none that succeeded do.", "All that failed have a disk that is at least 90 % full; none that succeeded do."}},
		"one that succeeded has it too": {[]cronium.JobTarget{target(cronium.TargetFailure, "Debian 12", 1), target(cronium.TargetSuccess, "Debian 12", 1)}, nil},
		"not all that failed":           {[]cronium.JobTarget{target(cronium.TargetFailure, "a", 1), target(cronium.TargetFailure, "b", 1), target(cronium.TargetSuccess, "c", 1)}, nil},
		"none succeeded":                {[]cronium.JobTarget{target(cronium.TargetFailure, "a", 1)}, nil},
		"never begun, still running": {
			[]cronium.JobTarget{target(cronium.TargetFailure, "a", 1), target(cronium.TargetSuccess, "b", 1), {Status: cronium.TargetSkipped}, target(cronium.TargetRunning, "a", 1)},
			[]string{"All that failed run a; none that succeeded do."}},
	} {
		if got := FleetDifferences(c.targets); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
