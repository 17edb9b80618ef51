package handlers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cronium.dev/cronium"
	outgoing "cronium.dev/outbound/request"
	"cronium.dev/views"
	"cronium.dev/views/components"
)

// requestFormOf shows the request of an HTTP request event.
func requestFormOf(c *cronium.Content) views.RequestForm {
	raw := ""
	for _, f := range c.Files {
		if f.Name == c.Entry {
			raw = f.Content
		}
	}
	r, err := outgoing.Parse([]byte(raw))
	if err != nil || len(c.Files) != 1 {
		return views.RequestForm{Raw: raw + "\n"}
	}
	f := views.RequestForm{
		Method: r.Method, URL: r.URL, Headers: joinPairs(r.Headers, ": "), Auth: "none", Body: "none", Status: r.Expect.Status,
		Timeout: "30 s", MaxResponse: "1024", Redirects: !r.KeepRedirects,
	}
	if r.TimeoutSeconds > 0 {
		f.Timeout = components.Span(time.Duration(r.TimeoutSeconds) * time.Second)
	}
	if r.MaxResponseKiB > 0 {
		f.MaxResponse = strconv.Itoa(r.MaxResponseKiB)
	}
	if a := r.Auth; a != nil {
		f.Auth, f.Token, f.User, f.Password, f.AuthHeader = a.Type, a.Token, a.User, a.Password, a.Header
	}
	if b := r.Body; b != nil {
		f.Body, f.TextType = b.Type, b.ContentType
		switch b.Type {
		case "json":
			f.Text = components.JSONText(b.JSON)
		case "form":
			f.Text = joinPairs(b.Form, "=")
		default:
			f.Text = b.Text
		}
	}
	for _, a := range r.Expect.JSON {
		f.Assertions += strings.TrimRight(fmt.Sprintf("%s %s %s", a.Path, a.Is, a.Value), " ") + "\n"
	}
	if t := r.TLS; t != nil {
		f.Insecure, f.CA, f.Certificate, f.Key, f.ServerName = t.Insecure, t.CA, t.Certificate, t.Key, t.ServerName
	}
	return f
}

func joinPairs(pairs []outgoing.Pair, between string) string {
	var text strings.Builder
	for _, p := range pairs {
		text.WriteString(p.Name + between + p.Value + "\n")
	}
	return text.String()
}

// requestForm reads the form of a request. file is request.json with what it says.
func requestForm(v url.Values, problems *cronium.Problems) (form views.RequestForm, file cronium.File) {
	file.Name = cronium.EventHTTP.Entry()
	if v.Has("request.raw") {
		form.Raw = lines(v.Get("request.raw"))
		file.Content = form.Raw
		return form, file
	}
	get := func(name string) string { return strings.TrimSpace(lines(v.Get("request." + name))) }
	form = views.RequestForm{
		Method: get("method"), URL: get("url"), Headers: get("headers"), Auth: get("auth"), Token: get("token"), User: get("user"), Password: get("password"), AuthHeader: get("auth_header"),
		Body: get("body"), Text: lines(v.Get("request.text")), TextType: get("text_type"), Status: get("status"), Assertions: get("assertions"), Timeout: get("timeout"), MaxResponse: get("max_response"),
		Redirects: v.Get("request.redirects") == "true", Insecure: v.Get("request.insecure") == "true", CA: get("ca"), Certificate: get("certificate"), Key: get("key"), ServerName: get("server_name"),
	}
	read := formReader{problems: problems}
	r := outgoing.Request{
		Method: form.Method, URL: form.URL, Headers: splitPairs("request.headers", form.Headers, ":", problems), Expect: outgoing.Expect{Status: form.Status},
		TimeoutSeconds: int(read.span("request.timeout", form.Timeout)), MaxResponseKiB: read.whole("request.max_response", form.MaxResponse), KeepRedirects: !form.Redirects,
	}
	switch form.Auth {
	case "", "none":
	case "basic":
		r.Auth = &outgoing.Auth{Type: form.Auth, User: form.User, Password: form.Password}
	case "header":
		r.Auth = &outgoing.Auth{Type: form.Auth, Token: form.Token, Header: form.AuthHeader}
	default:
		r.Auth = &outgoing.Auth{Type: form.Auth, Token: form.Token}
	}
	r.Body = requestBody(&form, problems)
	r.Expect.JSON = assertions(form.Assertions, problems)
	if form.Insecure || form.CA != "" || form.Certificate != "" || form.Key != "" || form.ServerName != "" {
		r.TLS = &outgoing.TLS{Insecure: form.Insecure, CA: form.CA, Certificate: form.Certificate, Key: form.Key, ServerName: form.ServerName}
	}
	text, err := json.MarshalIndent(r, "", "  ")
	problems.Add(err == nil, "request.text", "cannot be written as JSON")
	file.Content = string(text) + "\n"
	return form, file
}

