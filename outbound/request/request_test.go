package request_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cronium.dev/outbound"
	"cronium.dev/outbound/request"
)

// values are what templates find.
func values(name string) (json.RawMessage, error) {
	found, ok := map[string]string{
		"input.name": `"a&b\"/?#é"`, "input.n": `7`, "input.list": `[1,"x"]`, "secrets.KEY": `"s3cr3t"`, "input.lines": `"a\r\nX-Evil: 1"`,
		"variables.BASE": `"http://127.0.0.1:1"`, "input.template": `"{{secrets.KEY}}"`, "input.host": `"evil.example/?"`,
	}[name]
	if !ok {
		return nil, errors.New("there is none")
	}
	return json.RawMessage(found), nil
}

// echo answers with what it was sent.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "uri": r.RequestURI, "headers": r.Header, "body": string(body)})
	}))
	t.Cleanup(server.Close)
	return server
}

type echoed struct {
	Method, URI, Body string
	Headers           http.Header
}

func parse(t *testing.T, text string) *request.Request {
	t.Helper()
	r, err := request.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if problems := r.Validate(); len(problems) > 0 {
		t.Fatalf("%s: %v", text, problems)
	}
	return r
}

func send(t *testing.T, text string) (*request.Response, string, error) {
	t.Helper()
	var log strings.Builder
	response, err := parse(t, text).Send(t.Context(), nil, values, func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) })
	return response, log.String(), err
}

func TestValuesStayWhereTheyArePut(t *testing.T) {
	t.Parallel()
	server := echo(t)
	response, log, err := send(t, `{"method": "POST", "url": "`+server.URL+`/{{input.name}}/x?q={{ input.name }}&n={{input.n}}",
		"headers": [{"name": "X-Name", "value": "v {{input.n}}"}], "auth": {"type": "bearer", "token": "{{secrets.KEY}}"},
		"body": {"type": "json", "json": {"whole": "{{input.list}}", "number": "{{input.n}}", "part": "is {{input.name}}", "t": "{{input.template}}", "keep": 12345678901234567890}}}`)
	if err != nil {
		t.Fatal(err)
	}
	var got echoed
	if err := json.Unmarshal(response.Body, &got); err != nil {
		t.Fatal(err)
	}
	if want := `/a&b%22%2F%3F%23%C3%A9/x?q=a%26b%22%2F%3F%23%C3%A9&n=7`; got.URI != want {
		t.Errorf("address %s, want %s", got.URI, want)
	}
	if want := `{"keep":12345678901234567890,"number":7,"part":"is a&b\"/?#é","t":"{{secrets.KEY}}","whole":[1,"x"]}`; got.Body != want {
		t.Errorf("body %s, want %s", got.Body, want)
	}
	if got.Headers.Get("X-Name") != "v 7" || got.Headers.Get("Authorization") != "Bearer s3cr3t" || got.Headers.Get("Content-Type") != "application/json" {
		t.Errorf("%v", got.Headers)
	}
	if strings.Contains(log, "s3cr3t") || strings.Contains(log, "q=") || !strings.Contains(log, "> POST ") || !strings.Contains(log, "< 200 OK") {
		t.Errorf("the log is %q", log)
	}
}

func TestFormsTextsAndWaysToShowWhoSends(t *testing.T) {
	t.Parallel()
	server := echo(t)
	for _, test := range []struct{ with, body, header, value string }{
		{`"body": {"type": "form", "form": [{"name": "a b", "value": "{{input.name}}"}, {"name": "c", "value": "d"}]}`, "a+b=a%26b%22%2F%3F%23%C3%A9&c=d", "Content-Type", "application/x-www-form-urlencoded"},
		{`"body": {"type": "text", "text": "n={{input.n}}", "content_type": "text/csv"}`, "n=7", "Content-Type", "text/csv"},
		{`"auth": {"type": "basic", "user": "u", "password": "{{secrets.KEY}}"}`, "", "Authorization", "Basic dTpzM2NyM3Q="},
		{`"auth": {"type": "header", "header": "X-Api-Key", "token": "{{secrets.KEY}}"}`, "", "X-Api-Key", "s3cr3t"},
	} {
		response, _, err := send(t, `{"method": "PUT", "url": "`+server.URL+`", `+test.with+`}`)
		if err != nil {
			t.Fatal(err)
		}
		var got echoed
		if err := json.Unmarshal(response.Body, &got); err != nil || got.Body != test.body || got.Headers.Get(test.header) != test.value {
			t.Errorf("%s: %+v, %v", test.with, got, err)
		}
	}
}

