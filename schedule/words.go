package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Words says in plain English when the plan fires: "Every 15 minutes,
// 08:00–18:59, Monday to Friday, Europe/Berlin". Intervals have no zone.
func (p *Plan) Words() string {
	text := p.Short()
	if p.every == 0 {
		text += ", " + p.zone.String()
	}
	if s := p.spec.Start; !s.IsZero() {
		text += ", from " + p.moment(s)
	}
	if e := p.spec.End; !e.IsZero() {
		text += ", until " + p.moment(e)
	}
	return text
}

// Short is Words without zone, start and end.
func (p *Plan) Short() string {
	switch {
	case p.cron != nil:
		return p.cron.words()
	case p.every > 0:
		return "Every " + intervalWords(p.every)
	}
	return "Once, on " + p.moment(p.at)
}

func (p *Plan) moment(t time.Time) string {
	t = t.In(p.zone)
	layout := "2 January 2006 15:04"
	if t.Second() != 0 {
		layout += ":05"
	}
	return t.Format(layout)
}

func (c *cron) words() string {
	parts := append(c.timeWords(), c.dayWords()...)
	return strings.Join(parts, ", ")
}

// timeWords says at which times of a day.
func (c *cron) timeWords() []string {
	if c.seconds != 1 {
		return c.secondWords()
	}
	if c.minutes.size()*c.hours.size() <= 6 && c.hours.size() <= 6 && c.minutes.size() <= 3 {
		return []string{"At " + c.clock()}
	}
	allMinutes, everyHour := c.minutes == span(0, 59), c.hours == allHours
	step := stepOf(c.minutes, 0, 59)
	switch {
	case allMinutes || step > 0:
		every := "Every minute"
		if step > 0 {
			every = fmt.Sprintf("Every %d minutes", step)
		}
		if everyHour {
			return []string{every}
		}
		return []string{every, c.hourSpans()}
	case c.minutes.size() == 1:
		return c.hourly()
	}
	text := "At minutes " + numbers(c.minutes.list(), strconv.Itoa)
	if everyHour {
		return []string{text + " of every hour"}
	}
	return []string{text, c.hourSpans()}
}

// hourly says what fires once in some hours.
func (c *cron) hourly() []string {
	minute := c.minutes.list()[0]
	past := ""
	if minute > 0 {
		past = fmt.Sprintf(" at minute %d", minute)
	}
	if c.hours == allHours {
		return []string{"Every hour" + past}
	}
	if step := stepOf(c.hours, 0, 23); step > 0 {
		return []string{fmt.Sprintf("Every %d hours", step) + past}
	}
	hours := c.hours.list()
	first, last := hours[0], hours[len(hours)-1]
	if last-first+1 == len(hours) {
		return []string{"Every hour", fmt.Sprintf("%02d:%02d–%02d:%02d", first, minute, last, minute)}
	}
	return []string{"At " + numbers(hours, func(h int) string { return fmt.Sprintf("%02d:%02d", h, minute) })}
}

// secondWords says what has a field for seconds.
func (c *cron) secondWords() []string {
	text := "At second " + numbers(c.seconds.list(), strconv.Itoa)
	if c.seconds.size() > 1 {
		text = "At seconds " + numbers(c.seconds.list(), strconv.Itoa)
	}
	if c.seconds == span(0, 59) {
		text = "Every second"
	} else if step := stepOf(c.seconds, 0, 59); step > 0 {
		text = fmt.Sprintf("Every %d seconds", step)
	}
	if c.minutes == span(0, 59) && c.hours == allHours {
		if c.seconds.size() < 60 && stepOf(c.seconds, 0, 59) == 0 {
			text += " of every minute"
		}
		return []string{text}
	}
	rest := (&cron{seconds: 1, minutes: c.minutes, hours: c.hours}).timeWords()
	rest[0] = strings.ToLower(rest[0][:1]) + rest[0][1:]
	return append([]string{text}, rest...)
}

// clock lists a few times of a day.
func (c *cron) clock() string {
	var times []string
	for _, h := range c.hours.list() {
		for _, m := range c.minutes.list() {
			times = append(times, fmt.Sprintf("%02d:%02d", h, m))
		}
	}
	return and(times)
}

// hourSpans says which hours, as spans of time: "08:00–18:59".
func (c *cron) hourSpans() string {
	var spans []string
	hours := c.hours.list()
	for i := 0; i < len(hours); {
		j := i
		for j+1 < len(hours) && hours[j+1] == hours[j]+1 {
			j++
		}
		spans = append(spans, fmt.Sprintf("%02d:00–%02d:59", hours[i], hours[j]))
		i = j + 1
	}
	return and(spans)
}

