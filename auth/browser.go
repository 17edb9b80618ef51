package auth

import "strings"

// BrowserName puts what a browser says of itself (its User-Agent) into words
// that its owner recognises: "Firefox on Linux". What it is not sure of is "A
// browser" or is left out; nothing of the text itself is in the answer.
func BrowserName(agent string) string {
	name, system := "", ""
	// The order matters: each says that it is those after it, too.
	for _, b := range [][2]string{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"},
		{"CriOS/", "Chrome"}, {"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	} {
		if strings.Contains(agent, b[0]) {
			name = b[1]
			break
		}
	}
	for _, s := range [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	} {
		if strings.Contains(agent, s[0]) {
			system = s[1]
			break
		}
	}
	if name == "" {
		name = "A browser"
	}
	if system == "" {
		return name
	}
	return name + " on " + system
}
