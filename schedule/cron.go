package schedule

import (
	"strings"
	"time"
)

// cron is an expression of five or six fields.
type cron struct {
	seconds, minutes, hours, months set
	days                            days
	fields                          []string // as written, without the seconds
}

const allHours = set(1<<24 - 1)

// parseCron reads five fields, or six with the seconds first.
func parseCron(text string) (*cron, error) {
	parts := strings.Fields(text)
	c := &cron{seconds: 1}
	switch len(parts) {
	case 6:
		var err error
		if c.seconds, err = secondField.parse(parts[0]); err != nil {
			return nil, err
		}
		parts = parts[1:]
	case 5:
	case 7:
		return nil, problemf("expression", "An expression has no field for the year. Leave it out, and set a start and an end.")
	default:
		return nil, problemf("expression", "An expression has five fields: minute, hour, day of the month, month, day of the week, like 30 2 * * 1-5. A sixth before them is the second. This one has %d.", len(parts))
	}
	c.fields = parts
	var err error
	if c.minutes, err = minuteField.parse(parts[0]); err != nil {
		return nil, err
	}
	if c.hours, err = hourField.parse(parts[1]); err != nil {
		return nil, err
	}
	if err := c.days.readMonth(parts[2]); err != nil {
		return nil, err
	}
	if c.months, err = monthField.parse(parts[3]); err != nil {
		return nil, err
	}
	if err := c.days.readWeek(parts[4]); err != nil {
		return nil, err
	}
	if !c.days.possible(c.months) {
		return nil, c.impossible()
	}
	return c, nil
}

// impossible says why no day ever matches.
func (c *cron) impossible() *Problem {
	day, month, week := c.fields[2], c.fields[3], c.fields[4]
	if star(week) {
		return problemf("expression", "It would never run: no month of %q has a day %q.", month, day)
	}
	return problemf("expression", "It would never run: no day of the months %q is both %q and the weekday %q.", month, day, week)
}

const daySeconds = 24 * 3600

// first finds the first wall-clock time from w on and before end that matches.
// Wall-clock times are seconds as if they were UTC.
func (c *cron) first(w, end int64) (int64, bool) {
	day := floorDiv(w, daySeconds)
	since := int(w - day*daySeconds)
	for day*daySeconds < end {
		year, month, number := time.Unix(day*daySeconds, 0).UTC().Date()
		if !c.months.has(int(month)) {
			day += int64(lastDay(year, month) - number + 1)
			since = 0
			continue
		}
		if c.days.match(year, month, number, weekdayOf(day)) {
			if s, ok := c.timeOfDay(since); ok {
				found := day*daySeconds + int64(s)
				return found, found < end
			}
		}
		day++
		since = 0
	}
	return 0, false
}

// weekdayOf is the day of the week, Sunday = 0, of a day since 1970.
func weekdayOf(day int64) int {
	return int(((day+4)%7 + 7) % 7)
}

// timeOfDay finds the first second of a day that matches, from one on.
func (c *cron) timeOfDay(from int) (int, bool) {
	hour, minute, second := from/3600, from/60%60, from%60
	for h, ok := c.hours.next(hour); ok; h, ok = c.hours.next(h + 1) {
		if h > hour {
			minute, second = 0, 0
		}
		for m, ok := c.minutes.next(minute); ok; m, ok = c.minutes.next(m + 1) {
			if m > minute {
				second = 0
			}
			if s, ok := c.seconds.next(second); ok {
				return h*3600 + m*60 + s, true
			}
		}
	}
	return 0, false
}

// next finds the first instant after one and before a limit. It goes from one
// change of the zone's clocks to the next; between two of them wall-clock time
// and real time go together.
func (c *cron) next(after, limit time.Time, zone *time.Location) (time.Time, bool) {
	t := time.Unix(after.Unix()+1, 0).In(zone)
	for t.Before(limit) {
		start, end := t.ZoneBounds()
		_, offset := t.Zone()
		before := offset
		if !start.IsZero() {
			_, before = start.Add(-time.Second).Zone()
		}
		wall := t.Unix() + int64(offset)
		if c.hours != allHours {
			if offset > before && t.Equal(start) && c.skipped(start.Unix()+int64(before), wall) {
				return t, true
			}
			if offset < before { // clocks were put back: what they show again has fired
				wall = max(wall, start.Unix()+int64(before))
			}
		}
		until := limit.Unix() + int64(offset)
		if !end.IsZero() {
			until = min(until, end.Unix()+int64(offset))
		}
		if found, ok := c.first(wall, until); ok {
			return time.Unix(found-int64(offset), 0).In(zone), true
		}
		if end.IsZero() {
			break
		}
		t = end
	}
	return time.Time{}, false
}

// skipped tells whether something matches between two wall-clock times that no
// clock has shown. A date that was left out as a whole is in no calendar, and
// nothing is due on it.
func (c *cron) skipped(from, to int64) bool {
	for {
		found, ok := c.first(from, to)
		if !ok {
			return false
		}
		midnight := floorDiv(found, daySeconds) * daySeconds
		if midnight < from || midnight+daySeconds > to {
			return true
		}
		from = midnight + daySeconds
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
