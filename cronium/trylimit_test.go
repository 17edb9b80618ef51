package cronium

import (
	"testing"
	"time"
)

func TestTryLimitWaits(t *testing.T) {
	t.Parallel()
	l := TryLimit{Free: 3, First: time.Second, Longest: 10 * time.Second}
	for made, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 10, 10} {
		if got := l.Wait(made); got != want*time.Second {
			t.Errorf("after %d tries: %s, want %s", made, got, want*time.Second)
		}
	}
	if got := l.Wait(1 << 40); got != l.Longest {
		t.Errorf("after very many: %s", got)
	}
}
