package output_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"cronium.dev/output"
)

// Every line of every server comes once, in the order of time, and those of one
// server in their own order.
func TestMergedLinesAreAllThereInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(r *rapid.T) {
		names := []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(r, "servers")]
		var sources []output.MergeSource
		want := map[string][]string{}
		for _, name := range names {
			chunks := drawChunks(r)
			sources = append(sources, output.MergeSource{Name: name, Execution: b.run(t, chunks, true)})
			for _, line := range model(chunks) {
				want[name] = append(want[name], line.Text)
			}
		}
		got := map[string][]string{}
		var last output.MergedLine
		err := output.Merge(context.Background(), b, sources, func(line output.MergedLine) (bool, error) {
			if line.At.Before(last.At) {
				r.Fatalf("a line of %s is before the one of %s", line.Server, last.Server)
			}
			last = line
			got[line.Server] = append(got[line.Server], line.Text)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !slices.Equal(got[name], want[name]) {
				r.Fatalf("%s: %q, want %q", name, strings.Join(got[name], "\n"), strings.Join(want[name], "\n"))
			}
		}
	})
}
