package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"cronium.dev/cronium"
)

// What huma finds wrong with an input it says in its own words, most of which
// do not tell what would be right. Here, in one place, each is put into ours:
// the field, and what it takes, which is read from the schema that the OpenAPI
// document has too.

// problemOfInput makes what huma says of an input that does not fit its type
// into a problem like any other. What was sent is not sent back: it may hold a
// secret.
func (a *api) problemOfInput(ctx huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	status := model.Status
	if status == http.StatusBadRequest {
		status = http.StatusUnprocessableEntity // as inputStatus does
	}
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: string(cronium.CodeInvalid)}
	if info, ok := ctx.Context().Value(requestKey{}).(*request); ok {
		p.RequestID = info.id
	}
	p.Detail = "The request was not accepted."
	schemas := inputSchemas{ctx.Operation(), a.huma.OpenAPI().Components.Schemas}
	switch model.Status {
	case http.StatusRequestEntityTooLarge:
		p.Code, p.Detail = "too_large", "What was sent is larger than this address takes."
	case http.StatusUnsupportedMediaType:
		p.Detail = "The body must be JSON, sent with Content-Type: application/json."
		return &apiError{p}, nil
	case http.StatusBadRequest:
		p.Detail = "The body must be a JSON object, as the OpenAPI document describes it."
		if len(model.Errors) == 0 { // there was no body
			p.Fields = []cronium.FieldError{{Field: "body", Message: accepted(schemas.body(), schemas.registry)}}
		}
	}
	for _, e := range model.Errors {
		if problem := schemas.explain(e); !slices.Contains(p.Fields, problem) {
			p.Fields = append(p.Fields, problem)
		}
	}
	return &apiError{p}, nil
}

// jsonProblem says in our words why a text could not be read as JSON, without
// quoting it.
func jsonProblem(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("must be JSON; what was sent is not, from byte %d on", syntax.Offset)
	case errors.As(err, &kind) && strings.HasPrefix(kind.Value, "number"):
		return fmt.Errorf("must not have a number at %s that is so large or has a fraction", kind.Field)
	case errors.As(err, &kind):
		return fmt.Errorf("must not have a %s at %s; the OpenAPI document says what it takes", kind.Value, kind.Field)
	}
	return err
}

// contentProblem names the part of a content that its schema lets through and
// its type does not hold.
func contentProblem(err error) cronium.FieldError {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return cronium.FieldError{Field: "content." + kind.Field, Message: "must be a whole number, like 7, and not so large"}
	}
	return cronium.FieldError{Field: "content", Message: "must be a JSON object, as the OpenAPI document describes it"}
}

// inputSchemas are the schemas of what an operation takes.
type inputSchemas struct {
	operation *huma.Operation
	registry  huma.Registry
}

// explain puts one of huma's errors into our words. Its location is like
// "query.limit" or "body.content.files[0].name".
func (s inputSchemas) explain(e *huma.ErrorDetail) cronium.FieldError {
	place, field, inside := strings.Cut(e.Location, ".")
	if !inside {
		field = e.Location
	}
	problem := func(format string, args ...any) cronium.FieldError {
		return cronium.FieldError{Field: shortened(field), Message: fmt.Sprintf(format, args...)}
	}
	if place != "body" {
		if schema := s.parameter(place, field); schema != nil {
			return problem("%s", accepted(schema, s.registry))
		}
		return problem("is not a parameter of this address, which takes %s", orNone(s.parameters(place)))
	}
	schema, object := s.body(), s.body()
	if inside {
		schema, object = s.at(field)
	}
	switch missing, _, _ := strings.Cut(strings.TrimPrefix(e.Message, requiredBefore), " "); {
	case e.Message == validation.MsgUnexpectedProperty:
		return problem("is not known here; known are %s", orNone(slices.Sorted(maps.Keys(object.Properties))))
	case strings.HasPrefix(e.Message, requiredBefore):
		// huma names the object that lacks it.
		field = strings.TrimPrefix(strings.TrimPrefix(e.Location, "body")+"."+missing, ".")
		schema, _ = s.at(field)
		return problem("must be there: %s", strings.TrimPrefix(accepted(schema, s.registry), "must be "))
	case schema == nil || !inside && strings.HasPrefix(e.Message, "must "): // of jsonProblem
		return problem("%s", e.Message)
	}
	return problem("%s", accepted(schema, s.registry))
}

