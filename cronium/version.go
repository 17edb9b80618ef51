package cronium

import (
	"strconv"
	"strings"
)

// OlderVersion tells whether one released version, like "v1.4.0", came before
// another. What is not a release is neither older nor newer than anything.
func OlderVersion(a, b string) bool {
	x, ok := release(a)
	y, too := release(b)
	if !ok || !too {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// release reads "v1.4.0"; builds between two releases ("v1.4.0-3-gabc") are none.
func release(version string) (numbers [3]int, ok bool) {
	text, ok := strings.CutPrefix(version, "v")
	parts := strings.Split(text, ".")
	if !ok || len(parts) != len(numbers) {
		return numbers, false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || strconv.Itoa(n) != part {
			return numbers, false
		}
		numbers[i] = n
	}
	return numbers, true
}
