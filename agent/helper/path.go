package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Select takes the part of a JSON value that a path like .user.names[0] names.
func Select(value json.RawMessage, path string) (json.RawMessage, error) {
	if path == "." {
		return value, nil
	}
	for rest := path; rest != ""; {
		var err error
		switch {
		case rest[0] == '.':
			name := rest[1:]
			if end := strings.IndexAny(name, ".["); end >= 0 {
				name = name[:end]
			}
			rest = rest[1+len(name):]
			value, err = member(value, name)
		case rest[0] == '[' && strings.Contains(rest, "]"):
			end := strings.IndexByte(rest, ']')
			value, err = element(value, rest[1:end])
			rest = rest[end+1:]
		default:
			err = errors.New("a path is like .user.names[0]")
		}
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", path, err)
		}
	}
	return value, nil
}

func member(value json.RawMessage, name string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || object == nil {
		return nil, fmt.Errorf("%q is asked of something that is not an object", name)
	}
	found, ok := object[name]
	if !ok {
		return nil, fmt.Errorf("there is no %q", name)
	}
	return found, nil
}

func element(value json.RawMessage, index string) (json.RawMessage, error) {
	var array []json.RawMessage
	if json.Unmarshal(value, &array) != nil || array == nil {
		return nil, fmt.Errorf("[%s] is asked of something that is not a list", index)
	}
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(array) {
		return nil, fmt.Errorf("there is no [%s] in a list of %d", index, len(array))
	}
	return array[i], nil
}
