package browser_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"cronium.dev/internal/testenv"
	"cronium.dev/internal/testenv/browser"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// serve serves one page under a policy that allows no inline script.
func serve(t *testing.T, body string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", "default-src 'self'")
		w.Write([]byte("<!doctype html><html lang=en><title>Page</title><main><h1>Hello</h1>" + body + "</main>"))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestPageIsReadAndAccessible(t *testing.T) {
	t.Parallel()
	tab := browser.New(t)
	tab.Open(serve(t, "<button>Go</button>"))
	if h1 := tab.Text("h1"); h1 != "Hello" {
		t.Errorf("h1 is %q", h1)
	}
	tab.Axe()
}

func TestPageIsUsed(t *testing.T) {
	t.Parallel()
	tab := browser.New(t)
	tab.Open(serve(t, "<form><label>Name <input name=q></label><button>Go</button></form>"))
	tab.Type("input", "ada")
	tab.Click("button")
	tab.Wait("location.search === '?q=ada'")
	if n := browser.Eval[int](tab, "Promise.resolve(3)"); n != 3 {
		t.Errorf("the promise gave %d", n)
	}
}

func TestBrokenPolicyIsReported(t *testing.T) {
	t.Parallel()
	tab := browser.New(t)
	tab.Open(serve(t, "<script>document.title = 'hacked'</script>"))
	problems := strings.Join(tab.Problems(), "\n")
	if !strings.Contains(problems, "Content Security Policy") {
		t.Errorf("problems are %q, want the inline script", problems)
	}
}

func TestTabsShareNoCookies(t *testing.T) {
	t.Parallel()
	url := serve(t, "")
	one, other := browser.New(t), browser.New(t)
	one.Open(url)
	other.Open(url)
	first := browser.Eval[string](one, "document.cookie = 'a=1'; document.cookie")
	if second := browser.Eval[string](other, "document.cookie"); first != "a=1" || second != "" {
		t.Errorf("cookies are %q and %q, want a=1 in the first tab alone", first, second)
	}
}

func TestAnElementThatIsReplacedIsLookedForAgain(t *testing.T) {
	t.Parallel()
	tab := browser.New(t)
	tab.Open(serve(t, "<p></p>"))
	browser.Eval[bool](tab, `(() => {
		const put = () => document.querySelector("p").replaceChildren(Object.assign(document.createElement("button"), { textContent: "Go" }));
		put();
		const again = setInterval(put, 2);
		setTimeout(() => clearInterval(again), 3000);
		return true;
	})()`)
	for range 30 {
		tab.OnElement(chromedp.Focus(chromedp.CSS("p button"), chromedp.NodeVisible))
	}
}
