package inputschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"cronium.dev/cronium"
)

// FieldKind says how a field is asked for.
type FieldKind string

// The kinds. FieldJSON is for what has no simpler form: it is typed as JSON.
const (
	FieldString  FieldKind = "string"
	FieldNumber  FieldKind = "number"
	FieldInteger FieldKind = "integer"
	FieldBoolean FieldKind = "boolean"
	FieldEnum    FieldKind = "enum"
	FieldJSON    FieldKind = "json"
)

// Field is one property of an input, as a form asks for it.
type Field struct {
	Name        string
	Title       string // what to call it; the name where the schema has no title
	Description string
	Kind        FieldKind
	Required    bool
	Options     []json.RawMessage // of FieldEnum: scalars, as JSON
	Default     json.RawMessage   // nil: none
	Format      string            // "date", "email", …
	Minimum     *float64
	Maximum     *float64
	MinLength   *int
	MaxLength   *int
}

// Fields is the form of an input that is a flat object, in the order in which
// the schema names the properties; nil where the input is something else and is
// asked for as one JSON value.
func (s *Schema) Fields() []Field { return slices.Clone(s.fields) }

type objectSchema struct {
	Type       json.RawMessage `json:"type"`
	Properties json.RawMessage `json:"properties"`
	Required   []string        `json:"required"`
}

type propertySchema struct {
	Type        json.RawMessage   `json:"type"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Default     json.RawMessage   `json:"default"`
	Format      string            `json:"format"`
	Minimum     *float64          `json:"minimum"`
	Maximum     *float64          `json:"maximum"`
	MinLength   *int              `json:"minLength"`
	MaxLength   *int              `json:"maxLength"`
}

// readFields reads what a form can show; what it cannot is no error here,
// because the compiler has accepted the schema.
func readFields(raw json.RawMessage) []Field {
	var object objectSchema
	if json.Unmarshal(raw, &object) != nil || string(object.Type) != `"object"` {
		return nil
	}
	var fields []Field
	for name, property := range members(object.Properties) {
		fields = append(fields, readField(name, property, slices.Contains(object.Required, name)))
	}
	return fields
}

// members walks an object in the order in which it is written.
func members(object json.RawMessage) func(yield func(string, json.RawMessage) bool) {
	return func(yield func(string, json.RawMessage) bool) {
		decoder := json.NewDecoder(bytes.NewReader(object))
		if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
			return
		}
		for decoder.More() {
			name, err := decoder.Token()
			var value json.RawMessage
			if err != nil || decoder.Decode(&value) != nil {
				return
			}
			if text, ok := name.(string); !ok || !yield(text, value) {
				return
			}
		}
	}
}

func readField(name string, raw json.RawMessage, required bool) Field {
	field := Field{Name: name, Title: name, Kind: FieldJSON, Required: required}
	var p propertySchema
	if json.Unmarshal(raw, &p) != nil {
		return field
	}
	if p.Title != "" {
		field.Title = p.Title
	}
	field.Description, field.Default, field.Format = p.Description, p.Default, p.Format
	field.Minimum, field.Maximum, field.MinLength, field.MaxLength = p.Minimum, p.Maximum, p.MinLength, p.MaxLength
	if len(p.Enum) > 0 {
		if !slices.ContainsFunc(p.Enum, composed) {
			field.Kind, field.Options = FieldEnum, p.Enum
		}
		return field
	}
	switch string(p.Type) {
	case `"string"`:
		field.Kind = FieldString
	case `"number"`:
		field.Kind = FieldNumber
	case `"integer"`:
		field.Kind = FieldInteger
	case `"boolean"`:
		field.Kind = FieldBoolean
	}
	return field
}

func composed(value json.RawMessage) bool {
	return len(value) > 0 && (value[0] == '{' || value[0] == '[')
}

// FromForm makes an input of what was typed into the fields; get returns the
// values sent under a field's name, as url.Values does. A field left empty is
// left out. The result still needs Validate.
func (s *Schema) FromForm(get func(name string) []string) (json.RawMessage, cronium.Problems) {
	var problems cronium.Problems
	var b bytes.Buffer
	b.WriteByte('{')
	for _, field := range s.fields {
		value, err := field.read(get(field.Name))
		if err != nil {
			problems.Add(false, fieldPath("input", []string{field.Name}), "%s", err)
		}
		if value == nil {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(field.Name)
		if err != nil {
			problems.Add(false, "input", "cannot hold the field %q", field.Name)
			continue
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), problems
}

// read turns what was typed into JSON; nil when nothing was.
func (f *Field) read(typed []string) (json.RawMessage, error) {
	text := ""
	if len(typed) > 0 {
		text = typed[len(typed)-1]
	}
	switch {
	case f.Kind == FieldBoolean:
		return json.RawMessage(map[bool]string{true: "true", false: "false"}[text == "true" || text == "on"]), nil
	case text == "":
		return nil, nil
	case f.Kind == FieldString:
		return json.Marshal(text)
	case f.Kind == FieldEnum:
		for _, option := range f.Options {
			if text == OptionText(option) {
				return option, nil
			}
		}
		return nil, errors.New("must be one of the options")
	}
	text = strings.TrimSpace(text)
	switch {
	case json.Valid([]byte(text)):
		return json.RawMessage(text), nil
	case f.Kind == FieldNumber:
		return nil, errors.New("must be a number")
	case f.Kind == FieldInteger:
		return nil, errors.New("must be a whole number")
	}
	return nil, errors.New("must be JSON, like [1, 2] or {\"a\": true}")
}

// OptionText is how a form writes an option or default: a string as it is,
// anything else as JSON.
func OptionText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
