package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

// instants are the fire times of an expression after a moment, as its zone's
// clocks show them.
func instants(t *testing.T, text, zone, after string, n int) []string {
	t.Helper()
	p, err := Parse(Spec{Kind: cronium.ScheduleCron, Expression: text, Zone: zone})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	from, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, at := range p.Upcoming(from, n) {
		got = append(got, at.In(p.Zone()).Format("2006-01-02 15:04:05 -0700"))
	}
	return got
}

// TestClockChanges is the table of time: what fires where clocks change.
func TestClockChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		why, text, zone, after, want string
	}{
		{"spring leaves 02:30 out: once, at the first instant that exists", "30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z",
			"2027-03-28 03:00:00 +0200, 2027-03-29 02:30:00 +0200"},
		{"several in the gap are one", "*/15 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z",
			"2027-03-28 03:00:00 +0200, 2027-03-29 02:00:00 +0200"},
		{"the gap's end itself is due as well: once", "30 2,3 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z",
			"2027-03-28 03:00:00 +0200, 2027-03-28 03:30:00 +0200"},
		{"02:00 and 03:00 fall together", "0 2,3 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z",
			"2027-03-28 03:00:00 +0200, 2027-03-29 02:00:00 +0200"},
		{"autumn has 02:30 twice: the first", "30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z",
			"2027-10-31 02:30:00 +0200, 2027-11-01 02:30:00 +0100"},
		{"after the first of the two, even within the second hour", "30 2 * * *", "Europe/Berlin", "2027-10-31T01:10:00Z",
			"2027-11-01 02:30:00 +0100"},
		{"each real minute in spring", "* * * * *", "Europe/Berlin", "2027-03-28T00:58:00Z",
			"2027-03-28 01:59:00 +0100, 2027-03-28 03:00:00 +0200, 2027-03-28 03:01:00 +0200"},
		{"each real minute in autumn", "* * * * *", "Europe/Berlin", "2027-10-31T00:58:00Z",
			"2027-10-31 02:59:00 +0200, 2027-10-31 02:00:00 +0100, 2027-10-31 02:01:00 +0100"},
		{"each real hour in autumn", "@hourly", "Europe/Berlin", "2027-10-31T00:00:00Z",
			"2027-10-31 02:00:00 +0100, 2027-10-31 03:00:00 +0100"},
		{"New York, spring", "30 2 * * *", "America/New_York", "2027-03-13T12:00:00Z",
			"2027-03-14 03:00:00 -0400, 2027-03-15 02:30:00 -0400"},
		{"New York, autumn", "30 1 * * *", "America/New_York", "2027-11-06T12:00:00Z",
			"2027-11-07 01:30:00 -0400, 2027-11-08 01:30:00 -0500"},
		{"Lord Howe leaves half an hour out", "15 2 * * *", "Australia/Lord_Howe", "2027-10-02T00:00:00Z",
			"2027-10-03 02:30:00 +1100, 2027-10-04 02:15:00 +1100"},
		{"and repeats half an hour", "45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z",
			"2027-04-04 01:45:00 +1100, 2027-04-05 01:45:00 +1030"},
		{"each half hour there", "*/30 * * * *", "Australia/Lord_Howe", "2027-04-03T14:29:00Z",
			"2027-04-04 01:30:00 +1100, 2027-04-04 01:30:00 +1030, 2027-04-04 02:00:00 +1030"},
		{"São Paulo began summer at midnight", "0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
			"2018-11-04 01:00:00 -0200, 2018-11-05 00:00:00 -0200"},
		{"and ended it at midnight: 23:30 twice", "30 23 * * *", "America/Sao_Paulo", "2019-02-16T12:00:00Z",
			"2019-02-16 23:30:00 -0200, 2019-02-17 23:30:00 -0300"},
		{"and has none since", "0 0 * * *", "America/Sao_Paulo", "2027-11-06T12:00:00Z",
			"2027-11-07 00:00:00 -0300, 2027-11-08 00:00:00 -0300"},
		{"Kathmandu is 45 minutes off the hour", "0 * * * *", "Asia/Kathmandu", "2027-06-01T00:00:00Z",
			"2027-06-01 06:00:00 +0545, 2027-06-01 07:00:00 +0545"},
		{"Kathmandu left 00:00 to 00:15 out in 1986", "5 0 * * *", "Asia/Kathmandu", "1985-12-31T00:00:00Z",
			"1986-01-01 00:15:00 +0545, 1986-01-02 00:05:00 +0545"},
		{"Casablanca goes back for Ramadan", "30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z",
			"2026-02-15 02:30:00 +0100, 2026-02-16 02:30:00 +0000"},
		{"and on after it", "30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00:00Z",
			"2026-03-22 03:00:00 +0100, 2026-03-23 02:30:00 +0100"},
		{"Apia had no 30 December 2011: nothing is due on it", "0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
			"2011-12-29 12:00:00 -1000, 2011-12-31 12:00:00 +1400"},
		{"nor once a year", "0 12 30 12 *", "Pacific/Apia", "2011-01-01T00:00:00Z",
			"2012-12-30 12:00:00 +1400"},
		{"each hour across it", "@hourly", "Pacific/Apia", "2011-12-30T08:59:00Z",
			"2011-12-29 23:00:00 -1000, 2011-12-31 00:00:00 +1400"},
	} {
		want := strings.Split(c.want, ", ")
		if got := instants(t, c.text, c.zone, c.after, len(want)); strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s in %s\n got %s\nwant %s", c.why, c.text, c.zone, strings.Join(got, ", "), c.want)
		}
	}
}

