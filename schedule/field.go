package schedule

import (
	"math/bits"
	"strconv"
	"strings"
)

// set holds small numbers, 0 to 63.
type set uint64

func (s set) has(n int) bool { return s&(1<<n) != 0 }

// next is the least number of the set from n on; false where there is none.
func (s set) next(n int) (int, bool) {
	if n > 63 {
		return 0, false
	}
	rest := uint64(s) >> n << n
	if rest == 0 {
		return 0, false
	}
	return bits.TrailingZeros64(rest), true
}

func (s set) size() int { return bits.OnesCount64(uint64(s)) }

// list gives the numbers in order.
func (s set) list() []int {
	var all []int
	for n, ok := s.next(0); ok; n, ok = s.next(n + 1) {
		all = append(all, n)
	}
	return all
}

func span(from, to int) set {
	var s set
	for n := from; n <= to; n++ {
		s |= 1 << n
	}
	return s
}

// field is one of an expression's fields: what it may hold.
type field struct {
	name  string
	low   int
	high  int
	names []string // of its values from low on
	unit  string   // for @every, where a step is longer than the field
}

var (
	secondField = field{name: "second", low: 0, high: 59, unit: "s"}
	minuteField = field{name: "minute", low: 0, high: 59, unit: "m"}
	hourField   = field{name: "hour", low: 0, high: 23, unit: "h"}
	dayField    = field{name: "day of the month", low: 1, high: 31, unit: "d"}
	monthField  = field{name: "month", low: 1, high: 12, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	weekField   = field{name: "day of the week", low: 0, high: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, unit: "d"}
)

func (f field) problem(text, reason string) *Problem {
	return problemf("expression", "The %s %q %s.", f.name, text, reason)
}

// value reads one number or name.
func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || strings.ContainsAny(text, "+-") {
		what := "is no number"
		if f.names != nil {
			what += " and no name like " + f.names[1]
		}
		return 0, f.problem(text, what)
	}
	if n < f.low || n > f.high {
		return 0, f.problem(text, "is not between "+strconv.Itoa(f.low)+" and "+strconv.Itoa(f.high))
	}
	return n, nil
}

// item reads "*", "7", "1-5", and each with a step like "*/15" or "5/10".
func (f field) item(text string) (set, error) {
	body, step, stepped := strings.Cut(text, "/")
	low, high := f.low, f.high
	if f.high == 7 {
		high = 6 // Sunday once
	}
	if body != "*" && body != "?" {
		first, last, ranged := strings.Cut(body, "-")
		var err error
		if low, err = f.value(first); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if high, err = f.value(last); err != nil {
				return 0, err
			}
			if f.high == 7 && high == 0 && low > 0 {
				high = 7 // a week may end on Sunday
			}
			if high < low {
				return 0, f.problem(text, "runs backwards. Write two ranges, like "+f.twoRanges(low, high))
			}
		case !stepped:
			high = low
		}
	}
	by := 1
	if stepped {
		n, err := strconv.Atoi(step)
		if err != nil || n < 1 || strings.ContainsAny(step, "+-") {
			return 0, f.problem(text, "has a step that is no number above zero")
		}
		if by = n; by > f.high-f.low {
			hint := "is longer than the field, so it would not be kept"
			if f.unit != "" {
				hint += ". Write @every " + step + f.unit
			}
			return 0, f.problem(text, "has a step that "+hint)
		}
	}
	var s set
	for n := low; n <= high; n += by {
		s |= 1 << n
	}
	return s, nil
}

func (f field) twoRanges(low, high int) string {
	top := f.high
	if top == 7 {
		top = 6
	}
	return strconv.Itoa(low) + "-" + strconv.Itoa(top) + "," + strconv.Itoa(f.low) + "-" + strconv.Itoa(high)
}

// parse reads a list of items.
func (f field) parse(text string) (set, error) {
	var s set
	for _, item := range strings.Split(text, ",") {
		if item == "" {
			return 0, f.problem(text, "has an empty part")
		}
		part, err := f.item(item)
		if err != nil {
			return 0, err
		}
		s |= part
	}
	return s, nil
}
