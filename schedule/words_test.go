package schedule

import (
	"testing"

	"cronium.dev/cronium"
)

func TestWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind       cronium.ScheduleKind
		text, want string
	}{
		{cronium.ScheduleCron, "*/15 8-18 * * 1-5", "Every 15 minutes, 08:00–18:59, Monday to Friday, Europe/Berlin"},
		{cronium.ScheduleCron, "* * * * *", "Every minute, Europe/Berlin"},
		{cronium.ScheduleCron, "*/5 * * * *", "Every 5 minutes, Europe/Berlin"},
		{cronium.ScheduleCron, "0 * * * *", "Every hour, Europe/Berlin"},
		{cronium.ScheduleCron, "@hourly", "Every hour, Europe/Berlin"},
		{cronium.ScheduleCron, "20 * * * *", "Every hour at minute 20, Europe/Berlin"},
		{cronium.ScheduleCron, "0 2 * * *", "At 02:00, every day, Europe/Berlin"},
		{cronium.ScheduleCron, "15 2 * * MON", "At 02:15, Monday, Europe/Berlin"},
		{cronium.ScheduleCron, "0 4,16 * * *", "At 04:00 and 16:00, every day, Europe/Berlin"},
		{cronium.ScheduleCron, "0 */3 * * *", "Every 3 hours, Europe/Berlin"},
		{cronium.ScheduleCron, "0 8-18 * * *", "Every hour, 08:00–18:00, Europe/Berlin"},
		{cronium.ScheduleCron, "*/7 * * * *", "At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour, every day, Europe/Berlin"},
		{cronium.ScheduleCron, "*/10 22,23,0-4 * * *", "Every 10 minutes, 00:00–04:59 and 22:00–23:59, Europe/Berlin"},
		{cronium.ScheduleCron, "0 0 1 1 *", "At 00:00, on day 1 of the month, in January, Europe/Berlin"},
		{cronium.ScheduleCron, "0 0 13 * FRI", "At 00:00, on day 13 of the month or Friday, Europe/Berlin"},
		{cronium.ScheduleCron, "0 0 */2 * 1", "At 00:00, every 2nd day of the month from the 1st if it is Monday, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 L * *", "At 09:00, on the last day of the month, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 LW * *", "At 09:00, on the last weekday (Monday to Friday) of the month, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 15W * *", "At 09:00, on the weekday (Monday to Friday) nearest to day 15 of the month, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 * * 5#2", "At 09:00, the 2nd Friday of the month, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 * * 5L", "At 09:00, the last Friday of the month, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 * * SAT,SUN", "At 09:00, Saturday and Sunday, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 * * FRI-SUN", "At 09:00, Friday to Sunday, Europe/Berlin"},
		{cronium.ScheduleCron, "0 9 1-7,15 6-8 *", "At 09:00, on days 1 to 7 and 15 of the month, in June to August, Europe/Berlin"},
		{cronium.ScheduleCron, "*/10 * * * * *", "Every 10 seconds, Europe/Berlin"},
		{cronium.ScheduleCron, "30 0 2 * * *", "At second 30, at 02:00, every day, Europe/Berlin"},
		{cronium.ScheduleCron, "CRON_TZ=Asia/Kathmandu 0 2 * * *", "At 02:00, every day, Asia/Kathmandu"},
		{cronium.ScheduleCron, "@every 90s", "Every 90 seconds"},
		{cronium.ScheduleInterval, "1h30m", "Every 1 hour 30 minutes"},
		{cronium.ScheduleInterval, "15m", "Every 15 minutes"},
		{cronium.ScheduleInterval, "1d", "Every day"},
		{cronium.ScheduleInterval, "2w", "Every 2 weeks"},
		{cronium.ScheduleOnce, "2027-03-01 08:30", "Once, on 1 March 2027 08:30, Europe/Berlin"},
	} {
		p, err := Parse(Spec{Kind: c.kind, Expression: c.text, Zone: "Europe/Berlin"})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := p.Words(); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}