// dayWords says on which days; nothing is every day, where the times say so.
func (c *cron) dayWords() []string {
	d := &c.days
	month, week := monthDayWords(d), weekDayWords(d)
	var parts []string
	switch {
	case month == "" && week == "":
		if c.months == span(1, 12) && !c.repeats() {
			parts = append(parts, "every day")
		}
	case month == "":
		parts = append(parts, week)
	case week == "":
		parts = append(parts, month)
	case d.monthStar || d.weekStar:
		parts = append(parts, month+" if it is "+week)
	default:
		parts = append(parts, month+" or "+week)
	}
	if c.months != span(1, 12) {
		parts = append(parts, "in "+ranges(c.months.list(), func(m int) string { return time.Month(m).String() }))
	}
	return parts
}

// repeats tells whether the times are "every …", which says every day as well.
func (c *cron) repeats() bool { return strings.HasPrefix(c.timeWords()[0], "Every") }

func monthDayWords(d *days) string {
	var parts []string
	if d.month != 0 && d.month != span(1, 31) {
		days := d.month.list()
		if step := stepOf(d.month>>1, 0, 30); step > 0 {
			parts = append(parts, fmt.Sprintf("every %s day of the month from the 1st", ordinal(step)))
		} else if len(days) == 1 {
			parts = append(parts, fmt.Sprintf("on day %d of the month", days[0]))
		} else {
			parts = append(parts, "on days "+ranges(days, strconv.Itoa)+" of the month")
		}
	}
	for _, n := range d.fromLast {
		switch n {
		case 0:
			parts = append(parts, "on the last day of the month")
		case 1:
			parts = append(parts, "one day before the last of the month")
		default:
			parts = append(parts, fmt.Sprintf("%d days before the last of the month", n))
		}
	}
	if d.lastWork {
		parts = append(parts, "on the last weekday (Monday to Friday) of the month")
	}
	for _, n := range d.nearest {
		parts = append(parts, fmt.Sprintf("on the weekday (Monday to Friday) nearest to day %d of the month", n))
	}
	return and(parts)
}

func weekDayWords(d *days) string {
	var parts []string
	name := func(n int) string { return time.Weekday(n % 7).String() }
	if d.week != 0 && d.week != span(0, 6) {
		list := d.week.list()
		if list[0] == 0 { // a week begins on Monday
			list = append(list[1:], 7)
		}
		parts = append(parts, ranges(list, name))
	}
	for day, nth := range d.nth {
		for _, n := range nth.list() {
			parts = append(parts, fmt.Sprintf("the %s %s of the month", ordinal(n), name(day)))
		}
	}
	for _, day := range d.lastWeek.list() {
		parts = append(parts, "the last "+name(day)+" of the month")
	}
	return and(parts)
}

// stepOf tells the step of a set that goes through a whole field, 0 where there
// is none: only a step that divides the field has equal distances.
func stepOf(s set, low, high int) int {
	list := s.list()
	if len(list) < 2 || list[0] != low {
		return 0
	}
	step := list[1] - list[0]
	if step < 2 || high-low < 30 && (high-low+1)%step != 0 || high == 59 && 60%step != 0 {
		return 0
	}
	for i := range list {
		if list[i] != low+i*step {
			return 0
		}
	}
	if list[len(list)-1]+step <= high {
		return 0
	}
	return step
}

// ranges lists numbers, three and more that follow each other as "a to b".
func ranges(list []int, name func(int) string) string {
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if j-i >= 2 {
			parts = append(parts, name(list[i])+" to "+name(list[j]))
		} else {
			for k := i; k <= j; k++ {
				parts = append(parts, name(list[k]))
			}
		}
		i = j + 1
	}
	return and(parts)
}

func numbers(list []int, name func(int) string) string {
	parts := make([]string, len(list))
	for i, n := range list {
		parts[i] = name(n)
	}
	return and(parts)
}

// and joins parts: "a, b and c".
func and(parts []string) string {
	if len(parts) == 0 {
		return ""
	}
	last := len(parts) - 1
	if last == 0 {
		return parts[0]
	}
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

func ordinal(n int) string {
	switch {
	case n%100 >= 11 && n%100 <= 13:
	case n%10 == 1:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}
