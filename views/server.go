package views

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
)

// ServerRow is a server as lists and its page show it.
type ServerRow struct {
	cronium.Server
	Status  cronium.ServerStatus
	Running int
	Samples []ServerSample // of the last day, the oldest first
}

// ServerSample is how a server was in one span of its history.
type ServerSample struct {
	At      time.Time
	Up      float64 // share of the answers that it gave
	Load    float64
	Memory  float64 // share used
	Disk    float64 // share used
	Latency time.Duration
}

// sampleSpan is the length of one span, and samplesShown how many make a day.
const (
	sampleSpan   = 5 * time.Minute
	samplesShown = 288
)

func (r ServerRow) url() string { return "/servers/" + r.ID.String() }

// where is the address as one dials it, or from where the agent dialled in.
func (r ServerRow) where() string {
	if r.Kind == cronium.ServerAgent {
		return r.Status.Address
	}
	where := r.Login + "@" + r.Address
	if r.Port != 22 {
		where += ":" + strconv.Itoa(r.Port)
	}
	return where
}

// known tells whether there are figures.
func (r ServerRow) known() bool { return r.Status.CPUs > 0 || r.Status.MemoryTotal > 0 }

func (r ServerRow) load() string { return fmt.Sprintf("%.2f", r.Status.Load1) }

// loadClass marks more processes than processors.
func (r ServerRow) loadClass() string {
	if r.Status.CPUs > 0 && r.Status.Load1 > 1.5*float64(r.Status.CPUs) {
		return "warn"
	}
	return ""
}

func share(used, total int64) string {
	if total <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", (100*used+total/2)/total)
}

// shareClass marks what is nearly full.
func shareClass(used, total int64) string {
	switch {
	case total > 0 && used*100 >= total*95:
		return "bad"
	case total > 0 && used*100 >= total*85:
		return "warn"
	}
	return ""
}

// label is a tag as a chip shows it.
func label(key, value string) string {
	if value == "" {
		return key
	}
	return key + "=" + value
}

// tagLabels are the tags as chips show them, in order.
func tagLabels(tags map[string]string) []string {
	var labels []string
	for _, key := range sortedKeys(tags) {
		labels = append(labels, label(key, tags[key]))
	}
	return labels
}

func sortedKeys(tags map[string]string) []string { return slices.Sorted(maps.Keys(tags)) }

func filterURL(query string) string { return "/servers?q=" + url.QueryEscape(query) }

func tagURL(key, value string) string {
	if strings.ContainsAny(value, ` "`) {
		value = `"` + strings.ReplaceAll(value, `"`, "") + `"`
	}
	return filterURL("tag:" + label(key, value))
}

// dayLine is a day's history as the path of an SVG of samplesShown by 100 units;
// value is from 0 to 1. Spans without an answer are gaps.
func dayLine(samples []ServerSample, now time.Time, value func(ServerSample) float64) string {
	var path strings.Builder
	first := now.Truncate(sampleSpan).Add(-(samplesShown - 1) * sampleSpan)
	last := -3 // so that the first begins with a move
	for _, s := range samples {
		x := int(s.At.Sub(first) / sampleSpan)
		if x < 0 || x >= samplesShown || s.Up == 0 {
			continue
		}
		y := 98 - 96*max(0, min(1, value(s)))
		command := "L"
		if x > last+2 { // one missing span is no gap
			command = "M"
		}
		fmt.Fprintf(&path, "%s%d %.0f", command, x, y)
		if command == "M" {
			path.WriteString("h.5") // so that one alone is seen
		}
		last = x
	}
	return path.String()
}

// downs are the spans in which a server did not answer at all, as a path along
// the bottom.
func downs(samples []ServerSample, now time.Time) string {
	var path strings.Builder
	first := now.Truncate(sampleSpan).Add(-(samplesShown - 1) * sampleSpan)
	for _, s := range samples {
		if x := int(s.At.Sub(first) / sampleSpan); x >= 0 && x < samplesShown && s.Up < .5 {
			fmt.Fprintf(&path, "M%d 97h1", x)
		}
	}
	return path.String()
}

// loadShare is a load against all processors, of which twice as much is the top.
func (r ServerRow) loadShare(s ServerSample) float64 {
	return s.Load / float64(2*max(r.Status.CPUs, 1))
}

// dayText says a day in words, for those who do not see the line.
func (r ServerRow) dayText() string {
	if len(r.Samples) == 0 {
		return "no history yet"
	}
	up, load := 0.0, 0.0
	for _, s := range r.Samples {
		up += s.Up
		load = max(load, s.Load)
	}
	return fmt.Sprintf("online %.0f %% of the last 24 hours, load at most %.1f", 100*up/float64(len(r.Samples)), load)
}

// longest is the highest latency, for the scale of a line; at least 1 ms.
func longest(samples []ServerSample) time.Duration {
	var most time.Duration
	for _, s := range samples {
		most = max(most, s.Latency)
	}
	return max(most, time.Millisecond)
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	return components.Number(d.Milliseconds()) + " ms"
}

// skewed tells whether a server's clock is off by what matters.
func (r ServerRow) skewed() bool {
	return r.Status.ClockSkew > 5*time.Second || r.Status.ClockSkew < -5*time.Second
}

func (r ServerRow) skew() string {
	if r.Status.ClockSkew < 0 {
		return components.Span(-r.Status.ClockSkew) + " behind"
	}
	return components.Span(r.Status.ClockSkew) + " ahead"
}

// pieces cuts a text into parts of at most 12 characters.
func pieces(text string) (parts []string) {
	for part := range slices.Chunk([]rune(text), 12) {
		parts = append(parts, string(part))
	}
	return parts
}
