package browsing

import (
	"context"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/internal/testenv/browser"
)

const ctrl = chromedp.ModifierCtrl

// page is a tab in which somebody looks at a site.
type page struct {
	*browser.Tab
	t    *testing.T
	site *site
}

// visitor is somebody who is not signed in.
func (s *site) visitor(t *testing.T) *page {
	t.Helper()
	return &page{browser.New(t), t, s}
}

// person is the administrator, signed in.
func (s *site) person(t *testing.T) *page {
	t.Helper()
	p := s.visitor(t)
	p.cookie(auth.CookieName, s.session)
	return p
}

func (p *page) cookie(name, value string) {
	p.t.Helper()
	command(p, network.SetCookie, network.SetCookieParams{Name: name, Value: value, URL: p.site.server.Address})
}

// command sends a command of the DevTools protocol.
func command[P, R any](p *page, c cdp.Command[P, R], params P) {
	p.t.Helper()
	p.Do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	}))
}

// open goes to a path of the site.
func (p *page) open(path string) {
	p.t.Helper()
	p.Open(p.site.server.Address + path)
}

func (p *page) openEvent(id cronium.ID) {
	p.t.Helper()
	p.open("/events/" + id.String())
	p.Wait("document.querySelector('cronium-editor')?.editor")
}

// says waits until the element that a CSS selector finds has the text.
func (p *page) says(selector, text string) {
	p.t.Helper()
	p.Wait(content(selector) + ".includes(" + quote(text) + ")")
}

// saysNot waits until no element that the selector finds has the text.
func (p *page) saysNot(selector, text string) {
	p.t.Helper()
	p.Wait("![...document.querySelectorAll(" + quote(selector) + ")].some(e => e.textContent.includes(" + quote(text) + "))")
}

// content is the JavaScript of the text of all that a selector finds.
func content(selector string) string {
	return "[...document.querySelectorAll(" + quote(selector) + ")].map(e => e.textContent).join('\\n')"
}

// present and absent wait for what a selector finds to come and to go.
func (p *page) present(selector string) {
	p.t.Helper()
	p.Wait("document.querySelector(" + quote(selector) + ")")
}

func (p *page) absent(selector string) {
	p.t.Helper()
	p.Wait("!document.querySelector(" + quote(selector) + ")")
}

// mark marks the document, and same tells that it is still that one: what the
// page shows came without another loading of it.
func (p *page) mark() {
	p.t.Helper()
	browser.Eval[bool](p.Tab, "window.marked = true")
}

func (p *page) same() {
	p.t.Helper()
	if !browser.Eval[bool](p.Tab, "window.marked === true") {
		p.t.Error("the page was loaded anew")
	}
}

// follow clicks on what leads to another document.
func (p *page) follow(selector string) {
	p.t.Helper()
	p.mark()
	p.Click(selector)
	p.Wait("!window.marked && document.readyState === 'complete'")
}

// clickText clicks on the first button or link in the content whose text begins
// so. What the page replaces meanwhile is looked for again.
func (p *page) clickText(text string) {
	p.t.Helper()
	p.OnElement(chromedp.Click(chromedp.Search(`//*[self::main or self::dialog[@open]]//*[self::a or self::button or self::summary][starts-with(normalize-space(.), "`+text+`")]`), chromedp.NodeVisible))
}

// chord presses a key together with others.
func (p *page) chord(key string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	p.Do(chromedp.KeyEvent(key, chromedp.KeyModifiers(modifiers...)))
}

// replace types a text in the place of what a field or the script editor that
// has the focus holds, as one piece, like a paste.
func (p *page) replace(text string) {
	p.t.Helper()
	p.chord("a", ctrl)
	p.Press(kb.Delete)
	command(p, input.InsertText, input.InsertTextParams{Text: text})
}

// edit puts a script into the editor.
func (p *page) edit(script string) {
	p.t.Helper()
	p.Click("cronium-editor .ace_scroller")
	p.Wait("document.activeElement.matches('.ace_text-input')")
	p.replace(script)
	p.Wait("document.querySelector('cronium-editor').editor.getValue() === " + quote(script))
}

// fill replaces the value of a field.
func (p *page) fill(selector, text string) {
	p.t.Helper()
	p.Click(selector)
	p.replace(text)
}

// selectOption chooses in a list.
func selectOption(selector, value string) browser.Step {
	return chromedp.SetValue(chromedp.CSS(selector), value)
}

// refused takes from what the browser reports that an answer had the status.
func (p *page) refused(status int) {
	p.t.Helper()
	problems := p.Problems()
	if len(problems) != 1 || !strings.Contains(problems[0], "status of "+strconv.Itoa(status)) {
		p.t.Errorf("the browser reports %q, want one answer %d", problems, status)
	}
}

// theme makes the system's colours dark or light, and has nothing move: axe
// would measure colours that are on their way.
func (p *page) theme(scheme string) {
	p.t.Helper()
	command(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// state waits for the state at the top of the page of a run.
func (p *page) state(words string) {
	p.t.Helper()
	p.says("#job-facts .badge", words)
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
