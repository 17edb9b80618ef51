package schedule

import (
	"strconv"
	"strings"
	"time"
)

// days says which days of a month match.
type days struct {
	month     set   // days of the month
	monthStar bool  // that field begins with "*"
	fromLast  []int // L, L-3: days before the last one
	nearest   []int // 15W: the weekday nearest to the day
	lastWork  bool  // LW: the last weekday

	week     set // days of the week, Sunday = 0
	weekStar bool
	nth      [7]set // 5#2: the second Friday
	lastWeek set    // 5L: the last Friday
}

func star(text string) bool { return strings.HasPrefix(text, "*") || strings.HasPrefix(text, "?") }

// readMonth reads the field of the days of the month.
func (d *days) readMonth(text string) error {
	d.monthStar = star(text)
	for _, item := range strings.Split(text, ",") {
		upper := strings.ToUpper(item)
		switch {
		case upper == "LW" || upper == "WL":
			d.lastWork = true
		case strings.HasPrefix(upper, "L"):
			n := 0
			if upper != "L" {
				var err error
				if n, err = strconv.Atoi(strings.TrimPrefix(upper, "L-")); err != nil || n < 1 || n > 30 {
					return dayField.problem(item, "is not understood. L is the last day, L-3 three days before it, LW the last weekday")
				}
			}
			d.fromLast = append(d.fromLast, n)
		case strings.HasSuffix(upper, "W"):
			n, err := dayField.value(strings.TrimSuffix(upper, "W"))
			if err != nil {
				return dayField.problem(item, "is not understood. 15W is the weekday nearest to the 15th")
			}
			d.nearest = append(d.nearest, n)
		default:
			part, err := dayField.parse(item)
			if err != nil {
				return err
			}
			d.month |= part
		}
	}
	return nil
}

// readWeek reads the field of the days of the week.
func (d *days) readWeek(text string) error {
	d.weekStar = star(text)
	for _, item := range strings.Split(text, ",") {
		upper := strings.ToUpper(item)
		day, number, numbered := strings.Cut(upper, "#")
		switch {
		case upper == "L":
			return weekField.problem(item, "does not say which day. 5L is the last Friday of the month")
		case numbered:
			w, err := weekField.value(day)
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > 5 {
				return weekField.problem(item, "needs a number from 1 to 5. 5#2 is the second Friday of the month")
			}
			d.nth[w%7] |= 1 << n
		case strings.HasSuffix(upper, "L"):
			w, err := weekField.value(strings.TrimSuffix(upper, "L"))
			if err != nil {
				return err
			}
			d.lastWeek |= 1 << (w % 7)
		default:
			part, err := weekField.parse(item)
			if err != nil {
				return err
			}
			d.week |= part
		}
	}
	if d.week.has(7) {
		d.week = d.week&^(1<<7) | 1
	}
	return nil
}

// match tells whether a day matches. As in cron, either field does where both are
// given, and both must where one of them begins with "*".
func (d *days) match(year int, month time.Month, day int, weekday int) bool {
	inMonth := d.inMonth(year, month, day, weekday)
	inWeek := d.inWeek(year, month, day, weekday)
	if d.monthStar || d.weekStar {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

func (d *days) inMonth(year int, month time.Month, day, weekday int) bool {
	if d.month.has(day) {
		return true
	}
	if d.fromLast == nil && d.nearest == nil && !d.lastWork {
		return false
	}
	last := lastDay(year, month)
	for _, n := range d.fromLast {
		if day == last-n {
			return true
		}
	}
	if weekday == 0 || weekday == 6 {
		return false
	}
	if d.lastWork && (day == last || weekday == 5 && day >= last-2) {
		return true
	}
	for _, n := range d.nearest {
		if n <= last && day == nearestWeekday(n, last, (weekday+n-day+35)%7) {
			return true
		}
	}
	return false
}

// nearestWeekday is the weekday nearest to a day, in the same month; on is the
// day's own day of the week.
func nearestWeekday(day, last, on int) int {
	switch {
	case on == 6 && day == 1:
		return 3
	case on == 6:
		return day - 1
	case on == 0 && day == last:
		return day - 2
	case on == 0:
		return day + 1
	}
	return day
}

func (d *days) inWeek(year int, month time.Month, day, weekday int) bool {
	return d.week.has(weekday) ||
		d.nth[weekday].has((day+6)/7) ||
		d.lastWeek.has(weekday) && day+7 > lastDay(year, month)
}

func lastDay(year int, month time.Month) int {
	switch month {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// possible tells whether any day of these months ever matches. There are 14
// kinds of years: those that begin on each weekday, with 28 and 29 days in
// February; they are all among these.
func (d *days) possible(months set) bool {
	for year := 2000; year < 2028; year++ {
		first := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		for t := first; t.Year() == year; t = t.AddDate(0, 0, 1) {
			if months.has(int(t.Month())) && d.match(year, t.Month(), t.Day(), int(t.Weekday())) {
				return true
			}
		}
	}
	return false
}
