package views

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
	"cronium.dev/diff"
	"cronium.dev/static"
	"cronium.dev/views/layout"
)

func TestAFormSaysWhatItWasMadeFrom(t *testing.T) {
	t.Parallel()
	c := cronium.NewContent(cronium.EventBash)
	c.Limits.TimeoutSeconds, c.Retry.InitialSeconds, c.Retry.ExitCodes = 5400, 90, []int{75, 111}
	c.Input = json.RawMessage(`{"a":1}`)
	f := FormOf(&cronium.Event{Name: "x", Version: 3}, &c)
	if f.Timeout != "1 h 30 min" || f.Initial != "90 s" || f.ExitCodes != "75, 111" || f.Base != 3 || f.Files[f.Entry].Name != c.Entry {
		t.Errorf("form: %+v", f)
	}
	for text, want := range map[string]float64{f.Timeout: 5400, f.Initial: 90, f.MaxWait: 600, "300": 300, "2h": 7200, "1.5 min": 90, "500 ms": 0.5} {
		if got, ok := ParseSpan(text); !ok || got != want {
			t.Errorf("ParseSpan(%q) = %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "soon", "5 parsecs", "-", "5 min 3", "1e"} {
		if got, ok := ParseSpan(text); ok {
			t.Errorf("ParseSpan(%q) = %v", text, got)
		}
	}
}

func TestAChipTakesThePlaceOfItsKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, word, want string }{
		{"", "status:failed", "status:failed"},
		{"backup status:failed", "status:failed", "backup"},
		{"status:open backup", "status:failed", "backup status:failed"},
		{"since:2d", "status:open", "since:2d status:open"},
	} {
		if got := toggled(c.query, c.word); got != c.want {
			t.Errorf("toggled(%q, %q) = %q, want %q", c.query, c.word, got, c.want)
		}
	}
}

func TestARunningPhaseNeverLooksFinished(t *testing.T) {
	t.Parallel()
	started := time.Now()
	e := cronium.Execution{ID: cronium.NewID(), Attempt: 1, Status: cronium.ExecutionRunning, StartedAt: &started, Setup: time.Millisecond}
	p := Run{Executions: []cronium.Execution{e}, Shown: &e, Content: cronium.NewContent(cronium.EventPython), Usual: time.Second}
	p.Job.ID, p.Job.Status = e.ID, cronium.JobRunning
	for _, after := range []time.Duration{0, time.Second, time.Hour} {
		p.Now = started.Add(after)
		segments := p.segments()
		last := segments[len(segments)-1]
		if !last.grows || len(last.width) > 5 || last.width >= "975" && len(last.width) == 5 {
			t.Errorf("after %v: %+v", after, segments)
		}
	}
}