func TestCalendar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, after, want string }{
		{"0 0 29 2 *", "2027-01-01T00:00:00Z", "2028-02-29 00:00:00, 2032-02-29 00:00:00"},
		{"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29 00:00:00"}, // 2100 is no leap year
		{"0 0 * 2 5#5", "2027-01-01T00:00:00Z", "2036-02-29 00:00:00"},
		{"0 0 L * *", "2027-01-15T00:00:00Z", "2027-01-31 00:00:00, 2027-02-28 00:00:00, 2027-03-31 00:00:00"},
		{"0 0 L-3 2 *", "2028-01-15T00:00:00Z", "2028-02-26 00:00:00"},
		{"0 0 LW * *", "2027-01-15T00:00:00Z", "2027-01-29 00:00:00, 2027-02-26 00:00:00"},
		{"0 0 1W * *", "2027-04-20T00:00:00Z", "2027-05-03 00:00:00, 2027-06-01 00:00:00"}, // 1 May is a Saturday
		{"0 0 15W * *", "2027-05-01T00:00:00Z", "2027-05-14 00:00:00"},                     // a Saturday
		{"0 0 31W * *", "2027-01-01T00:00:00Z", "2027-01-29 00:00:00, 2027-03-31 00:00:00"},
		{"0 0 * * 5#2", "2027-01-01T00:00:00Z", "2027-01-08 00:00:00, 2027-02-12 00:00:00"},
		{"0 0 * * FRIL", "2027-01-01T00:00:00Z", "2027-01-29 00:00:00, 2027-02-26 00:00:00"},
		{"0 0 13 * FRI", "2027-01-01T12:00:00Z", "2027-01-08 00:00:00, 2027-01-13 00:00:00, 2027-01-15 00:00:00"},
		{"0 0 */10 * MON", "2027-01-01T12:00:00Z", "2027-01-11 00:00:00, 2027-02-01 00:00:00"},
		{"0 0 * * 7", "2027-01-01T00:00:00Z", "2027-01-03 00:00:00"},
		{"0 0 * * SAT-SUN", "2027-01-01T00:00:00Z", "2027-01-02 00:00:00, 2027-01-03 00:00:00, 2027-01-09 00:00:00"},
		{"59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31 23:59:00"},
		{"* * * * *", "2026-12-31T23:59:30Z", "2027-01-01 00:00:00"},
		{"5/20 * * * *", "2027-01-01T00:00:00Z", "2027-01-01 00:05:00, 2027-01-01 00:25:00, 2027-01-01 00:45:00, 2027-01-01 01:05:00"},
		{"*/20 30 4 * * *", "2027-01-01T04:30:15Z", "2027-01-01 04:30:20, 2027-01-01 04:30:40, 2027-01-02 04:30:00"},
		{"@yearly", "2027-01-01T00:00:00Z", "2028-01-01 00:00:00"},
		{"@weekly", "2027-01-01T00:00:00Z", "2027-01-03 00:00:00"},
		{"0 0 1 jan,Jul ?", "2027-01-01T00:00:00Z", "2027-07-01 00:00:00"},
	} {
		want := strings.Split(c.want, ", ")
		got := strings.ReplaceAll(strings.Join(instants(t, c.text, "", c.after, len(want)), ", "), " +0000", "")
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind               cronium.ScheduleKind
		text, zone         string
		field, wantMessage string
	}{
		{cronium.ScheduleCron, "0 0 31 2 *", "", "expression", "no month of \"2\" has a day \"31\""},
		{cronium.ScheduleCron, "0 0 31 4,6,9,11 *", "", "expression", "never run"},
		{cronium.ScheduleCron, "0 0 31W 2 *", "", "expression", "never run"},
		{cronium.ScheduleCron, "0 0 */30 2 5#5", "", "expression", "never run"},
		{cronium.ScheduleCron, "61 * * * *", "", "expression", "minute \"61\" is not between 0 and 59"},
		{cronium.ScheduleCron, "* 24 * * *", "", "expression", "hour \"24\" is not between 0 and 23"},
		{cronium.ScheduleCron, "* * * 13 *", "", "expression", "month"},
		{cronium.ScheduleCron, "* * * * 8", "", "expression", "day of the week"},
		{cronium.ScheduleCron, "* * * * FOO", "", "expression", "no name like MON"},
		{cronium.ScheduleCron, "* * *", "", "expression", "This one has 3"},
		{cronium.ScheduleCron, "0 0 0 1 1 * 2027", "", "expression", "no field for the year"},
		{cronium.ScheduleCron, "*/90 * * * *", "", "expression", "@every 90m"},
		{cronium.ScheduleCron, "*/0 * * * *", "", "expression", "above zero"},
		{cronium.ScheduleCron, "* 22-4 * * *", "", "expression", "22-23,0-4"},
		{cronium.ScheduleCron, "1,,2 * * * *", "", "expression", "empty part"},
		{cronium.ScheduleCron, "-1 * * * *", "", "expression", "is no number"},
		{cronium.ScheduleCron, "0 0 * * L", "", "expression", "5L is the last Friday"},
		{cronium.ScheduleCron, "0 0 * * 5#6", "", "expression", "from 1 to 5"},
		{cronium.ScheduleCron, "@reboot", "", "expression", "webhook"},
		{cronium.ScheduleCron, "@fortnightly", "", "expression", "@weekly"},
		{cronium.ScheduleCron, "CRON_TZ=Europe/Berlin", "", "expression", "time zone, a space"},
		{cronium.ScheduleCron, "CRON_TZ=Mars/Base 0 2 * * *", "", "zone", "Mars/Base"},
		{cronium.ScheduleCron, "0 2 * * *", "Local", "zone", "Europe/Berlin"},
		{cronium.ScheduleCron, "0 2 * * *", "../../etc/passwd", "zone", "no time zone"},
		{cronium.ScheduleCron, "", "", "expression", "when it runs"},
		{cronium.ScheduleInterval, "0s", "", "expression", "90s"},
		{cronium.ScheduleInterval, "5", "", "expression", "90s"},
		{cronium.ScheduleInterval, "m5", "", "expression", "90s"},
		{cronium.ScheduleInterval, "400d", "", "expression", "366 days"},
		{cronium.ScheduleInterval, "2147483647w", "", "expression", "366 days"},
		{cronium.ScheduleOnce, "tomorrow", "", "expression", "2027-03-01 08:30"},
		{cronium.ScheduleOnce, "2027-03-28 02:30", "Europe/Berlin", "expression", "does not exist"},
		{cronium.ScheduleKind("MOON"), "full", "", "kind", "CRON"},
	} {
		_, err := Parse(Spec{Kind: c.kind, Expression: c.text, Zone: c.zone})
		var p *Problem
		if !errors.As(err, &p) || p.Field != c.field || !strings.Contains(p.Message, c.wantMessage) {
			t.Errorf("%s %q: %v, want %q about %s", c.kind, c.text, err, c.wantMessage, c.field)
		}
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestIntervalsAndSpans(t *testing.T) {
	t.Parallel()
	anchor := at(t, "2027-01-01T00:00:10Z")
	for _, c := range []struct {
		why   string
		spec  Spec
		after string
		want  string
	}{
		{"counted from the anchor, through a change of clocks", Spec{Kind: cronium.ScheduleInterval, Expression: "6h", Zone: "Europe/Berlin", Anchor: anchor},
			"2027-03-28T00:00:00Z", "2027-03-28T00:00:10Z 2027-03-28T06:00:10Z"},
		{"the start is the first instant", Spec{Kind: cronium.ScheduleInterval, Expression: "90s", Anchor: anchor, Start: at(t, "2027-02-01T10:00:00Z")},
			"2027-01-15T00:00:00Z", "2027-02-01T10:00:00Z 2027-02-01T10:01:30Z"},
		{"nothing after the end, the end itself counts", Spec{Kind: cronium.ScheduleCron, Expression: "0 * * * *", End: at(t, "2027-01-01T02:00:00Z")},
			"2027-01-01T00:30:00Z", "2027-01-01T01:00:00Z 2027-01-01T02:00:00Z"},
		{"once", Spec{Kind: cronium.ScheduleOnce, Expression: "2027-10-31 02:30", Zone: "Europe/Berlin"}, "2027-01-01T00:00:00Z", "2027-10-31T00:30:00Z"},
		{"once, with an offset", Spec{Kind: cronium.ScheduleOnce, Expression: "2027-10-31T02:30:00+01:00"}, "2027-01-01T00:00:00Z", "2027-10-31T01:30:00Z"},
		{"once, over", Spec{Kind: cronium.ScheduleOnce, Expression: "2027-10-31 02:30"}, "2027-10-31T02:30:00Z", ""},
	} {
		p, err := Parse(c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		var got []string
		for _, next := range p.Upcoming(at(t, c.after), 2) {
			got = append(got, next.Format(time.RFC3339))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.why, got, c.want)
		}
	}
	for _, s := range []Spec{
		{Kind: cronium.ScheduleCron, Expression: "0 0 1 1 *", Start: at(t, "2027-02-01T00:00:00Z"), End: at(t, "2027-03-01T00:00:00Z")},
		{Kind: cronium.ScheduleCron, Expression: "* * * * *", Start: at(t, "2027-02-01T00:00:00Z"), End: at(t, "2027-01-01T00:00:00Z")},
		{Kind: cronium.ScheduleOnce, Expression: "2027-01-01 00:00", Start: at(t, "2027-02-01T00:00:00Z")},
		{Kind: cronium.ScheduleOnce, Expression: "2027-01-01 00:00", End: at(t, "2026-02-01T00:00:00Z")},
	} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%+v can never run and was taken", s)
		}
	}
}

