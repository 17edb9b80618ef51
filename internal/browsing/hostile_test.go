package browsing

import (
	"encoding/json"
	"strings"
	"testing"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

// markup is a text that would run if it were ever read as HTML.
const markup = `<img src=x onerror=window.hacked=1><script>window.hacked=1</script>"'><svg onload=window.hacked=1>`

// harmless makes sure that nothing of the markup came to life.
func (p *page) harmless() {
	p.t.Helper()
	if browser.Eval[bool](p.Tab, "'hacked' in window || document.querySelector('img, [onerror], [onload], main script, iframe, [href^=\"javascript:\" i], [href^=\"data:\" i]') !== null") {
		p.t.Errorf("markup came to life on %s", browser.Eval[string](p.Tab, "location.pathname"))
	}
}

// hostileOutput shows an output full of markup, terminal sequences and bytes
// that are no text.
func hostileOutput(t *testing.T, s *site) {
	script := `import sys, cronium
markup = ` + quote(markup) + `
cronium.output({markup: [markup]})
def link(address, text): return "\x1b]8;;" + address + "\x1b\\" + text + "\x1b]8;;\x1b\\"
for line in [markup, link("javascript:window.hacked=1", "bad script"), link("data:text/html," + markup, "bad data"),
    link("https://example.com/?" + markup, "good link"), "\x1b[1;31mred\x1b[0m and \x1b[38;2;1;2;3m" + markup + "\x1b[m",
    "\x1b]0;title\x07after the title", "\x1b[38;5;url(x)mcolour", "progress 1\rprogress 2"]:
    print(line)
sys.stdout.flush()
sys.stdout.buffer.write(b"bytes \xff\xfe \x00 end\n" + b"x" * 100000 + b"\nlast line\n")
sys.stdout.flush()
sys.exit(markup)
`
	job := s.run(t, s.event(t, "Hostile output", cronium.EventPython, script))
	s.finished(t, job)
	p := s.person(t)
	p.open("/jobs/" + job.String())
	p.says("#job-failure", "Exit 1")
	p.says(".log-rows", "last line")
	text := browser.Eval[string](p.Tab, content(".log-x"))
	for _, want := range []string{markup, "bad script", "red and " + markup, "after the title", "colour", "progress 2", "bytes \ufffd\ufffd \u2400 end", "more in the download"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output does not show %q", want)
		}
	}
	if links := browser.Eval[string](p.Tab, "[...document.querySelectorAll('.log-x a')].map(a => a.protocol + ' ' + a.rel + ' ' + a.textContent).join('\\n')"); links != "https: noopener noreferrer nofollow good link" {
		t.Errorf("the links in the output are %q", links)
	}
	if title := browser.Eval[string](p.Tab, "document.title"); strings.HasPrefix(title, "title") {
		t.Errorf("the output changed the title to %q", title)
	}
	p.says("#job-failure pre", markup)
	p.harmless()
	p.clickText("Result")
	p.says("#job-result", "onerror")
	p.harmless()
	p.picture("run-hostile")
}

// hostileNames gives everything that has a name one that is markup.
func hostileNames(t *testing.T, s *site) {
	name := markup
	event := s.event(t, name, cronium.EventPython, "print(1)\n", func(c *cronium.Content) {
		schema, err := json.Marshal(map[string]any{"type": "object", "title": markup, "properties": map[string]any{
			"a": map[string]any{"type": "string", "title": markup, "description": markup, "default": markup},
			"b": map[string]any{"enum": []string{markup, "javascript:hacked=1"}}}})
		if err != nil {
			t.Fatal(err)
		}
		c.InputSchema = schema
		c.Input = json.RawMessage(`{"a": ` + quote(markup) + `}`)
		c.Environment = []cronium.Variable{{Name: "A", Value: markup}}
		c.Files = append(c.Files, cronium.File{Name: "<img src=x onerror=hacked=1>.py", Content: markup + "</textarea>" + markup})
	})
	job := s.run(t, event)
	s.finished(t, job)
	p := s.person(t)
	p.openEvent(event)
	p.says("h1", name)
	p.harmless()
	p.clickText("<img src=x onerror=hacked=1>.py")
	p.Wait("document.querySelector('cronium-editor').editor.getValue() === " + quote(markup+"</textarea>"+markup))
	p.harmless()
	p.edit("print('" + strings.ReplaceAll(markup, "'", "") + "')")
	p.fill("[name=note]", markup)
	p.chord("s", ctrl)
	p.says("#event .facts", "version 2, saved")
	p.harmless()
	for path, says := range map[string]string{
		"/": name, "/events?q=onerror": name, "/jobs?q=onerror": name, "/palette?q=onerror": name, "/events/" + event.String() + "/history": markup,
		"/events/" + event.String() + "/versions/2?compare=1": "onerror", "/events/" + event.String() + "/run": markup,
		"/events/" + event.String() + "/input": "", "/jobs/" + job.String() + "?tab=input": "onerror", "/jobs/" + job.String() + "?tab=version": "onerror",
		"/events?q=%3Cimg+src%3Dx+onerror%3Dhacked%3D1%3E": "", "/jobs?q=status:%3Cimg+src%3Dx+onerror%3Dhacked%3D1%3E": "<img",
	} {
		p.open(path)
		p.says("main", says)
		p.harmless()
	}
	p.openEvent(event)
	p.Click("details.menu:has(form[action$='/delete']) summary")
	p.Click("form[action$='/delete'] button")
	p.says("dialog[open]", name)
	p.harmless()
}