func TestChangedLinesStandSideBySide(t *testing.T) {
	t.Parallel()
	rows := sideBySide(diff.Lines("a\nb\nc\n", "a\nB\nB2\nc\n"))
	var got []string
	for _, r := range rows {
		got = append(got, strings.Join([]string{r.left, r.leftText, r.right, r.rightText, r.class}, "|"))
	}
	want := []string{"1|a|1|a|", "2|b|2|B|changed", "||3|B2|inserted", "3|c|4|c|"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	start, middle, end := parts("chunks(rows, 50)", "chunks(rows, 25)")
	if start+middle+end != "chunks(rows, 50)" || middle != "50" {
		t.Errorf("parts: %q %q %q", start, middle, end)
	}
}

func TestOnlyWhatDiffersIsListedOfSettings(t *testing.T) {
	t.Parallel()
	a := cronium.NewContent(cronium.EventPython)
	b := a
	b.Limits.MemoryMiB = 512
	b.Environment = []cronium.Variable{{Name: "A", Value: "1"}}
	if got := changedSettings(&a, &a); len(got) != 0 {
		t.Errorf("the same: %v", got)
	}
	got := changedSettings(&a, &b)
	if len(got) != 2 || got[0] != (setting{"Memory", "256 MiB", "512 MiB"}) || got[1] != (setting{"A", "", "1"}) {
		t.Errorf("changed: %v", got)
	}
	if got := changedSettings(&b, &a); len(got) != 2 || got[1] != (setting{"A", "1", ""}) {
		t.Errorf("taken away: %v", got)
	}
}

// TestNothingOfAPersonBecomesMarkup puts markup into all that people and
// scripts can name, on the pages that show it.
func TestNothingOfAPersonBecomesMarkup(t *testing.T) {
	t.Parallel()
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	const evil = `"'></textarea></title><img src=x onerror=alert(1)>`
	frame := layout.Frame{Title: evil, Assets: assets, Theme: evil, Said: evil, Principal: &cronium.Principal{UserName: evil, Role: cronium.RoleAdmin}}
	event := cronium.Event{ID: cronium.NewID(), Name: evil, Description: evil, Type: cronium.EventPython, Status: cronium.EventActive, Version: 1}
	content := cronium.NewContent(cronium.EventPython)
	content.Files = []cronium.File{{Name: evil, Content: evil}}
	content.Image, content.Input = evil, json.RawMessage(`"`+"</pre><img src=x onerror=alert(1)>"+`"`)
	content.Environment = []cronium.Variable{{Name: evil, Value: evil}}
	code := 1
	execution := cronium.Execution{ID: cronium.NewID(), Attempt: 1, Status: cronium.ExecutionFailure, ExitCode: &code, Error: evil}
	row := JobRow{Job: cronium.Job{ID: cronium.NewID(), Status: cronium.JobFailed, Result: cronium.ResultFailure, TriggeredBy: evil, Error: evil, Input: content.Input, Output: content.Input}, EventName: evil}
	head := EventHead{Event: event, AuthorOf: evil}
	version := cronium.EventVersion{Number: 2, Content: content, Note: evil, AuthorName: evil}
	other := cronium.EventVersion{Number: 1, Content: cronium.NewContent(cronium.EventPython)}
	for name, c := range map[string]templ.Component{
		"home":    Home{Frame: frame, Jobs: []JobRow{row}, Attention: []AttentionItem{{EventName: evil, LastError: evil}}}.Page(),
		"jobs":    Jobs{Frame: frame, Query: evil, Problems: []string{evil}, Rows: []JobRow{row}}.Page(),
		"events":  Events{Frame: frame, Query: evil, Rows: []EventRow{{Event: event}}}.Page(),
		"event":   Event{Frame: frame, EventHead: head, Form: FormOf(&event, &content), Content: content, Message: evil, Problems: cronium.Problems{{Field: evil, Message: evil}}}.Page(),
		"run":     Run{Frame: frame, Job: row, Content: content, Executions: []cronium.Execution{execution}, Shown: &execution, LastLines: []string{evil}}.Page(),
		"changes": Run{Frame: frame, Job: row, Content: content, Executions: []cronium.Execution{execution}, Shown: &execution, LastLines: []string{evil}}.Changes(),
		"history": EventHistory{Frame: frame, EventHead: head, Versions: []cronium.EventVersion{version}}.Page(),
		"version": Version{Frame: frame, EventHead: head, Shown: version}.Page(),
		"compare": Version{Frame: frame, EventHead: head, Shown: version, Compare: &other}.Page(),
		"form":    EventRun{Frame: frame, Event: event, Input: evil, Fields: []InputField{{Name: evil, Label: evil, Help: evil, Kind: "enum", Options: []string{evil}}}}.Page(),
		"palette": Palette{Frame: frame, Query: evil, Events: []cronium.Event{event}, Jobs: []JobRow{row}}.Page(),
		"error":   ErrorPage{Frame: frame, Message: evil, TraceID: evil}.Page(),
	} {
		var html strings.Builder
		if err := c.Render(t.Context(), &html); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(html.String(), "<img") {
			at := strings.Index(html.String(), "<img")
			t.Errorf("%s: markup came through: …%s", name, html.String()[max(0, at-200):at+40])
		}
		if strings.Contains(html.String(), " style=") || strings.Contains(html.String(), "javascript:") {
			t.Errorf("%s: has what the content policy forbids", name)
		}
	}
}
