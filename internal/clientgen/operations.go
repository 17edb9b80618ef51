package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// operations are the methods for the operations of a tag.
func (g *generator) operations(tag string) string {
	var b strings.Builder
	for _, op := range g.all() {
		if op.Tags[0] == tag && !streams(op) {
			g.operation(&b, op)
		}
	}
	return b.String()
}

// streams tells whether the answer is something else than one JSON value.
func streams(op *huma.Operation) bool {
	for status, r := range op.Responses {
		if strings.HasPrefix(status, "2") && len(r.Content) > 0 && r.Content["application/json"] == nil {
			return true
		}
	}
	return op.RequestBody != nil && op.RequestBody.Content["application/json"] == nil
}

// operation writes one method, and the type of what can be asked for with it.
func (g *generator) operation(b *strings.Builder, op *huma.Operation) {
	method := exported(op.OperationID)
	query, headers := g.options(op)
	args, path := "", fmt.Sprintf("%q", strings.TrimPrefix(op.Path, "/api/v1"))
	for _, m := range placeholder.FindAllStringSubmatch(op.Path, -1) {
		args += ", " + local(m[1]) + " string"
		path = strings.Replace(path, m[0], `"+url.PathEscape(`+local(m[1])+`)+"`, 1)
	}
	path = strings.TrimSuffix(path, `+""`)
	if query != "" {
		fmt.Fprintf(b, "// %sOptions are what %s can be asked with beside its path. What is zero is not sent.\ntype %sOptions struct {\n%s}\n\n", method, method, method, query)
		fmt.Fprintf(b, "func (o %sOptions) send() (query url.Values, headers []string) {\nquery = url.Values{}\n%sreturn query, headers\n}\n\n", method, headers)
		args += ", options " + method + "Options"
	}
	body := "nil"
	if op.RequestBody != nil {
		args += ", body " + g.goType(op.RequestBody.Content["application/json"].Schema, true)
		body = "body"
	}
	answer := g.answer(op)
	fmt.Fprintf(b, "// %s asks: %s.\n//\n// %s %s\n", method, lower(op.Summary), op.Method, op.Path)
	result := "error"
	if answer != "" {
		result = "(answer *" + answer + ", err error)"
	}
	fmt.Fprintf(b, "func (a API) %s(ctx context.Context%s) %s {\n", method, args, result)
	sent, extra := "nil", ""
	if query != "" {
		b.WriteString("query, headers := options.send()\n")
		sent, extra = "query", ", headers..."
	}
	if answer == "" {
		fmt.Fprintf(b, "return a.Client.Do(ctx, %q, %s, %s, %s, nil%s)\n}\n\n", op.Method, path, sent, body, extra)
		return
	}
	fmt.Fprintf(b, "answer = new(%s)\nreturn answer, a.Client.Do(ctx, %q, %s, %s, %s, answer%s)\n}\n\n", answer, op.Method, path, sent, body, extra)
}

// answer is the type of what succeeds; "" for nothing.
func (g *generator) answer(op *huma.Operation) string {
	for status, r := range op.Responses {
		if media := r.Content["application/json"]; strings.HasPrefix(status, "2") && media != nil {
			return g.goType(media.Schema, false)
		}
	}
	return ""
}

// options are the fields for query and headers, and the lines that send them.
func (g *generator) options(op *huma.Operation) (fields, send string) {
	for _, p := range op.Parameters {
		if p.In == "path" {
			continue
		}
		field, t := exported(p.Name), g.goType(p.Schema, false)
		fields += fmt.Sprintf("\t%s %s%s\n", field, t, comment(p.Description))
		set := func(value string) string {
			if p.In == "header" {
				return fmt.Sprintf("headers = append(headers, %q, %s)", p.Name, value)
			}
			return fmt.Sprintf("query.Add(%q, %s)", p.Name, value)
		}
		value := "o." + field
		switch t {
		case "string":
			send += fmt.Sprintf("if %s != \"\" {\n%s\n}\n", value, set(value))
		case "int64":
			send += fmt.Sprintf("if %s != 0 {\n%s\n}\n", value, set("strconv.FormatInt("+value+", 10)"))
		case "bool":
			send += fmt.Sprintf("if %s {\n%s\n}\n", value, set(`"true"`))
		case "time.Time":
			send += fmt.Sprintf("if !%s.IsZero() {\n%s\n}\n", value, set(value+".Format(time.RFC3339Nano)"))
		default:
			send += fmt.Sprintf("for _, v := range %s {\n%s\n}\n", value, set("v"))
		}
	}
	return fields, send
}

// local is a name of an argument.
func local(name string) string {
	e := exported(name)
	if e == "ID" {
		return "id"
	}
	return strings.ToLower(e[:1]) + e[1:]
}

func lower(s string) string { return strings.ToLower(s[:1]) + s[1:] }
