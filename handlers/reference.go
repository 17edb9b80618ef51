package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// referenceDepth is how many objects within objects the reference opens.
const referenceDepth = 3

func (h *Handlers) referenceRoutes() []Route {
	return []Route{{Method: http.MethodGet, Pattern: "/reference", Permission: cronium.PermissionRead, Kind: KindPage, Handle: h.referencePage}}
}

// referencePage shows the API as the OpenAPI document has it.
func (h *Handlers) referencePage(w http.ResponseWriter, r *http.Request) error {
	page := views.Reference{Query: strings.TrimSpace(r.URL.Query().Get("q")), Document: apiPrefix + "/openapi.json"}
	var err error
	if page.Frame, err = h.counted(r, "API", layout.NavSettings, layout.Crumb{Label: "Settings", URL: "/settings"}); err != nil {
		return err
	}
	page.Groups = referenceOf(h.openAPI, page.Query)
	return h.render(w, r, http.StatusOK, page.Page())
}

// referenceOf lists the operations whose path, name or summary has the query's
// text, by tag in the order in which they were declared.
func referenceOf(doc *huma.OpenAPI, query string) (groups []views.ReferenceGroup) {
	query = strings.ToLower(query)
	paths := make([]string, 0, len(doc.Paths))
	for path := range doc.Paths {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		item := doc.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil || !strings.Contains(strings.ToLower(op.Method+" "+path+" "+op.OperationID+" "+op.Summary), query) {
				continue
			}
			i := slices.IndexFunc(groups, func(g views.ReferenceGroup) bool { return g.Name == op.Tags[0] })
			if i < 0 {
				i = len(groups)
				groups = append(groups, views.ReferenceGroup{Name: op.Tags[0]})
			}
			groups[i].Operations = append(groups[i].Operations, operationOf(doc, op))
		}
	}
	slices.SortFunc(groups, func(a, b views.ReferenceGroup) int { return strings.Compare(a.Name, b.Name) })
	return groups
}

func operationOf(doc *huma.OpenAPI, op *huma.Operation) views.ReferenceOperation {
	permission, _ := op.Metadata[metaPermission].(cronium.Permission)
	o := views.ReferenceOperation{
		ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description,
		Scope: string(cronium.ScopeFor(permission)), Public: permission == cronium.PermissionPublic,
	}
	fields := fieldReader{registry: doc.Components.Schemas}
	for _, p := range op.Parameters {
		o.Parameters = append(o.Parameters, views.ReferenceField{
			Name: p.Name, In: p.In, Type: fields.words(p.Schema), Required: p.Required, Doc: strings.TrimSpace(p.Description + " " + bounds(p.Schema))})
	}
	if op.RequestBody != nil {
		if media := op.RequestBody.Content["application/json"]; media != nil {
			o.Body = fields.of(media.Schema, "", 0)
		}
	}
	for status, response := range op.Responses {
		if media := response.Content["application/json"]; strings.HasPrefix(status, "2") {
			o.Status = status
			if media != nil {
				o.Answer = fields.of(media.Schema, "", 0)
			}
		}
	}
	return o
}

// fieldReader reads the fields of schemas.
type fieldReader struct{ registry huma.Registry }

func (f fieldReader) resolved(s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return f.registry.SchemaFromRef(s.Ref)
	}
	return s
}

// of lists the fields of an object, those of objects in it under their names.
func (f fieldReader) of(s *huma.Schema, prefix string, depth int) (fields []views.ReferenceField) {
	s = f.resolved(s)
	if s == nil {
		return nil
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		if name != "$schema" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		property := s.Properties[name]
		fields = append(fields, views.ReferenceField{Name: prefix + name, Type: f.words(property),
			Required: slices.Contains(s.Required, name), Doc: strings.TrimSpace(property.Description + " " + bounds(property))})
		inner, suffix := f.resolved(property), "."
		if inner != nil && inner.Type == "array" {
			inner, suffix = f.resolved(inner.Items), "[]."
		}
		if inner != nil && depth+1 < referenceDepth {
			fields = append(fields, f.of(inner, prefix+name+suffix, depth+1)...)
		}
	}
	return fields
}

// words say what a value is: "string", "list of objects", "one of A, B".
func (f fieldReader) words(s *huma.Schema) string {
	s = f.resolved(s)
	switch {
	case s == nil:
		return "any JSON"
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i], _ = v.(string)
		}
		return "one of " + strings.Join(words, ", ")
	case s.Type == "array":
		return "list of " + f.words(s.Items)
	case s.Type == "string" && s.Format != "":
		return s.Format
	case s.Type == "":
		return "any JSON"
	}
	return s.Type
}

// bounds say which values a schema takes.
func bounds(s *huma.Schema) string {
	if s == nil {
		return ""
	}
	var words []string
	if s.Default != nil {
		words = append(words, fmt.Sprintf("%v without it.", s.Default))
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		words = append(words, fmt.Sprintf("%v to %v.", *s.Minimum, *s.Maximum))
	case s.Minimum != nil:
		words = append(words, fmt.Sprintf("%v or more.", *s.Minimum))
	}
	if s.MaxLength != nil {
		words = append(words, fmt.Sprintf("At most %d characters.", *s.MaxLength))
	}
	return strings.Join(words, " ")
}