func requestBody(form *views.RequestForm, problems *cronium.Problems) *outgoing.Body {
	b := &outgoing.Body{Type: form.Body}
	switch form.Body {
	case "", "none":
		return nil
	case "json":
		if b.JSON = rawJSON(form.Text); !json.Valid(b.JSON) {
			problems.Add(false, "request.text", "must be JSON, like {\"customer\": \"{{input.customer}}\"}")
			b.JSON = nil
		}
	case "form":
		b.Form = splitPairs("request.text", form.Text, "=", problems)
	default:
		b.Text, b.ContentType = form.Text, form.TextType
	}
	return b
}

// splitPairs reads "name: value" or "name=value", one a line.
func splitPairs(field, text, between string, problems *cronium.Problems) (pairs []outgoing.Pair) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimRight(line, "\n"), between)
		problems.Add(ok, field, "must be name%svalue on each line; %q is not", between, brief(line))
		pairs = append(pairs, outgoing.Pair{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	return pairs
}

// assertions reads `.path equals "value"`, one a line.
func assertions(text string, problems *cronium.Problems) (list []outgoing.Assertion) {
	for line := range strings.Lines(text) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path == "" {
			continue
		}
		is, value, _ := strings.Cut(strings.TrimSpace(rest), " ")
		a := outgoing.Assertion{Path: path, Is: is, Value: rawJSON(value)}
		if len(a.Value) > 0 && !json.Valid(a.Value) {
			problems.Add(false, "request.assertions", "has a value that is not JSON: %q; a text needs its quotes", brief(value))
			a.Value = nil
		}
		list = append(list, a)
	}
	return list
}

func brief(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

// requestProblems are what is wrong with the request of a content, if it is one
// of an HTTP request, by the fields of the form.
func requestProblems(c *cronium.Content) (problems cronium.Problems) {
	if c.Entry != cronium.EventHTTP.Entry() {
		return nil
	}
	for _, f := range c.Files {
		if f.Name != c.Entry {
			continue
		}
		r, err := outgoing.Parse([]byte(f.Content))
		if err != nil {
			problems.Add(false, "request.raw", "cannot be read: %v", err)
			return problems
		}
		for _, p := range r.Validate() {
			problems.Add(false, requestField(p.Field), "%s", p.Message)
		}
	}
	return problems
}

// requestField is the field of the form that a field of request.json is typed in.
func requestField(field string) string {
	name, _, _ := strings.Cut(field, "[")
	known := map[string]string{
		"auth.type": "auth", "auth.header": "auth_header", "body.type": "body", "body.json": "text", "body.form": "text", "expect.status": "status", "expect.json": "assertions",
		"tls.ca": "ca", "tls.key": "key", "timeout_seconds": "timeout", "max_response_kib": "max_response", "templates": "url",
	}
	if to, ok := known[name]; ok {
		name = to
	}
	return "request." + name
}
