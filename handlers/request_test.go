package handlers_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cronium.dev/cronium"
)

// requestFields is the editor's form of an HTTP request event.
func requestFields(base string, pairs ...string) url.Values {
	v := form(base)
	v.Del("file_name")
	v.Del("file_content")
	for name, value := range map[string]string{
		"request": "1", "request.method": "POST", "request.url": "https://api.example.com/{{input.id}}", "request.headers": "Accept: text/plain\nX-Empty:",
		"request.auth": "bearer", "request.token": "{{secrets.KEY}}", "request.body": "json", "request.text": `{"n": "{{input.n}}"}`,
		"request.status": "201", "request.assertions": `.state equals "ok"` + "\n.gone missing", "request.timeout": "5 s", "request.max_response": "100", "request.redirects": "true",
	} {
		v.Set(name, value)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func TestARequestIsAFormAndAFile(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	res := b.post("/events", url.Values{"name": {"Ask"}, "type": {"HTTP_REQUEST"}, "description": {""}})
	res.want(t, http.StatusSeeOther)
	event := res.Header.Get("Location")
	b.get(event).want(t, http.StatusOK, `value="https://example.com/"`, "Expected status", "HTTP request")

	b.post(event, requestFields("1", "name", "Ask")).want(t, http.StatusSeeOther)
	b.get(event).want(t, http.StatusOK, "https://api.example.com/{{input.id}}", "Accept: text/plain", "{{secrets.KEY}}", ".state equals &#34;ok&#34;\n.gone missing", `value="5 s"`, "Save version 3")
	id, _ := cronium.ParseID(strings.TrimPrefix(event, "/events/"))
	version, err := s.store.EventVersion(t.Context(), s.home, id, 2)
	if err != nil {
		t.Fatal(err)
	}
	file := version.Content.Files[0]
	for _, part := range []string{`"method": "POST"`, `"name": "X-Empty"`, `"type": "bearer"`, `"n": "{{input.n}}"`, `"status": "201"`, `"is": "missing"`, `"timeout_seconds": 5`} {
		if file.Name != "request.json" || !strings.Contains(file.Content, part) {
			t.Errorf("%s has no %s: %s", file.Name, part, file.Content)
		}
	}
	// The same again is no new version.
	b.post(event, requestFields("2", "name", "Ask")).want(t, http.StatusSeeOther)
	b.get(event).want(t, http.StatusOK, "Save version 3")
}

func TestWhatIsWrongWithARequestStandsAtItsField(t *testing.T) {
	t.Parallel()
	s := newPeopledSite(t)
	b := s.signedIn(t, "mira@example.com")
	event := b.post("/events", url.Values{"name": {"Ask"}, "type": {"HTTP_REQUEST"}, "description": {""}}).Header.Get("Location")
	for _, wrong := range [][3]string{
		{"request.url", "ftp://a.example/", "f-request-url-problem"}, {"request.url", "https://a.example/{{env.X}}", "f-request-url-problem"},
		{"request.headers", "no colon", "f-request-headers-problem"}, {"request.headers", "Host: evil.example", "f-request-headers-problem"},
		{"request.text", `{"n":`, "f-request-text-problem"}, {"request.status", "fine", "f-request-status-problem"},
		{"request.assertions", ".state equals ok", "f-request-assertions-problem"}, {"request.assertions", "state exists", "f-request-assertions-problem"},
		{"request.timeout", "soon", "f-request-timeout-problem"}, {"request.max_response", "9999", "f-request-max_response-problem"}, {"request.ca", "x", "f-request-ca-problem"},
		{"request.method", "CONNECT", "f-request-method"},
	} {
		b.post(event, requestFields("1", "name", "Ask", wrong[0], wrong[1])).want(t, http.StatusUnprocessableEntity, wrong[2], "{{secrets.KEY}}")
	}
	api := s.program(t, cronium.ScopeWrite)
	fields := fields(t, api.call("POST", "/events", object{"name": "Ask by API", "type": "HTTP_REQUEST", "content": object{
		"files": []object{{"name": "request.json", "content": `{"method": "GET", "url": "file:///etc/passwd"}`}}}}), http.StatusUnprocessableEntity)
	if len(fields) != 1 || fields[0] != "request.url" {
		t.Errorf("%q", fields)
	}
}
