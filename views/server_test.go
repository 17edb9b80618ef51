package views

import (
	"strings"
	"testing"
	"time"
)

func TestADayIsALineWithGaps(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first := now.Truncate(sampleSpan).Add(-(samplesShown - 1) * sampleSpan)
	sample := func(n int, up float64) ServerSample {
		return ServerSample{At: first.Add(time.Duration(n) * sampleSpan), Up: up, Load: 1}
	}
	half := func(ServerSample) float64 { return .5 }
	for name, c := range map[string]struct {
		samples []ServerSample
		line    string
		downs   string
	}{
		"nothing":               {nil, "", ""},
		"from the first on":     {[]ServerSample{sample(0, 1), sample(1, 1)}, "M0 50h.5L1 50", ""},
		"one missing is no gap": {[]ServerSample{sample(5, 1), sample(7, 1)}, "M5 50h.5L7 50", ""},
		"a gap":                 {[]ServerSample{sample(5, 1), sample(6, 0), sample(7, 0), sample(8, 1)}, "M5 50h.5M8 50h.5", "M6 97h1M7 97h1"},
		"older and newer ones":  {[]ServerSample{sample(-1, 1), sample(samplesShown, 1)}, "", ""},
	} {
		if got := dayLine(c.samples, now, half); got != c.line {
			t.Errorf("%s: the line is %q, want %q", name, got, c.line)
		}
		if got := downs(c.samples, now); got != c.downs {
			t.Errorf("%s: downs are %q, want %q", name, got, c.downs)
		}
	}
	if text := (ServerRow{Samples: []ServerSample{sample(1, 1), sample(2, 0)}}).dayText(); !strings.Contains(text, "online 50 %") {
		t.Error(text)
	}
}
