package inventory

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"cronium.dev/cronium"
)

// maxDepth bounds groups within groups.
const maxDepth = 20

// readYAML reads an inventory in the YAML form: groups with hosts, vars and
// children.
func (t *tree) readYAML(text string) error {
	var document yaml.Node
	if err := yaml.NewDecoder(strings.NewReader(text)).Decode(&document); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		// The library's message names a line, and quotes nothing of it.
		return &cronium.Error{Code: cronium.CodeInvalid, Message: fmt.Sprintf("This is not YAML: %s.", strings.TrimPrefix(clip(err.Error()), "yaml: ")), Err: err}
	}
	if len(document.Content) == 0 {
		return nil
	}
	return t.pairs(document.Content[0], "the inventory", func(key, value *yaml.Node) error {
		return t.yamlGroup(key.Value, "", value, 0, key.Line)
	})
}

func (t *tree) yamlGroup(name, parent string, value *yaml.Node, depth, line int) error {
	if depth > maxDepth {
		t.plan.ignore(line, "There are too many groups within each other.")
		return nil
	}
	group := t.group(name, line)
	if parent != "" && parent != "all" {
		group.groups = append(group.groups, parent)
	}
	return t.pairs(value, "a group", func(key, value *yaml.Node) error {
		switch key.Value {
		case "hosts":
			return t.pairs(value, "hosts", func(key, value *yaml.Node) error { return t.yamlHost(name, key, value) })
		case "vars":
			return t.pairs(value, "vars", func(key, value *yaml.Node) error {
				if value.Kind == yaml.ScalarNode {
					group.vars[key.Value] = variable{key.Line, value.Value}
				}
				return nil
			})
		case "children":
			return t.pairs(value, "children", func(key, value *yaml.Node) error {
				return t.yamlGroup(key.Value, name, value, depth+1, key.Line)
			})
		}
		t.plan.ignore(key.Line, "“%s” is not known in a group; known are hosts, vars and children.", clip(key.Value))
		return nil
	})
}

func (t *tree) yamlHost(group string, key, value *yaml.Node) error {
	names, err := expand(key.Value)
	if err != nil {
		t.plan.ignore(key.Line, "%v", err)
		return nil
	}
	for _, name := range names {
		h, err := t.addHost(name, group, key.Line)
		if err != nil {
			return err
		}
		if err := t.pairs(value, "a host", func(key, value *yaml.Node) error {
			if value.Kind == yaml.ScalarNode && value.Tag != "!!null" && value.Tag != "!vault" {
				h.vars[key.Value] = variable{key.Line, value.Value}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// pairs goes through a mapping. Nothing at all is an empty one; an alias is not
// followed, so that none leads in a circle.
func (t *tree) pairs(n *yaml.Node, what string, f func(key, value *yaml.Node) error) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		t.plan.ignore(n.Line, "Here %s must be names with values, like “web-1:”.", what)
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := t.spend(1); err != nil {
			return err
		}
		if err := f(n.Content[i], n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}