// Two ways to the same answer: stepping over every minute finds what the search
// finds.
func TestSearchFindsWhatSteppingFinds(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"*/7 3-5 * * 1-5", "0 12 1,15 * *", "30 22 * 2,11 6", "5 4 L * *", "59 23 * * 0#1"} {
		p, err := Parse(Spec{Kind: cronium.ScheduleCron, Expression: text})
		if err != nil {
			t.Fatal(err)
		}
		from := at(t, "2027-01-29T00:00:00Z")
		next, ok := p.Next(from)
		for minute := from.Add(time.Minute); minute.Before(from.AddDate(0, 3, 0)); minute = minute.Add(time.Minute) {
			year, month, day := minute.Date()
			c := p.cron
			due := c.minutes.has(minute.Minute()) && c.hours.has(minute.Hour()) && c.months.has(int(month)) &&
				c.days.match(year, month, day, int(minute.Weekday()))
			if due != (ok && minute.Equal(next)) {
				t.Fatalf("%s: at %s due is %t, the search says %s", text, minute, due, next)
			}
			if due {
				next, ok = p.Next(minute)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"*/15 8-18 * * 1-5", "0 0 LW * *", "0 9 * * 5#2", "@every 90s", "CRON_TZ=Asia/Tokyo 1 2 3 4 5", "1W * L-3 ? 5L", "*/10 * * * * *"} {
		f.Add(seed, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		p, err := Parse(Spec{Kind: cronium.ScheduleCron, Expression: text, Zone: "Australia/Lord_Howe"})
		if err != nil {
			var problem *Problem
			if !errors.As(err, &problem) {
				t.Fatalf("%q: the error %v names no field", text, err)
			}
			return
		}
		if p.Words() == "" {
			t.Fatalf("%q has no words", text)
		}
		after := time.Unix(unix%4_000_000_000, 0)
		next, ok := p.Next(after)
		if p.cron != nil && !ok {
			t.Fatalf("%q was taken and never fires after %s", text, after)
		}
		if ok && !next.After(after) {
			t.Fatalf("%q: %s is not after %s", text, next, after)
		}
	})
}
