package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxInterval bounds an interval.
const maxInterval = 366 * 24 * time.Hour

var units = []struct {
	suffix string
	length time.Duration
	name   string
}{
	{"w", 7 * 24 * time.Hour, "week"},
	{"d", 24 * time.Hour, "day"},
	{"h", time.Hour, "hour"},
	{"m", time.Minute, "minute"},
	{"s", time.Second, "second"},
}

// parseInterval reads "90s", "1h30m" or "2d".
func parseInterval(text string) (time.Duration, error) {
	bad := problemf("expression", "%q is no interval. Write one like 90s, 15m, 1h30m or 2d.", text)
	var total time.Duration
	for rest := strings.ToLower(strings.ReplaceAll(text, " ", "")); rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		if err != nil || digits == len(rest) {
			return 0, bad
		}
		var length time.Duration
		for _, u := range units {
			if rest[digits:digits+1] == u.suffix {
				length = u.length
			}
		}
		if length == 0 {
			return 0, bad
		}
		if total += min(time.Duration(n), maxInterval/length+1) * length; total > maxInterval {
			return 0, problemf("expression", "An interval is at most 366 days.")
		}
		rest = rest[digits+1:]
	}
	if total < time.Second {
		return 0, bad
	}
	return total, nil
}

// intervalWords says "90 seconds" or "1 hour 30 minutes"; "hour" for a single one.
func intervalWords(d time.Duration) string {
	var parts []string
	whole := d
	for _, u := range units {
		n := d / u.length
		if n == 0 || u.suffix == "w" && d%u.length != 0 {
			continue
		}
		d -= n * u.length
		switch {
		case n == 1 && whole == u.length:
			return u.name
		case n == 1:
			parts = append(parts, "1 "+u.name)
		default:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	if whole < 2*time.Minute && whole%time.Minute != 0 {
		return fmt.Sprintf("%d seconds", whole/time.Second)
	}
	return strings.Join(parts, " ")
}

// parseTime reads a single time in a zone.
func parseTime(text string, zone *time.Location) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return inRange(t)
	}
	local := strings.Replace(text, "T", " ", 1)
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04"} {
		wall, err := time.Parse(layout, local)
		if err != nil {
			continue
		}
		t, ok := fromWall(wall.Unix(), zone)
		if !ok {
			return time.Time{}, problemf("expression", "%s does not exist in %s: clocks leave it out on that day.", local, zone)
		}
		return inRange(t)
	}
	return time.Time{}, problemf("expression", "%q is no time. Write one like 2027-03-01 08:30.", text)
}

func inRange(t time.Time) (time.Time, error) {
	if t.Year() < 1970 || t.Year() > 9998 {
		return t, problemf("expression", "The year must be between 1970 and 9998.")
	}
	return t.Truncate(time.Second), nil
}

// fromWall finds the first instant at which clocks of a zone show a wall-clock
// time, which is given in seconds as if it were UTC; false where none does.
func fromWall(wall int64, zone *time.Location) (time.Time, bool) {
	// Offsets are within a day, so the first instant is not before this one.
	t := time.Unix(wall-26*3600, 0).In(zone)
	for range 8 {
		_, end := t.ZoneBounds()
		_, offset := t.Zone()
		found := time.Unix(wall-int64(offset), 0).In(zone)
		if !found.Before(t) && (end.IsZero() || found.Before(end)) {
			return found, true
		}
		if end.IsZero() || found.Before(t) {
			return time.Time{}, false
		}
		t = end
	}
	return time.Time{}, false
}
