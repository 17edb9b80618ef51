package cronium_test

import (
	"testing"

	"cronium.dev/cronium"
)

func TestReleasesAreOrderedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"v1.4.0", "v1.4.1", true}, {"v1.9.0", "v1.10.0", true}, {"v1.9.9", "v2.0.0", true},
		{"v1.4.1", "v1.4.0", false}, {"v1.4.0", "v1.4.0", false},
		{"dev", "v1.4.0", false}, {"v1.4.0", "dev", false}, {"v1.4.0", "v1.4.1-3-gabc", false}, {"1.4.0", "v1.5.0", false}, {"v1.04.0", "v1.5.0", false}, {"", "", false},
	} {
		if got := cronium.OlderVersion(test.a, test.b); got != test.want {
			t.Errorf("is %q older than %q: %v", test.a, test.b, got)
		}
	}
}
