package auth_test

import (
	"testing"

	"cronium.dev/auth"
)

func TestBrowsersAreNamedInWords(t *testing.T) {
	t.Parallel()
	const chrome = " AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + chrome:                                                                                      "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64)" + chrome + " Edg/141.0.0.0":                                                                   "Edge on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"curl/8.9.1":                     "curl",
		"":                               "A browser",
		"<script>alert(1)</script> \x00": "A browser",
	} {
		if got := auth.BrowserName(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}
