package views

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// SchedulePage is the page at /schedule: a calendar of a day or a week, or the
// list of all schedules.
type SchedulePage struct {
	layout.Frame
	View  string // "day", "week", "list"
	Query string // part of names
	Now   time.Time
	Zone  *time.Location

	From, To   time.Time      // of the calendar
	Width      time.Duration  // of a slot
	Load       []CalendarLoad // by the hour
	Rows       []CalendarRow  // an event each
	Hidden     int            // events beyond those
	Exceptions []InstantRow   // of the calendar's time
	Coming     []UpcomingRow  // what comes next
	Rough      bool           // there is too much to come for all of it to be counted
	Schedules  []ScheduleRow  // of the list
	Next       string         // cursor of the list's next page; "" on the last
	Sort       string         // of the list

}

// CalendarLoad is how many runs an hour has.
type CalendarLoad struct {
	Start time.Time
	Ran   int
	Comes int
}

// CalendarRow is an event in the calendar.
type CalendarRow struct {
	EventID cronium.ID
	Name    string
	Words   string // of its schedules
	Slots   []CalendarSlot
}

// CalendarSlot is what happens to an event in a slot of time.
type CalendarSlot struct {
	Ran, Failed, Open, Trouble, Comes int // Trouble: late, skipped, missed or partial
}

func (s CalendarSlot) any() bool { return s.Ran+s.Failed+s.Open+s.Trouble+s.Comes > 0 }

func (s CalendarSlot) class() string {
	switch {
	case s.Failed > 0:
		return "is-failure"
	case s.Trouble > 0:
		return "is-warning"
	case s.Open > 0:
		return "is-running"
	case s.Ran > 0:
		return "is-success"
	}
	return "is-waiting"
}

// add puts two slots together.
func (s CalendarSlot) add(o CalendarSlot) CalendarSlot {
	return CalendarSlot{s.Ran + o.Ran, s.Failed + o.Failed, s.Open + o.Open, s.Trouble + o.Trouble, s.Comes + o.Comes}
}

func (s CalendarSlot) words() string {
	text := ""
	for _, part := range []struct {
		n    int
		word string
	}{{s.Ran, "succeeded"}, {s.Failed, "failed"}, {s.Open, "not finished"}, {s.Trouble, "late, skipped or missed"}, {s.Comes, "to come"}} {
		if part.n > 0 {
			if text != "" {
				text += ", "
			}
			text += components.Number(part.n) + " " + part.word
		}
	}
	return text
}

// UpcomingRow is an instant that will come.
type UpcomingRow struct {
	At       time.Time
	Schedule cronium.ID
	Event    string
}

// mark is a rectangle of a row of the calendar. Its unit is a slot.
type mark struct {
	class, x, width, title string
}

// marks are the rectangles of a row. A row that is nearly full is drawn by the
// hour, so that it is seen as one that runs all the time.
func (p SchedulePage) marks(r CalendarRow) []mark {
	by, full := 1, 0
	for _, s := range r.Slots {
		if s.any() {
			full++
		}
	}
	if hour := int(time.Hour / p.Width); full*2 > len(r.Slots) {
		by = max(hour, 1)
	}
	var list []mark
	for i := 0; i < len(r.Slots); i += by {
		var s CalendarSlot
		for _, part := range r.Slots[i:min(i+by, len(r.Slots))] {
			s = s.add(part)
		}
		if s.any() {
			start := p.From.Add(time.Duration(i) * p.Width).In(p.Zone)
			list = append(list, mark{s.class(), strconv.Itoa(i), units(float64(by) - 0.15), start.Format("15:04") + ": " + s.words()})
		}
	}
	return list
}

// words says a row for those who do not see it.
func (r CalendarRow) words() string {
	var all CalendarSlot
	for _, s := range r.Slots {
		all = all.add(s)
	}
	if !all.any() {
		return "nothing"
	}
	return all.words()
}

func (p SchedulePage) slots() int { return int((p.To.Sub(p.From) + p.Width - 1) / p.Width) }

