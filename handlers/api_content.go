package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
)

// contentInput is a content of which only what differs from the default of the
// event's type need be sent.
type contentInput json.RawMessage

// UnmarshalJSON keeps what was sent until the event's type is known.
func (c *contentInput) UnmarshalJSON(data []byte) error {
	*c = bytes.Clone(data)
	return nil
}

// Schema is that of a content.
func (c contentInput) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[cronium.Content](), true, "")
}

// over reads the content over the defaults of an event's type.
func (c contentInput) over(t cronium.EventType) (cronium.Content, error) {
	content := cronium.NewContent(t)
	files, entry := content.Files, content.Entry
	content.Files, content.Entry = nil, ""
	if sent := raw(json.RawMessage(c)); sent != nil {
		if err := json.Unmarshal(sent, &content); err != nil {
			return content, cronium.Problems{contentProblem(err)}.Err("The event")
		}
	}
	if content.On != nil {
		content.On.Complete()
	}
	if content.Files == nil {
		content.Files = files
	}
	if content.Entry == "" && len(content.Files) == 1 {
		entry = content.Files[0].Name
	}
	if content.Entry == "" {
		content.Entry = entry
	}
	content.Input, content.InputSchema = raw(content.Input), raw(content.InputSchema)
	return content, nil
}

// sent tells whether there is a content; null is none.
func (c contentInput) sent() bool { return raw(json.RawMessage(c)) != nil }

// required is over for a content that replaces another: it must be there and
// name its files, so that a script is never replaced by the starter of its type.
func (c contentInput) required(t cronium.EventType) (cronium.Content, error) {
	var problems cronium.Problems
	problems.Add(c.sent(), "content", "must be there: the whole of what the event runs, with all of its files")
	if err := problems.Err("The event"); err != nil {
		return cronium.Content{}, err
	}
	content, err := c.over(t)
	if err != nil {
		return content, err
	}
	var named struct{ Files json.RawMessage }
	err = json.Unmarshal(json.RawMessage(c), &named)
	problems.Add(err == nil && raw(named.Files) != nil, "content.files", "must be there: the content replaces the whole of what the event runs, so it names all of its files")
	return content, problems.Err("The event")
}

// relaxContent lets a content name only what differs from the default: what is
// required is checked by the domain's rules, not by the schema.
func (a *api) relaxContent() {
	registry := a.huma.OpenAPI().Components.Schemas
	for _, t := range []reflect.Type{reflect.TypeFor[cronium.Content](), reflect.TypeFor[cronium.Limits](), reflect.TypeFor[cronium.Retry](), reflect.TypeFor[cronium.Fleet]()} {
		schema := registry.SchemaFromRef(registry.Schema(t, true, "").Ref)
		schema.Required = nil
		schema.PrecomputeMessages()
	}
}

// contentFields are the names of a content's parts, which the API has under
// content.
var contentFields = []string{"files", "entry", "environment", "stage", "input", "input_schema", "target", "on", "image", "network", "limits", "priority", "concurrency", "group", "rate", "retry"}

// underContent names the wrong fields of a content as the API has them.
func underContent(err error) error {
	var e *cronium.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	renamed := *e
	renamed.Fields = make([]cronium.FieldError, len(e.Fields))
	for i, field := range e.Fields {
		first, _, _ := strings.Cut(strings.ReplaceAll(field.Field, "[", "."), ".")
		for _, name := range contentFields {
			if first == name {
				field.Field = "content." + field.Field
			}
		}
		renamed.Fields[i] = field
	}
	return &renamed
}
