package store

import (
	"slices"
	"testing"

	"cronium.dev/cronium"
)

func TestMigrationsAreAppliedInOrderAndNoneIsMissed(t *testing.T) {
	t.Parallel()
	names := []string{"0003_c.sql", "0001_a.sql", "0004_d.sql", "0002_b.sql"}
	for _, c := range []struct {
		applied []int
		want    []string
	}{
		{nil, []string{"0001_a.sql", "0002_b.sql", "0003_c.sql", "0004_d.sql"}},
		{[]int{1, 2, 4}, []string{"0003_c.sql"}}, // written after the fourth
		{[]int{1, 2, 3, 4}, nil},
	} {
		if got, err := pending(names, c.applied); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("with %v: %v, %v, want %v", c.applied, got, err, c.want)
		}
	}
	_, err := pending(names, []int{1, 2, 3, 4, 5})
	wantCode(t, err, cronium.CodeConflict, "migration 5", "newer Cronium")
}
