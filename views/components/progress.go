package components

import (
	"strconv"
	"strings"
)

// Part is how many of a whole are in one state.
type Part struct {
	Class string // is-success, is-failure, is-warning, is-running, is-waiting
	Count int
	Word  string // "succeeded": written behind the count
}

// ProgressText is parts in words: "31 succeeded, 2 failed, 11 waiting". Parts
// of which there are none are left out; without any it is "none".
func ProgressText(parts []Part) string {
	var words []string
	for _, p := range parts {
		if p.Count > 0 {
			words = append(words, Number(p.Count)+" "+p.Word)
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// stretch is a part as a piece of a bar of 1,000 units.
type stretch struct {
	class    string
	x, width string
}

// leastStretch is the least that a part takes, so that one of a thousand is
// seen.
const leastStretch = 6.0

// stretches are the parts one after another. What is waiting or has no count is
// the rest of the bar and not drawn.
func stretches(parts []Part) (list []stretch) {
	whole, drawn := 0, 0
	for _, p := range parts {
		whole += p.Count
		if p.Count > 0 {
			drawn++
		}
	}
	unit := (1000 - leastStretch*float64(drawn)) / float64(max(whole, 1))
	x := 0.0
	for _, p := range parts {
		if p.Count == 0 {
			continue
		}
		width := leastStretch + unit*float64(p.Count)
		if p.Class != "is-waiting" {
			list = append(list, stretch{p.Class, decimal(x), decimal(width)})
		}
		x += width
	}
	return list
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
