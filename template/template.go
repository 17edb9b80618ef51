// Package template fills values into text: "{{cronium.event.name}} failed".
//
// What stands between two pairs of braces is a name: parts joined by dots, the
// first of which names where the value comes from, like input.customer or
// cronium.output.rows.0. There is nothing else: no code, no conditions, no
// calls, no way to files, the environment or a network. "\{{" is a plain "{{".
//
// Parse reads a text and says what is wrong with it. Template.Unknown finds the
// names that cannot exist, for when something is saved. Template.Render fills in
// values; a name without a value becomes empty text and a note. ParseDocument
// does the same for each text of a JSON document, so that a value can never
// change the document's shape.
package template

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds of a template. They hold the cost of rendering.
const (
	MaxBytes  = 64 << 10  // of a text
	MaxNames  = 500       // of a text
	MaxParts  = 16        // of a name
	MaxResult = 256 << 10 // bytes of what is rendered
)

// Escape is how values are written into the text.
type Escape int

// The escapes. JSONString is for a text that is JSON, inside of quotes.
const (
	Plain Escape = iota
	JSONString
)

// Lookup is a group of values that are read when they are named. The key is the
// rest of the name after the group, dots included. It tells false for a key that
// does not exist; an error ends the rendering.
type Lookup func(key string) (value any, ok bool, err error)

// Template is a text that was read. It may be used concurrently.
type Template struct {
	pieces []piece
}

// piece is literal text, or a name.
type piece struct {
	text string
	name []string
}

// Parse reads a text. Its errors are for the person who wrote it and say where.
func Parse(text string) (*Template, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("the text has more than %d KiB", MaxBytes>>10)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("the text is not UTF-8")
	}
	t := &Template{}
	var plain strings.Builder
	names := 0
	for rest := text; rest != ""; {
		at := strings.Index(rest, "{{")
		if at < 0 {
			plain.WriteString(rest)
			break
		}
		if at > 0 && rest[at-1] == '\\' {
			plain.WriteString(rest[:at-1] + "{{")
			rest = rest[at+2:]
			continue
		}
		plain.WriteString(rest[:at])
		line := 1 + strings.Count(text[:len(text)-len(rest)+at], "\n")
		inner, after, closed := strings.Cut(rest[at+2:], "}}")
		if !closed {
			return nil, fmt.Errorf("line %d: {{ has no }} after it; write \\{{ for plain braces", line)
		}
		name, err := parseName(inner)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if names++; names > MaxNames {
			return nil, fmt.Errorf("the text names more than %d values", MaxNames)
		}
		t.literal(&plain)
		t.pieces = append(t.pieces, piece{name: name})
		rest = after
	}
	t.literal(&plain)
	return t, nil
}

// literal adds the plain text that was gathered.
func (t *Template) literal(plain *strings.Builder) {
	if plain.Len() > 0 {
		t.pieces = append(t.pieces, piece{text: plain.String()})
		plain.Reset()
	}
}

func parseName(inner string) ([]string, error) {
	name := strings.TrimSpace(inner)
	if len(name) > 300 {
		return nil, fmt.Errorf("{{%.40s…}} is longer than a name may be", name)
	}
	parts := strings.Split(name, ".")
	if len(parts) > MaxParts {
		return nil, fmt.Errorf("{{%s}} has more than %d parts", name, MaxParts)
	}
	for _, part := range parts {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return !inName(r) }) {
			return nil, fmt.Errorf("{{%s}} is not a name: write letters, digits, _ and - with dots between, like {{cronium.event.name}}", name)
		}
	}
	return parts, nil
}

func inName(r rune) bool {
	return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

// Names are the names that the text uses, each once, in their order.
func (t *Template) Names() []string {
	var names []string
	for _, p := range t.pieces {
		if name := strings.Join(p.name, "."); p.name != nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// Unknown are the names of the text that are not among known. A known name that
// ends with ".*" stands for itself and all names that begin with it.
func (t *Template) Unknown(known []string) []string { return unknown(t.Names(), known) }

func unknown(names, known []string) []string {
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(known, func(k string) bool {
			group, any := strings.CutSuffix(k, ".*")
			return name == group || any && strings.HasPrefix(name, group+".")
		})
	})
}

// Render fills in values: maps with string keys, lists, texts, numbers, booleans,
// nil, json.RawMessage and Lookup. Lists and maps become JSON. The notes say which
// names had no value. Errors: the result would be too long, or a Lookup failed.
func (t *Template) Render(values map[string]any, escape Escape) (text string, notes []string, err error) {
	var b strings.Builder
	for _, p := range t.pieces {
		if p.name == nil {
			b.WriteString(p.text)
		} else {
			value, note, err := find(values, p.name)
			if err != nil {
				return "", notes, err
			}
			notes = addNote(notes, note)
			b.WriteString(escaped(textOf(value), escape))
		}
		if b.Len() > MaxResult {
			return "", notes, fmt.Errorf("the text with its values has more than %d KiB", MaxResult>>10)
		}
	}
	return b.String(), notes, nil
}

func addNote(notes []string, note string) []string {
	if note == "" || slices.Contains(notes, note) {
		return notes
	}
	return append(notes, note)
}

// find follows a name through the values. The note is empty when it was found.
func find(values map[string]any, name []string) (value any, note string, err error) {
	value = values
	for i, part := range name {
		if raw, ok := value.(json.RawMessage); ok {
			if value, err = decode(raw); err != nil {
				return nil, fmt.Sprintf("{{%s}} has no value: %s is not JSON", strings.Join(name, "."), strings.Join(name[:i], ".")), nil
			}
		}
		ok := false
		switch v := value.(type) {
		case map[string]any:
			value, ok = v[part]
		case []any:
			if n, convErr := strconv.Atoi(part); convErr == nil && n >= 0 && n < len(v) {
				value, ok = v[n], true
			}
		case Lookup:
			value, ok, err = v(strings.Join(name[i:], "."))
			if err != nil {
				return nil, "", fmt.Errorf("read the value of {{%s}}: %w", strings.Join(name, "."), err)
			}
			if ok {
				return value, "", nil
			}
		}
		if !ok {
			return nil, fmt.Sprintf("{{%s}} has no value", strings.Join(name, ".")), nil
		}
	}
	return value, "", nil
}

// decode keeps numbers as they were written.
func decode(raw json.RawMessage) (value any, err error) {
	if len(raw) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.RawMessage:
		if decoded, err := decode(v); err == nil {
			return textOf(decoded)
		}
		return string(v)
	case Lookup:
		return ""
	case bool, int, int64, float64, json.Number:
		return fmt.Sprint(v)
	}
	text, err := jsonOf(value)
	if err != nil {
		return ""
	}
	return text
}

func escaped(text string, escape Escape) string {
	if escape == Plain {
		return text
	}
	quoted, err := jsonOf(text)
	if err != nil { // a string always marshals
		return ""
	}
	return quoted[1 : len(quoted)-1]
}

// jsonOf writes a value as JSON without the escapes that are for HTML.
func jsonOf(value any) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
