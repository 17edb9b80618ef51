package components

import (
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/a-h/templ"
)

func text(t *testing.T, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestProgressIsWrittenAndDrawnInOrder(t *testing.T) {
	t.Parallel()
	parts := []Part{{"is-success", 31, "succeeded"}, {"is-failure", 2, "failed"}, {"is-warning", 0, "partial"}, {"is-running", 4, "running"}, {"is-waiting", 11, "waiting"}}
	if got := ProgressText(parts); got != "31 succeeded, 2 failed, 4 running, 11 waiting" {
		t.Errorf("%q", got)
	}
	if got := ProgressText(nil); got != "none" {
		t.Errorf("of nothing: %q", got)
	}
	html := text(t, Progress(parts, "Batch 6 of 8"))
	if n := strings.Count(html, "<rect"); n != 3 {
		t.Errorf("%d parts are drawn, want those that have begun: %s", n, html)
	}
	for _, want := range []string{"<b>31</b> succeeded", `<span class="bad"><b>2</b> failed`, "<b>11</b> waiting", "Batch 6 of 8"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is missing in %s", want, html)
		}
	}
	if strings.Contains(html, "partial") {
		t.Errorf("a part without any is named: %s", html)
	}
}

func TestOneOfManyIsSeenAndTheWholeFillsTheBar(t *testing.T) {
	t.Parallel()
	list := stretches([]Part{{"is-success", 9999, ""}, {"is-failure", 1, ""}})
	end := 0.0
	for _, s := range list {
		x, err1 := strconv.ParseFloat(s.x, 64)
		width, err2 := strconv.ParseFloat(s.width, 64)
		if err1 != nil || err2 != nil || math.Abs(x-end) > 0.2 || width < leastStretch {
			t.Errorf("%+v begins not at %.1f or is too small", s, end)
		}
		end = x + width
	}
	if math.Abs(end-1000) > 0.3 {
		t.Errorf("the bar ends at %.1f of 1000", end)
	}
	if list := stretches([]Part{{"is-waiting", 5, ""}}); len(list) != 0 {
		t.Errorf("nothing has begun, and %+v is drawn", list)
	}
}

func TestALineOfValuesHasItsGapsAndStaysInItsBox(t *testing.T) {
	t.Parallel()
	if got := sparkPath([]float64{0, 50, math.NaN(), 200, 100}, 100); got != "M0.0 23.0L25.0 12.0M75.0 1.0L100.0 1.0" {
		t.Errorf("%q", got)
	}
	for _, values := range [][]float64{nil, {1}, {math.NaN()}} {
		if got := sparkPath(values, 0); strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
			t.Errorf("%v: %q", values, got)
		}
	}
}

func TestEverySignOfAHostIsInItsGrid(t *testing.T) {
	t.Parallel()
	html := text(t, Hosts([]Host{{ID: "1", Name: "edge-07", State: State{"is-failure", "cross", "Failed"}, Time: "0.2 s", Shown: true}}, []Part{{"is-failure", 1, "failed"}}))
	for _, use := range regexp.MustCompile(`href="#(sign-[a-z]+)"`).FindAllStringSubmatch(html, -1) {
		if !strings.Contains(html, `id="`+use[1]+`"`) {
			t.Errorf("%s is used and not there", use[1])
		}
	}
	for _, name := range signs {
		if shape(name) == "" {
			t.Errorf("there is no icon %q", name)
		}
	}
	for _, want := range []string{`id="host-1"`, `aria-pressed="true"`, `title="edge-07: Failed, 0.2 s"`, `class="sr">Failed`, "Failed 1", "All 1"} {
		if !strings.Contains(html, want) {
			t.Errorf("%s is missing in %s", want, html)
		}
	}
}

func TestStepsSayHowFarTheyAre(t *testing.T) {
	t.Parallel()
	html := text(t, Steps("test", []Step{{StepOK, "Connect", "", 12e6}, {StepFailed, "Host key", "It changed <since>.", 0}, {StepRunning, "Sign in", "", 0}, {StepPending, "Platform", "", 0}}))
	for _, want := range []string{`aria-live="polite"`, ": Done", "12 ms", ": Failed", "It changed &lt;since&gt;.", ": Running", ": Not begun"} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is missing in %s", want, html)
		}
	}
}
