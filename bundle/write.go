package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Write writes documents as YAML, fields in the order that they have.
func Write(documents ...Document) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	for _, d := range documents {
		node, err := toNode(json.NewDecoder(bytes.NewReader(d.Fields)))
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", d.ID(), err)
		}
		kind := []*yaml.Node{text("kind"), text(d.Kind)}
		node.Content = append(kind, node.Content...)
		if err := encoder.Encode(node); err != nil {
			return nil, fmt.Errorf("write %s: %w", d.ID(), err)
		}
	}
	return b.Bytes(), encoder.Close()
}

// toNode is the next value of JSON as YAML, with the order of its fields kept.
func toNode(decoder *json.Decoder) (*yaml.Node, error) {
	decoder.UseNumber()
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		if v == '{' {
			node.Kind = yaml.MappingNode
		}
		for decoder.More() {
			child, err := toNode(decoder)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		if len(node.Content) == 0 {
			node.Style = yaml.FlowStyle
		}
		_, err = decoder.Token() // the end
		return node, err
	case string:
		return text(v), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// text is a text; one of several lines stands as a block, as scripts are read.
func text(s string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.Contains(strings.TrimSuffix(s, "\n"), "\n") && !strings.Contains(s, "\r") {
		node.Style = yaml.LiteralStyle
	}
	return node
}
