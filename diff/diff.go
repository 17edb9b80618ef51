// Package diff compares two texts line by line, for the history of events.
//
// Lines finds the shortest way from one text to the other (Myers, "An O(ND)
// difference algorithm", 1986). Texts that differ in more than some hundreds of
// lines are compared less exactly, so that time and memory stay bounded; the
// operations always lead from a to b.
package diff

import "strings"

// Kind says what an Op does.
type Kind int

// The kinds.
const (
	Equal Kind = iota
	Delete
	Insert
)

// Op is one line of a comparison.
type Op struct {
	Kind Kind
	A, B int    // line numbers in the texts, from 1; 0 where the line is not in it
	Text string // with its line feed, if it has one
}

// maxEdits bounds the search; its memory is about four bytes times its square.
const maxEdits = 1000

// Lines compares a with b.
func Lines(a, b string) []Op {
	x, y := split(a), split(b)
	before := 0
	for before < len(x) && before < len(y) && x[before] == y[before] {
		before++
	}
	after := 0
	for after < len(x)-before && after < len(y)-before && x[len(x)-1-after] == y[len(y)-1-after] {
		after++
	}
	ops := make([]Op, 0, len(x)+len(y)-before-after)
	for i := range before {
		ops = append(ops, Op{Equal, i + 1, i + 1, x[i]})
	}
	ops = append(ops, middle(x[before:len(x)-after], y[before:len(y)-after], before)...)
	for i := range after {
		i, j := len(x)-after+i, len(y)-after+i
		ops = append(ops, Op{Equal, i + 1, j + 1, x[i]})
	}
	return ops
}

// Changed counts the lines that were deleted and inserted.
func Changed(ops []Op) (deleted, inserted int) {
	for _, op := range ops {
		switch op.Kind {
		case Delete:
			deleted++
		case Insert:
			inserted++
		}
	}
	return deleted, inserted
}

// Near keeps the changes and at most around equal lines on each side of them.
// An Op without text and line numbers stands for what was left out.
func Near(ops []Op, around int) []Op {
	keep := make([]bool, len(ops))
	for i, op := range ops {
		if op.Kind == Equal {
			continue
		}
		for j := max(i-around, 0); j <= min(i+around, len(ops)-1); j++ {
			keep[j] = true
		}
	}
	var near []Op
	for i, op := range ops {
		switch {
		case keep[i]:
			near = append(near, op)
		case i == 0 || keep[i-1]:
			near = append(near, Op{})
		}
	}
	return near
}

func split(text string) []string {
	if text == "" {
		return nil
	}
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// middle compares what lies between equal beginnings and ends; skipped lines
// come before it in both texts.
func middle(x, y []string, skipped int) []Op {
	trace, edits := search(x, y)
	if edits < 0 {
		return replace(x, y, skipped)
	}
	// Walk back from the end, then turn around.
	var back []Op
	i, j := len(x), len(y)
	for d := edits; d > 0; d-- {
		previous := trace[d-1]
		k := i - j
		down := k == -d || k != d && reach(previous, k-1, d-1) < reach(previous, k+1, d-1)
		if down {
			k++
		} else {
			k--
		}
		startI := reach(previous, k, d-1)
		startJ := startI - k
		for i > startI && j > startJ && (down && j-1 > startJ || !down && i-1 > startI) {
			i, j = i-1, j-1
			back = append(back, Op{Equal, skipped + i + 1, skipped + j + 1, x[i]})
		}
		if down {
			j--
			back = append(back, Op{Insert, 0, skipped + j + 1, y[j]})
		} else {
			i--
			back = append(back, Op{Delete, skipped + i + 1, 0, x[i]})
		}
	}
	for i > 0 && j > 0 {
		i, j = i-1, j-1
		back = append(back, Op{Equal, skipped + i + 1, skipped + j + 1, x[i]})
	}
	for l, r := 0, len(back)-1; l < r; l, r = l+1, r-1 {
		back[l], back[r] = back[r], back[l]
	}
	return back
}

// reach is how far in x the diagonal k was followed with d edits; diagonals
// have the parity of d.
func reach(row []int32, k, d int) int {
	if k < -d || k > d {
		return -1
	}
	return int(row[(k+d)/2])
}

// search finds the number of edits and, for each smaller number, how far each
// diagonal is reached with it. It gives up beyond maxEdits with -1.
func search(x, y []string) (trace [][]int32, edits int) {
	for d := 0; d <= min(len(x)+len(y), maxEdits); d++ {
		row := make([]int32, d+1)
		for k := -d; k <= d; k += 2 {
			i := 0
			if d > 0 {
				previous := trace[d-1]
				right, down := reach(previous, k-1, d-1)+1, reach(previous, k+1, d-1)
				i = right
				if k == -d || k != d && right-1 < down {
					i = down
				}
			}
			j := i - k
			for i >= 0 && j >= 0 && i < len(x) && j < len(y) && x[i] == y[j] {
				i, j = i+1, j+1
			}
			row[(k+d)/2] = int32(i)
			if i >= len(x) && j >= len(y) {
				return trace, d
			}
		}
		trace = append(trace, row)
	}
	return nil, -1
}

// replace takes all of x out and puts all of y in.
func replace(x, y []string, skipped int) []Op {
	ops := make([]Op, 0, len(x)+len(y))
	for i, text := range x {
		ops = append(ops, Op{Delete, skipped + i + 1, 0, text})
	}
	for j, text := range y {
		ops = append(ops, Op{Insert, 0, skipped + j + 1, text})
	}
	return ops
}
