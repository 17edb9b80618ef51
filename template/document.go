package template

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxDepth is how deep a document may be.
const MaxDepth = 32

// Document is a JSON document whose texts are templates.
type Document struct {
	root any // maps, lists, *Template for texts, other values as they are
}

// ParseDocument reads a document. Names of fields are not templates.
func ParseDocument(raw json.RawMessage) (*Document, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("the document has more than %d KiB", MaxBytes>>10)
	}
	value, err := decodeAll(raw)
	if err != nil {
		return nil, fmt.Errorf("the document is not JSON: %w", err)
	}
	root, err := parseNode(value, "", 0)
	if err != nil {
		return nil, err
	}
	return &Document{root: root}, nil
}

// decodeAll is decode for a document that must not go on after its end.
func decodeAll(raw json.RawMessage) (any, error) {
	if !json.Valid(raw) {
		var v any
		return nil, json.Unmarshal(raw, &v)
	}
	return decode(raw)
}

func parseNode(value any, path string, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("the document is deeper than %d", MaxDepth)
	}
	switch v := value.(type) {
	case string:
		t, err := Parse(v)
		if err != nil && path != "" {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return t, err
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			node, err := parseNode(v[key], join(path, key), depth+1)
			if err != nil {
				return nil, err
			}
			v[key] = node
		}
	case []any:
		for i := range v {
			node, err := parseNode(v[i], join(path, fmt.Sprint(i)), depth+1)
			if err != nil {
				return nil, err
			}
			v[i] = node
		}
	}
	return value, nil
}

func join(path, part string) string {
	if path == "" {
		return part
	}
	return path + "." + part
}

// Names are the names that the document uses, each once, in their order.
func (d *Document) Names() []string { return names(d.root, nil) }

func names(node any, found []string) []string {
	switch v := node.(type) {
	case *Template:
		for _, name := range v.Names() {
			if !slices.Contains(found, name) {
				found = append(found, name)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			found = names(v[key], found)
		}
	case []any:
		for _, inner := range v {
			found = names(inner, found)
		}
	}
	return found
}

// Unknown is Template.Unknown for all texts of the document.
func (d *Document) Unknown(known []string) []string { return unknown(d.Names(), known) }

// Render fills in values as Template.Render does. A text that is one name and
// nothing else becomes the value with its type: "{{cronium.output.rows}}" is a
// list where rows is one, and null where it does not exist.
func (d *Document) Render(values map[string]any) (json.RawMessage, []string, error) {
	var notes []string
	left := MaxResult
	root, err := renderNode(d.root, values, &notes, &left)
	if err != nil {
		return nil, notes, err
	}
	text, err := jsonOf(root)
	if err != nil {
		return nil, notes, fmt.Errorf("write the document: %w", err)
	}
	return json.RawMessage(text), notes, nil
}

func renderNode(node any, values map[string]any, notes *[]string, left *int) (any, error) {
	switch v := node.(type) {
	case *Template:
		return v.renderValue(values, notes, left)
	case map[string]any:
		result := make(map[string]any, len(v))
		for key, inner := range v {
			value, err := renderNode(inner, values, notes, left)
			if err != nil {
				return nil, err
			}
			result[key] = value
		}
		return result, nil
	case []any:
		result := make([]any, len(v))
		for i, inner := range v {
			value, err := renderNode(inner, values, notes, left)
			if err != nil {
				return nil, err
			}
			result[i] = value
		}
		return result, nil
	}
	return node, nil
}

// renderValue is Render that keeps the type of a single value.
func (t *Template) renderValue(values map[string]any, notes *[]string, left *int) (any, error) {
	if len(t.pieces) != 1 || t.pieces[0].name == nil {
		text, more, err := t.Render(values, Plain)
		for _, note := range more {
			*notes = addNote(*notes, note)
		}
		if err != nil {
			return nil, err
		}
		return text, spend(left, len(text))
	}
	value, note, err := find(values, t.pieces[0].name)
	if err != nil {
		return nil, err
	}
	*notes = addNote(*notes, note)
	if raw, ok := value.(json.RawMessage); ok {
		if value, err = decode(raw); err != nil {
			return nil, fmt.Errorf("the value of {{%s}} is not JSON: %w", strings.Join(t.pieces[0].name, "."), err)
		}
	}
	if _, ok := value.(Lookup); ok {
		return nil, nil
	}
	text, err := jsonOf(value)
	if err != nil {
		return nil, fmt.Errorf("write the value of {{%s}}: %w", strings.Join(t.pieces[0].name, "."), err)
	}
	return value, spend(left, len(text))
}

func spend(left *int, bytes int) error {
	if *left -= bytes; *left < 0 {
		return fmt.Errorf("the document with its values has more than %d KiB", MaxResult>>10)
	}
	return nil
}