func TestValuesCannotBecomeAnotherPartOfTheRequest(t *testing.T) {
	t.Parallel()
	server := echo(t)
	for _, with := range []string{
		`"url": "` + server.URL + `", "headers": [{"name": "X-A", "value": "{{input.lines}}"}]`,
		`"url": "` + server.URL + `", "auth": {"type": "bearer", "token": "{{input.lines}}"}`,
		`"url": "https://{{input.host}}.internal.example/"`,
		`"url": "https://user{{input.n}}@example.com/"`,
		`"url": "` + server.URL + `/{{input.nothing}}"`,
	} {
		if response, _, err := send(t, `{"method": "GET", `+with+`}`); err == nil {
			t.Errorf("%s was sent: %s", with, response.Body)
		}
	}
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `[]`, `{"method": "GET"} {}`, `{"methode": "GET"}`, `{"url": 7}`, strings.Repeat(" ", 1<<20+1),
	} {
		if _, err := request.Parse([]byte(text)); err == nil {
			t.Errorf("%.40q was read", text)
		}
	}
	for with, field := range map[string]string{
		`"method": "get"`: "method", `"method": "CONNECT"`: "method", `"url": ""`: "url", `"url": "ftp://a.example/"`: "url",
		`"headers": [{"name": "Host", "value": "x"}]`: "headers[0].name", `"headers": [{"name": "a b", "value": "x"}]`: "headers[0].name",
		`"headers": [{"name": "A", "value": "x\ny"}]`: "headers[0].value", `"auth": {"type": "oauth"}`: "auth.type", `"auth": {"type": "header"}`: "auth.header",
		`"body": {"type": "xml"}`: "body.type", `"body": {"type": "json"}`: "body.json", `"expect": {"status": "ok"}`: "expect.status", `"expect": {"status": "300-200"}`: "expect.status",
		`"expect": {"json": [{"path": "a", "is": "exists"}]}`: "expect.json[0]", `"expect": {"json": [{"path": ".a", "is": "like"}]}`: "expect.json[0]",
		`"expect": {"json": [{"path": ".a", "is": "matches", "value": "("}]}`: "expect.json[0]", `"expect": {"json": [{"path": ".a", "is": "above", "value": "1"}]}`: "expect.json[0]",
		`"tls": {"ca": "x"}`: "tls.ca", `"tls": {"key": "x"}`: "tls.key", `"timeout_seconds": 4000`: "timeout_seconds", `"max_response_kib": 9999`: "max_response_kib",
		`"url": "https://a.example/{{env.HOME}}"`: "templates", `"url": "https://a.example/{{variables.}}"`: "templates",
	} {
		text := `{"method": "GET", "url": "https://a.example/", ` + with + `}`
		r, err := request.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if problems := r.Validate(); len(problems) == 0 || problems[0].Field != field {
			t.Errorf("%s: %v", with, problems)
		}
	}
}

