package diff_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cronium.dev/diff"
)

// apply plays the operations and checks that they fit both texts.
func apply(t interface{ Fatalf(string, ...any) }, ops []diff.Op, a, b string) {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	var from, to strings.Builder
	i, j := 0, 0
	for _, op := range ops {
		if op.Kind != diff.Insert {
			if i++; op.A != i || op.Text != x[i-1] {
				t.Fatalf("%+v at line %d of %q", op, i, a)
			}
			from.WriteString(op.Text)
		}
		if op.Kind != diff.Delete {
			if j++; op.B != j || op.Text != y[j-1] {
				t.Fatalf("%+v at line %d of %q", op, j, b)
			}
			to.WriteString(op.Text)
		}
	}
	if from.String() != a || to.String() != b {
		t.Fatalf("leads from %q to %q, want %q to %q", from.String(), to.String(), a, b)
	}
}

// common is the length of the longest common subsequence, by the book.
func common(a, b string) int {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	row := make([]int, len(y)+1)
	for i := range x {
		diagonal := 0
		for j := range y {
			keep := row[j+1]
			if x[i] == y[j] {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			diagonal = keep
		}
	}
	return row[len(y)]
}

func TestTheOperationsLeadFromOneTextToTheOtherAndAreTheFewest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n"}), 0, 14), func(l []string) string { return strings.Join(l, "") })
		a, b := text.Draw(r, "a"), text.Draw(r, "b")
		if rapid.Bool().Draw(r, "no line feed at the end") {
			a += "end"
		}
		ops := diff.Lines(a, b)
		apply(r, ops, a, b)
		equal := 0
		for _, op := range ops {
			if op.Kind == diff.Equal {
				equal++
			}
		}
		// An empty last element of SplitAfter is common to texts that end with a line feed.
		want := common(a, b)
		if strings.HasSuffix(a+"\n", "\n\n") || a == "" {
			if strings.HasSuffix(b+"\n", "\n\n") || b == "" {
				want--
			}
		}
		if equal < want {
			t.Fatalf("%q to %q: %d lines kept, want %d", a, b, equal, want)
		}
	})
}

func TestLargeAndStrangeTextsTakeBoundedTime(t *testing.T) {
	t.Parallel()
	var a, b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&a, "%d\n", i)
		fmt.Fprintf(&b, "%d\n", -i)
	}
	start := time.Now()
	apply(t, diff.Lines(a.String(), b.String()), a.String(), b.String())
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestNearLeavesOutWhatIsFarFromAChange(t *testing.T) {
	t.Parallel()
	a := "1\n2\n3\n4\n5\n6\n7\n8\n9\n"
	var got []string
	ops := diff.Near(diff.Lines(a, strings.Replace(a, "5", "five", 1)), 1)
	for _, op := range ops {
		got = append(got, strings.TrimSpace(op.Text))
	}
	if want := " 4 5 five 6 "; strings.Join(got, " ") != want {
		t.Errorf("%q", got)
	}
	if deleted, inserted := diff.Changed(ops); deleted != 1 || inserted != 1 {
		t.Errorf("%d deleted, %d inserted", deleted, inserted)
	}
}
