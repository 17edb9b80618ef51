package request

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Lookup finds the value of a name: "input.customer", "variables.KEY". It fails
// where there is none.
type Lookup func(name string) (json.RawMessage, error)

var template = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)

// knownName tells whether a name is one of those that a request may use.
func knownName(name string) bool {
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "input":
		return name == "input" || rest != ""
	case "variables", "secrets":
		return rest != ""
	}
	return false
}

// names are the templates of all texts of a request.
func (r *Request) names() (names []string) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	for _, found := range template.FindAllSubmatch(text, -1) {
		names = append(names, string(found[1]))
	}
	return names
}

// fill puts values into a text, each as escape makes it. escape gets where in the
// text the value stands.
func fill(text string, lookup Lookup, escape func(value string, at int) string) (string, error) {
	var filled strings.Builder
	last := 0
	for _, at := range template.FindAllStringSubmatchIndex(text, -1) {
		name := text[at[2]:at[3]]
		value, err := lookup(name)
		if err != nil {
			return "", fmt.Errorf("{{%s}}: %w", name, err)
		}
		filled.WriteString(text[last:at[0]])
		filled.WriteString(escape(plain(value), at[0]))
		last = at[1]
	}
	filled.WriteString(text[last:])
	return filled.String(), nil
}

// plain is a value as it stands in a text: text without quotes, all else as JSON.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil && !bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return text
	}
	return string(bytes.TrimSpace(value))
}

func asIs(value string, _ int) string { return value }

// fillURL puts values into an address: escaped for its path or, after ?, its
// query; as it is where it begins the address.
func fillURL(text string, lookup Lookup) (string, error) {
	query := strings.IndexByte(template.ReplaceAllStringFunc(text, func(t string) string { return strings.Repeat("x", len(t)) }), '?')
	return fill(text, lookup, func(value string, at int) string {
		switch {
		case at == 0:
			return value
		case query >= 0 && at > query:
			return url.QueryEscape(value)
		}
		return url.PathEscape(value)
	})
}

// fillJSON puts values into the texts of a document. A text that is one template
// and nothing else becomes the value itself, be it a number or a list.
func fillJSON(document json.RawMessage, lookup Lookup) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	filled, err := fillValue(value, lookup, 0)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(filled); err != nil {
		return nil, fmt.Errorf("write body: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

func fillValue(value any, lookup Lookup, depth int) (any, error) {
	if depth > 100 {
		return nil, fmt.Errorf("the body is nested more than 100 deep")
	}
	var err error
	switch v := value.(type) {
	case string:
		if whole := template.FindStringSubmatch(v); whole != nil && whole[0] == v {
			found, err := lookup(whole[1])
			if err != nil {
				return nil, fmt.Errorf("{{%s}}: %w", whole[1], err)
			}
			return found, nil
		}
		return fill(v, lookup, asIs)
	case map[string]any:
		for key, member := range v {
			if v[key], err = fillValue(member, lookup, depth+1); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, element := range v {
			if v[i], err = fillValue(element, lookup, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}
