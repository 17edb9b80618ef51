package browsing

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/a-h/templ"
	"github.com/chromedp/chromedp/kb"

	"cronium.dev/internal/testenv/browser"
	"cronium.dev/static"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// TestParts looks at the parts of pages about many servers, on a page of their
// own: a thousand hosts, progress, steps, tags and small lines.
func TestParts(t *testing.T) {
	t.Parallel()
	states := []components.State{{Class: "is-success", Icon: "check", Label: "Success"}, {Class: "is-failure", Icon: "cross", Label: "Failed"},
		{Class: "is-running", Icon: "play", Label: "Running"}, {Class: "is-waiting", Icon: "clock", Label: "Waiting"}}
	parts := []components.Part{{Class: "is-success", Word: "succeeded"}, {Class: "is-failure", Word: "failed"}, {Class: "is-running", Word: "running"}, {Class: "is-waiting", Word: "waiting"}}
	var hosts []components.Host
	for i := range 1000 {
		state := 0
		switch {
		case i >= 740:
			state = 3
		case i >= 700:
			state = 2
		case i%50 == 49:
			state = 1
		}
		parts[state].Count++
		hosts = append(hosts, components.Host{ID: fmt.Sprint(i), Name: fmt.Sprintf("edge-%03d", i), State: states[state], Shown: i == 49})
	}
	hosts[0].Time = "0.2 s"
	shown := templ.Join(
		templ.Raw("<h1>Parts</h1><div class='panel phases'>"), components.Progress(parts, "Batch 6 of 8 · about 50 s left"), templ.Raw("</div>"),
		templ.Raw("<section class='panel'>"), components.Steps("steps", []components.Step{{State: components.StepOK, Text: "Connect", Took: 12e6}, {State: components.StepRunning, Text: "Sign in"},
			{State: components.StepFailed, Text: "Host key", Detail: "It is another one than the one that was confirmed."}, {Text: "Platform"}}), templ.Raw("</section><div class='panel body'><p class='facts'>"),
		components.Dot(states[0]), components.Dot(states[1]), components.Dot(states[3]), components.Tag("role", "web", "/"), components.Tag("env", "prod", ""),
		components.Spark([]float64{1, 3, 2, 8, 4, 9, 3}, 10, "Load of a day: 4 on average"), templ.Raw("</p></div><section class='panel'><header><h2>Hosts</h2></header>"), components.Hosts(hosts, parts), templ.Raw("</section>"))
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	frame := layout.Frame{Title: "Parts", Assets: assets, Modules: []string{"js/hosts.js"}}
	mux := http.NewServeMux()
	mux.Handle("/static/", assets)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := layout.Page(frame, nil).Render(templ.WithChildren(r.Context(), shown), w); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	p := &page{Tab: browser.New(t), t: t}
	p.theme("light")
	p.Open(server.URL)
	p.Wait("customElements.get('cronium-hosts') && document.fonts.status === 'loaded'")
	p.Axe()
	p.picture("parts-light")
	p.says(".phases", "686 succeeded")

	// The grid is one stop of Tab; arrows move in it, a press chooses.
	browser.Eval[bool](p.Tab, "document.addEventListener('cronium:host', (e) => window.chosen = e.detail), true")
	if stops := browser.Eval[int](p.Tab, "[...document.querySelectorAll('.host')].filter(h => h.tabIndex === 0).length"); stops != 1 {
		t.Errorf("Tab stops %d times in the grid", stops)
	}
	p.Click("#host-49")
	p.Wait("window.chosen === '49'")
	p.Press(kb.ArrowRight)
	p.Wait("document.activeElement.id === 'host-50' && document.activeElement.tabIndex === 0")
	p.Press(kb.End)
	p.Wait("document.activeElement.id === 'host-999'")
	p.Press(kb.Home)
	p.Press(kb.ArrowDown)
	p.Wait("document.activeElement.id !== 'host-0' && document.activeElement.offsetLeft === document.querySelector('#host-0').offsetLeft")
	p.Press(kb.Enter)
	p.Wait("document.querySelectorAll('.host[aria-pressed=true]').length === 1 && document.activeElement.ariaPressed === 'true'")

	p.clickText("Failed")
	p.Wait("[...document.querySelectorAll('.host:not([hidden])')].every(h => h.classList.contains('is-failure'))")
	p.clickText("All 1,000")
	p.Wait("document.querySelectorAll('.host[hidden]').length === 0")
	if ms := browser.Eval[float64](p.Tab, "(t => (document.querySelectorAll('.host').forEach(h => h.className = 'host is-success'), document.body.offsetHeight, performance.now() - t))(performance.now())"); ms > 200 {
		t.Errorf("a thousand hosts take %.0f ms to be drawn anew", ms)
	}

	p.theme("dark")
	p.Axe()
	p.picture("parts-dark")
	p.Size(360, 740)
	p.fits()
	p.picture("parts-phone")
}