// now is where the line of now is, in slots; false where it is not in the
// calendar.
func (p SchedulePage) now() (string, bool) {
	if p.Now.Before(p.From) || !p.Now.Before(p.To) {
		return "", false
	}
	return units(float64(p.Now.Sub(p.From)) / float64(p.Width)), true
}

// loadHeight is how high the chart of the load is, in its units.
const loadHeight = 40.0

type loadBar struct {
	class, x, y, width, height, title string
}

// peak is the hour with most runs.
func (p SchedulePage) peak() (at time.Time, most int) {
	for _, l := range p.Load {
		if n := l.Ran + l.Comes; n > most {
			at, most = l.Start, n
		}
	}
	return at, most
}

// crowd is from how many runs on an hour stands out: thrice what the others have.
func (p SchedulePage) crowd() int {
	all, hours := 0, 0
	for _, l := range p.Load {
		if n := l.Ran + l.Comes; n > 0 {
			all += n
			hours++
		}
	}
	if hours < 3 {
		return 1 << 30
	}
	return max(5, 3*all/(hours+2))
}

func (p SchedulePage) loadBars() []loadBar {
	_, most := p.peak()
	crowd := p.crowd()
	var list []loadBar
	for i, l := range p.Load {
		bottom := loadHeight
		for _, part := range []struct {
			class string
			n     int
		}{{"ran", l.Ran}, {"comes", l.Comes}} {
			if part.n == 0 {
				continue
			}
			height := max(float64(part.n)/float64(most)*(loadHeight-2), 1.5)
			bottom -= height
			class := part.class
			if l.Ran+l.Comes >= crowd {
				class += " is-warning"
			}
			list = append(list, loadBar{class, units(float64(i) + .06), units(bottom), "0.88", units(height),
				fmt.Sprintf("%s: %s", l.Start.In(p.Zone).Format("15:04"), components.Count(l.Ran+l.Comes, "run", "runs"))})
		}
	}
	return list
}

// loadText says the load in words.
func (p SchedulePage) loadText() string {
	at, most := p.peak()
	if most == 0 {
		return "nothing runs"
	}
	layout := "15:04"
	if p.View == "week" {
		layout = "Monday 15:04"
	}
	return fmt.Sprintf("runs started · %s at %s", components.Number(most), at.In(p.Zone).Format(layout))
}

// ticks are what is written under the chart, with equal distances.
func (p SchedulePage) ticks() (list []string) {
	if p.View == "week" {
		for t := p.From; t.Before(p.To); t = t.In(p.Zone).AddDate(0, 0, 1) {
			list = append(list, t.In(p.Zone).Format("Mon 2"))
		}
		return append(list, "")
	}
	for t := p.From; t.Before(p.To); t = t.Add(3 * time.Hour) {
		list = append(list, t.In(p.Zone).Format("15"))
	}
	return append(list, "")
}

// url is the page with another view or day.
func (p SchedulePage) url(view string, day time.Time) templ.SafeURL {
	v := url.Values{}
	if view != "day" {
		v.Set("view", view)
	}
	if p.Query != "" {
		v.Set("q", p.Query)
	}
	if !day.IsZero() {
		v.Set("day", day.In(p.Zone).Format(time.DateOnly))
	}
	if len(v) == 0 {
		return "/schedule"
	}
	return templ.SafeURL("/schedule?" + v.Encode())
}

// step is the day from which the calendar before or after this one begins.
func (p SchedulePage) step(by int) time.Time {
	days := by
	if p.View == "week" {
		days = 7 * by
	}
	return p.From.In(p.Zone).AddDate(0, 0, days)
}

// span says what time the calendar shows.
func (p SchedulePage) span() string {
	from := p.From.In(p.Zone)
	if p.View == "week" {
		last := p.To.Add(-time.Hour).In(p.Zone)
		return from.Format("2 January") + " – " + last.Format("2 January 2006")
	}
	return from.Format("Monday, 2 January 2006")
}

func (p SchedulePage) today() bool {
	_, now := p.now()
	return now
}

// listURL is the list, from a cursor on.
func (p SchedulePage) listURL(after string) string {
	v := url.Values{"view": {"list"}}
	for name, value := range map[string]string{"q": p.Query, "sort": p.Sort, "after": after} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return "/schedule?" + v.Encode()
}