func TestAnswersAreCompared(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"state": "ok", "n": 3.0, "items": [{"id": 1}, {"id": 2}], "none": null}`)
	}))
	t.Cleanup(server.Close)
	for expect, right := range map[string]bool{
		`{}`: true, `{"status": "200"}`: false, `{"status": "200, 202"}`: true, `{"status": "400-499,201-203"}`: true,
		`{"json": [{"path": ".state", "is": "equals", "value": "ok"}]}`: true, `{"json": [{"path": ".state", "is": "equals", "value": "bad"}]}`: false,
		`{"json": [{"path": ".n", "is": "equals", "value": 3}]}`: true, `{"json": [{"path": ".n", "is": "differs", "value": 3}]}`: false,
		`{"json": [{"path": ".n", "is": "above", "value": 2.5}, {"path": ".n", "is": "below", "value": 4}]}`: true, `{"json": [{"path": ".state", "is": "above", "value": 1}]}`: false,
		`{"json": [{"path": ".items[1].id", "is": "equals", "value": 2}]}`: true, `{"json": [{"path": ".items[2]", "is": "exists"}]}`: false,
		`{"json": [{"path": ".items", "is": "contains", "value": {"id": 1}}]}`: true, `{"json": [{"path": ".", "is": "contains", "value": "state"}]}`: true,
		`{"json": [{"path": ".none", "is": "exists"}, {"path": ".gone", "is": "missing"}]}`: true, `{"json": [{"path": ".none", "is": "missing"}]}`: false,
		`{"json": [{"path": ".state", "is": "matches", "value": "^o"}]}`: true, `{"json": [{"path": ".state", "is": "contains", "value": "x"}]}`: false,
	} {
		r := parse(t, `{"method": "GET", "url": "`+server.URL+`", "expect": `+expect+`}`)
		response, err := r.Send(t.Context(), nil, values, func(string, ...any) {})
		if err != nil {
			t.Fatal(err)
		}
		if wrong := r.Check(response); (len(wrong) == 0) != right {
			t.Errorf("%s: %q", expect, wrong)
		}
	}
}

func TestAnswersAreBoundedAndKeptAsTheyAre(t *testing.T) {
	t.Parallel()
	answer := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		sent, kept string
		truncated  bool
	}{
		{`{"a": 1}`, `{"a": 1}`, false}, {"text é", `"text é"`, false}, {"", `""`, false}, {"\xff\x00", `{"base64":"/wA="}`, false},
		{strings.Repeat("é", 600), `"` + strings.Repeat("é", 512) + `"`, true}, {"x" + strings.Repeat("é", 600), `"x` + strings.Repeat("é", 511) + `"`, true},
	} {
		answer = test.sent
		response, _, err := send(t, `{"method": "GET", "url": "`+server.URL+`", "max_response_kib": 1}`)
		if err != nil || string(response.Body) != test.kept || response.Truncated != test.truncated {
			t.Errorf("%.30q: %+v, %v", test.sent, response, err)
		}
	}
}

func TestWhatIsNotReachedIsToldFromWhatMayNotBe(t *testing.T) {
	t.Parallel()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	var unreached *request.Unreached
	if _, _, err := send(t, `{"method": "GET", "url": "{{variables.BASE}}/x?key={{secrets.KEY}}"}`); !errors.As(err, &unreached) || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a closed port: %v", err)
	}
	began := time.Now()
	if _, _, err := send(t, `{"method": "GET", "url": "`+slow.URL+`", "timeout_seconds": 1}`); !errors.As(err, &unreached) || time.Since(began) > 10*time.Second {
		t.Errorf("no answer: %v", err)
	}
	// The guard's refusal is final.
	r := parse(t, `{"method": "GET", "url": "`+slow.URL+`"}`)
	_, err := r.Send(t.Context(), &outbound.Guard{}, values, func(string, ...any) {})
	if err == nil || errors.As(err, &unreached) || !strings.Contains(err.Error(), "allow list") {
		t.Errorf("refused: %v", err)
	}
}

func TestRedirectsAreFollowedOrKept(t *testing.T) {
	t.Parallel()
	end := echo(t)
	server := httptest.NewServer(http.RedirectHandler(end.URL+"/end", http.StatusFound))
	t.Cleanup(server.Close)
	response, log, err := send(t, `{"method": "GET", "url": "`+server.URL+`"}`)
	if err != nil || response.Status != http.StatusOK || !strings.Contains(log, "redirected") {
		t.Errorf("%+v, %v, %q", response, err, log)
	}
	response, _, err = send(t, `{"method": "GET", "url": "`+server.URL+`", "keep_redirects": true}`)
	if err != nil || response.Status != http.StatusFound || response.Headers["location"] != end.URL+"/end" {
		t.Errorf("%+v, %v", response, err)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	ca, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	if err != nil {
		t.Fatal(err)
	}
	for options, good := range map[string]bool{
		`{}`: false, `{"insecure": true}`: true, `{"ca": ` + string(ca) + `}`: true, `{"ca": ` + string(ca) + `, "server_name": "other.example"}`: false,
	} {
		if _, _, err := send(t, `{"method": "GET", "url": "`+server.URL+`", "tls": `+options+`}`); (err == nil) != good {
			t.Errorf("%.60s: %v", options, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"method":"GET","url":"https://a/{{input.x}}","body":{"type":"json","json":{"a":["{{input}}"]}}}`), `"v"`)
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		r, err := request.Parse(data)
		if err != nil || len(r.Validate()) > 0 {
			return
		}
		if !json.Valid([]byte(value)) {
			value = "null"
		}
		closed := outbound.Guard{}
		r.URL, r.TimeoutSeconds = "http://127.0.0.1:1/"+strings.TrimPrefix(r.URL, "https://"), 1
		if _, err := r.Send(t.Context(), &closed, func(string) (json.RawMessage, error) { return json.RawMessage(value), nil }, func(string, ...any) {}); err == nil {
			t.Error("it was sent past the guard")
		}
	})
}