// requiredBefore is what stands before the name of a property that is missing.
var requiredBefore, _, _ = strings.Cut(validation.MsgExpectedRequiredProperty, "%s")

// parameter is the schema of a parameter; nil if there is none of that name.
func (s inputSchemas) parameter(in, name string) *huma.Schema {
	for _, p := range s.operation.Parameters {
		if p.In == in && p.Name == name {
			return p.Schema
		}
	}
	return nil
}

func (s inputSchemas) parameters(in string) (names []string) {
	for _, p := range s.operation.Parameters {
		if p.In == in {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// body is the schema of the body; an empty one for an operation that takes none.
func (s inputSchemas) body() *huma.Schema {
	if s.operation.RequestBody == nil || s.operation.RequestBody.Content["application/json"] == nil {
		return &huma.Schema{}
	}
	return resolved(s.operation.RequestBody.Content["application/json"].Schema, s.registry)
}

// at is the schema at a path in the body, nil where there is none, and that of
// the innermost object on the way which is known.
func (s inputSchemas) at(path string) (schema, object *huma.Schema) {
	schema = s.body()
	object = schema
	for name := range strings.SplitSeq(strings.NewReplacer("[", ".", "]", "").Replace(path), ".") {
		if schema.Properties != nil {
			object = schema
		}
		inner := schema.Properties[name]
		if inner == nil && schema.Items != nil {
			inner = schema.Items
		}
		if others, ok := schema.AdditionalProperties.(*huma.Schema); inner == nil && ok {
			inner = others
		}
		if inner == nil {
			return nil, object
		}
		schema = resolved(inner, s.registry)
	}
	return schema, object
}

func resolved(schema *huma.Schema, registry huma.Registry) *huma.Schema {
	for schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	return schema
}

// accepted says what a schema takes: "must be a whole number between 1 and 200".
func accepted(schema *huma.Schema, registry huma.Registry) string {
	schema = resolved(schema, registry)
	if len(schema.Enum) > 0 {
		words := make([]string, len(schema.Enum))
		for i, word := range schema.Enum {
			words[i] = fmt.Sprint(word)
		}
		return "must be " + orWords(words)
	}
	switch schema.Type {
	case huma.TypeBoolean:
		return "must be true or false"
	case huma.TypeInteger:
		return "must be a whole number" + between(schema, ", like 7")
	case huma.TypeNumber:
		return "must be a number" + between(schema, ", like 0.5")
	case huma.TypeString:
		return acceptedText(schema)
	case huma.TypeArray:
		if schema.MinItems != nil && schema.MaxItems != nil {
			return fmt.Sprintf("must be a list of %d to %d entries", *schema.MinItems, *schema.MaxItems)
		}
		return "must be a list, in brackets"
	case huma.TypeObject:
		if len(schema.Properties) == 0 {
			return "must be a JSON object"
		}
		return "must be a JSON object with " + strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ", ")
	}
	return "must be as the OpenAPI document says"
}

// between says the bounds of a number, or gives an example of one without.
func between(schema *huma.Schema, example string) string {
	number := func(n *float64) string { return strconv.FormatFloat(*n, 'f', -1, 64) }
	switch {
	case schema.Minimum != nil && schema.Maximum != nil:
		return " between " + number(schema.Minimum) + " and " + number(schema.Maximum)
	case schema.Minimum != nil:
		return " of at least " + number(schema.Minimum)
	case schema.Maximum != nil:
		return " of at most " + number(schema.Maximum)
	}
	return example
}

func acceptedText(schema *huma.Schema) string {
	switch schema.Format {
	case "date-time":
		return "must be a moment, like 2026-11-25T14:30:00Z"
	case "uuid":
		return "must be an id of 36 characters"
	}
	switch {
	case schema.MinLength != nil && schema.MaxLength != nil:
		return fmt.Sprintf("must be text of %d to %d characters", *schema.MinLength, *schema.MaxLength)
	case schema.MaxLength != nil:
		return fmt.Sprintf("must be text of at most %d characters", *schema.MaxLength)
	case schema.MinLength != nil:
		return fmt.Sprintf("must be text of at least %d characters", *schema.MinLength)
	case schema.PatternDescription != "":
		return "must be " + schema.PatternDescription
	}
	return "must be text, in quotes"
}

// orWords writes a choice: "A, B or C".
func orWords(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// shortened is the name of a field as it was sent, of at most 100 characters.
func shortened(name string) string {
	if runes := []rune(name); len(runes) > 100 {
		return string(runes[:100]) + "…"
	}
	return name
}
