package static_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"cronium.dev/static"
)

func files(t *testing.T) *static.Files {
	t.Helper()
	files, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func get(files *static.Files, path, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	files.ServeHTTP(w, r)
	return w
}

func TestEveryFileIsTheSameInEachEncoding(t *testing.T) {
	t.Parallel()
	files := files(t)
	for _, name := range files.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := get(files, files.URL(name), "").Body.Bytes()
			if len(plain) == 0 {
				t.Fatal("is empty")
			}
			for _, accept := range []string{"br, gzip", "gzip", "gzip;q=0, br;q=0.5"} {
				w := get(files, files.URL(name), accept)
				body := io.Reader(w.Body)
				switch w.Header().Get("Content-Encoding") {
				case "br":
					body = brotli.NewReader(body)
				case "gzip":
					var err error
					if body, err = gzip.NewReader(body); err != nil {
						t.Fatal(err)
					}
				}
				unpacked, err := io.ReadAll(body)
				if err != nil || !bytes.Equal(unpacked, plain) {
					t.Errorf("accepting %q: %d bytes, want %d (%v)", accept, len(unpacked), len(plain), err)
				}
				if accept == "gzip" && w.Header().Get("Content-Encoding") == "br" {
					t.Error("brotli for a browser that did not offer it")
				}
			}
		})
	}
}

func TestOnlyTheAddressOfThisBuildIsKeptForever(t *testing.T) {
	t.Parallel()
	files := files(t)
	now := get(files, files.URL("js/app.js"), "br")
	if got := now.Header().Get("Cache-Control"); !strings.Contains(got, "immutable") {
		t.Errorf("of this build: Cache-Control %q", got)
	}
	other := get(files, "/static/0123456789ab/js/app.js", "br")
	if got := other.Header().Get("Cache-Control"); other.Code != http.StatusOK || got != "no-cache" {
		t.Errorf("of another build: %d, Cache-Control %q", other.Code, got)
	}
	r := httptest.NewRequest(http.MethodGet, "/static/0123456789ab/js/app.js", nil)
	r.Header.Set("Accept-Encoding", "br")
	r.Header.Set("If-None-Match", other.Header().Get("ETag"))
	w := httptest.NewRecorder()
	files.ServeHTTP(w, r)
	if w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("asked again: %d with %d bytes", w.Code, w.Body.Len())
	}
}

func TestNothingElseIsServed(t *testing.T) {
	t.Parallel()
	files := files(t)
	for _, path := range []string{"/static/", "/static/js/app.js", "/static/x/../static.go", "/static/x/static.go", files.URL("js"), files.URL(""), files.URL("nothing.js"), files.URL("vendor/.stamp")} {
		if w := get(files, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodPost, files.URL("js/app.js"), nil)
	w := httptest.NewRecorder()
	if files.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func sources(t *testing.T, pattern string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	all := map[string]string{}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(body)
	}
	return all
}

func TestStyleSheetsStaySmallAndColoursInOneFile(t *testing.T) {
	t.Parallel()
	colour := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|\b(rgb|hsl|oklch)a?\(`)
	total := 0
	for name, css := range sources(t, "css/*.css") {
		total += len(css)
		if found := colour.FindString(withoutIDs(css)); found != "" && name != "css/tokens.css" {
			t.Errorf("%s names the colour %s; colours are in tokens.css", name, found)
		}
	}
	if total > 30_000 {
		t.Errorf("the style sheets have %d bytes, at most 30,000 are wanted", total)
	}
}

// withoutIDs leaves out selectors like #test, which look like colours.
func withoutIDs(css string) string {
	return regexp.MustCompile(`(?m)^[^{}]*\{`).ReplaceAllString(css, "{")
}

func TestTheFontsThatPagesPreloadAreThoseOfTheStyleSheet(t *testing.T) {
	t.Parallel()
	files := files(t)
	sheet := get(files, files.URL(static.StyleSheet), "").Body.String()
	for _, font := range []string{static.TextFont, static.CodeFont} {
		if w := get(files, files.URL(font), ""); w.Code != http.StatusOK || !strings.Contains(sheet, `url("../`+font+`")`) {
			t.Errorf("%s: %d, or the style sheet does not ask for it", font, w.Code)
		}
	}
}

func TestScriptsReadNoTextAsMarkupOrCode(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`\binnerHTML\b|\bouterHTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("(on|style)`)
	for name, script := range sources(t, "js/*.js") {
		for i, line := range strings.Split(script, "\n") {
			if found := forbidden.FindString(line); found != "" && !strings.Contains(line, `swap: "innerHTML"`) {
				t.Errorf("%s:%d: %s", name, i+1, found)
			}
			if strings.Count(line, "`")%2 != 0 {
				t.Errorf("%s:%d: a text goes over the end of the line, which serving without indentation would change", name, i+1)
			}
		}
	}
}

func TestEveryImportOfAScriptIsThere(t *testing.T) {
	t.Parallel()
	files := files(t)
	imports := regexp.MustCompile(`(?m)^import .*?"\./(.+?)";`)
	for name, script := range sources(t, "js/*.js") {
		for _, m := range imports.FindAllStringSubmatch(script, -1) {
			if w := get(files, files.URL("js/"+m[1]), ""); w.Code != http.StatusOK {
				t.Errorf("%s imports %s, which is not served", name, m[1])
			}
		}
	}
}
