package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is what is wrong with a file, and where.
type Problem struct {
	File string
	Line int
	Text string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Read reads the documents of a file. Errors are *Problem.
func Read(file string, text []byte) ([]Document, error) {
	var documents []Document
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, &Problem{File: file, Text: "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
		}
		if len(node.Content) == 0 || node.Content[0].Kind == yaml.ScalarNode && node.Content[0].Tag == "!!null" {
			continue
		}
		document, err := readDocument(file, node.Content[0])
		if err != nil {
			return nil, err
		}
		if documents = append(documents, *document); len(documents) > MaxDocuments {
			return nil, &Problem{File: file, Line: node.Line, Text: fmt.Sprintf("has more than %d documents", MaxDocuments)}
		}
	}
}

func readDocument(file string, node *yaml.Node) (*Document, error) {
	fail := func(at *yaml.Node, format string, args ...any) error {
		return &Problem{File: file, Line: at.Line, Text: fmt.Sprintf(format, args...)}
	}
	if node.Kind != yaml.MappingNode {
		return nil, fail(node, "a document must be fields with values, like kind: event")
	}
	d := &Document{File: file, Line: node.Line}
	var rest []*yaml.Node
	var name, key, environment string
	for i := 0; i+1 < len(node.Content); i += 2 {
		field, value := node.Content[i], node.Content[i+1]
		if field.Value == "kind" {
			d.Kind = value.Value
			continue
		}
		switch field.Value {
		case "name":
			name = value.Value
		case "key":
			key = value.Value
		case "environment":
			environment = value.Value
		}
		rest = append(rest, field, value)
	}
	if !slices.Contains(Kinds, d.Kind) {
		return nil, fail(node, "kind must be %s, not %q", strings.Join(Kinds, ", "), d.Kind)
	}
	d.Name = name
	if d.Kind == KindVariable {
		d.Name = VariableName(key, environment)
	}
	if d.Name == "" {
		return nil, fail(node, "the %s has no name", d.Kind)
	}
	plain := *node
	plain.Content = rest
	value, err := toValue(&plain, 0)
	if err != nil {
		at := node
		var wrong *wrongNode
		if errors.As(err, &wrong) {
			at = wrong.node
		}
		return nil, fail(at, "%s", err)
	}
	d.Fields, err = json.Marshal(value)
	return d, err
}

// VariableName is how documents name a variable.
func VariableName(key, environment string) string {
	if environment == "" {
		return key
	}
	return key + "@" + environment
}

// wrongNode is a part of YAML that has no place here.
type wrongNode struct {
	node *yaml.Node
	text string
}

func (w *wrongNode) Error() string { return w.text }

const maxDepth = 64

// toValue is a node as JSON has it. Aliases are refused: a few lines of them can
// stand for billions of values.
func toValue(node *yaml.Node, depth int) (any, error) {
	if depth > maxDepth {
		return nil, &wrongNode{node, fmt.Sprintf("is nested deeper than %d", maxDepth)}
	}
	switch node.Kind {
	case yaml.AliasNode:
		return nil, &wrongNode{node, "anchors and aliases are not read here; write the value out"}
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, item := range node.Content {
			value, err := toValue(item, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.MappingNode:
		object := make(map[string]any, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			field := node.Content[i]
			if field.Kind != yaml.ScalarNode || field.Value == "<<" && field.Tag == "!!merge" {
				return nil, &wrongNode{field, "names of fields must be plain words"}
			}
			if _, twice := object[field.Value]; twice {
				return nil, &wrongNode{field, fmt.Sprintf("%s is there twice", field.Value)}
			}
			value, err := toValue(node.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			object[field.Value] = value
		}
		return object, nil
	}
	return scalar(node)
}

// scalar reads a value by its tag. Times and the like stay text, as JSON has
// them.
func scalar(node *yaml.Node) (any, error) {
	switch node.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		return strings.EqualFold(node.Value, "true"), nil
	case "!!int":
		n, err := strconv.ParseInt(strings.ReplaceAll(node.Value, "_", ""), 0, 64)
		if err != nil {
			return nil, &wrongNode{node, fmt.Sprintf("%s is no number that fits", node.Value)}
		}
		return n, nil
	case "!!float":
		f, err := strconv.ParseFloat(node.Value, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, &wrongNode{node, fmt.Sprintf("%s is no number of JSON", node.Value)}
		}
		return f, nil
	case "!!str", "!!timestamp":
		return node.Value, nil
	}
	return nil, &wrongNode{node, fmt.Sprintf("the tag %s is not read here", node.Tag)}
}
