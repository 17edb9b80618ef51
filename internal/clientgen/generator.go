package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// generator turns a document into Go.
type generator struct {
	document *huma.OpenAPI
	sent     map[string]bool // schemas that requests have: what is optional in them may be left out, so it is a pointer
}

func newGenerator(document *huma.OpenAPI) *generator {
	g := &generator{document: document, sent: map[string]bool{}}
	for _, op := range g.all() {
		if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
			g.markSent(op.RequestBody.Content["application/json"].Schema)
		}
	}
	return g
}

// all are the operations, by path and method.
func (g *generator) all() (ops []*huma.Operation) {
	for _, item := range g.document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				ops = append(ops, op)
			}
		}
	}
	slices.SortFunc(ops, func(a, b *huma.Operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return ops
}

func (g *generator) tags() (tags []string) {
	for _, op := range g.all() {
		if !slices.Contains(tags, op.Tags[0]) && op.Tags[0] != "Document" {
			tags = append(tags, op.Tags[0])
		}
	}
	return tags
}

// name is the name of a referred schema; "" for one that stands in its place.
func name(s *huma.Schema) string {
	return exported(strings.TrimPrefix(s.Ref, "#/components/schemas/"))
}

func (g *generator) resolved(s *huma.Schema) *huma.Schema {
	if s.Ref != "" {
		return g.document.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

func (g *generator) markSent(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Ref != "" {
		if g.sent[name(s)] {
			return
		}
		g.sent[name(s)] = true
	}
	r := g.resolved(s)
	g.markSent(r.Items)
	for _, p := range r.Properties {
		g.markSent(p)
	}
	if inner, ok := r.AdditionalProperties.(*huma.Schema); ok {
		g.markSent(inner)
	}
}

// types are the schemas as structs.
func (g *generator) types() string {
	var b strings.Builder
	all := g.document.Components.Schemas.Map()
	names := make([]string, 0, len(all))
	for n := range all {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		fmt.Fprintf(&b, "// %s is a type of the API.\ntype %s %s\n\n", exported(n), exported(n), g.body(all[n], g.sent[exported(n)]))
	}
	return b.String()
}

// body is the Go type of a schema that is not referred to.
func (g *generator) body(s *huma.Schema, sent bool) string {
	if len(s.Properties) == 0 {
		return g.goType(s, sent)
	}
	names := make([]string, 0, len(s.Properties))
	for n := range s.Properties {
		if n != "$schema" {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("struct {\n")
	for _, n := range names {
		p := s.Properties[n]
		required := slices.Contains(s.Required, n)
		t, tag := g.goType(p, sent), n
		if !required {
			tag += ",omitempty"
			if sent && pointed(t) || t == "bool" || t == "time.Time" || g.isStruct(p) {
				t = "*" + t
			}
		}
		fmt.Fprintf(&b, "\t%s %s `json:%q`%s\n", exported(n), t, tag, comment(p.Description))
	}
	return b.String() + "}"
}

// isStruct tells whether a field holds an object of its own.
func (g *generator) isStruct(s *huma.Schema) bool {
	r := g.resolved(s)
	return r != nil && len(r.Properties) > 0
}

// pointed are types whose zero value is a value like others.
func pointed(t string) bool {
	return t == "string" || t == "int" || t == "int64" || t == "float64" || t == "bool"
}

// goType is the type of a value.
func (g *generator) goType(s *huma.Schema, sent bool) string {
	if s.Ref != "" {
		return name(s)
	}
	switch s.Type {
	case "string":
		switch {
		case s.Format == "date-time":
			return "time.Time"
		case s.ContentEncoding == "base64":
			return "[]byte"
		}
		return "string"
	case "integer":
		return "int64"
	case "number":
		return "float64"
	case "boolean":
		return "bool"
	case "array":
		if s.Items == nil {
			return "[]json.RawMessage"
		}
		return "[]" + g.goType(s.Items, sent)
	case "object":
		if inner, ok := s.AdditionalProperties.(*huma.Schema); ok {
			return "map[string]" + g.goType(inner, sent)
		}
		if len(s.Properties) > 0 {
			return g.body(s, sent)
		}
		return "map[string]json.RawMessage"
	}
	return "json.RawMessage"
}

// comment is a description behind a field.
func comment(text string) string {
	if text == "" {
		return ""
	}
	return " // " + strings.ReplaceAll(text, "\n", " ")
}

// initials are words that Go writes in capitals.
var initials = map[string]string{"id": "ID", "url": "URL", "api": "API", "cpu": "CPU", "cpus": "CPUs", "ip": "IP", "ssh": "SSH", "json": "JSON", "http": "HTTP", "ms": "MS", "us": "US"}

// exported is a name in the way of Go: "next_attempt" → "NextAttempt".
func exported(name string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9') }) {
		if known, ok := initials[strings.ToLower(word)]; ok {
			b.WriteString(known)
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
