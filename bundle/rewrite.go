package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// member is a field of a JSON object, with its place among the others kept.
type member struct {
	name  string
	value json.RawMessage
}

// Rewrite replaces the value at a path of field names in a JSON object by what f
// makes of it, and leaves everything else as and where it is. A path that does not
// exist changes nothing.
func Rewrite(object json.RawMessage, f func(json.RawMessage) (json.RawMessage, error), path ...string) (json.RawMessage, error) {
	if len(path) == 0 {
		return f(object)
	}
	members, err := membersOf(object)
	if err != nil {
		return nil, err
	}
	for i, m := range members {
		if m.name == path[0] {
			if members[i].value, err = Rewrite(m.value, f, path[1:]...); err != nil {
				return nil, err
			}
		}
	}
	return joined(members)
}

// RewriteEach is Rewrite for each entry of the list at the path.
func RewriteEach(object json.RawMessage, f func(json.RawMessage) (json.RawMessage, error), path ...string) (json.RawMessage, error) {
	return Rewrite(object, func(list json.RawMessage) (json.RawMessage, error) {
		var entries []json.RawMessage
		if err := json.Unmarshal(list, &entries); err != nil {
			return nil, err
		}
		for i := range entries {
			var err error
			if entries[i], err = f(entries[i]); err != nil {
				return nil, err
			}
		}
		return json.Marshal(entries)
	}, path...)
}

func membersOf(object json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("must be fields with values, not %.20s", object)
	}
	var members []member
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: fmt.Sprint(token)}
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	return members, nil
}

func joined(members []member) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
