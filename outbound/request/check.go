package request

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Check tells what of an answer is not as expected, each as a sentence; none if
// all is.
func (r *Request) Check(response *Response) (wrong []string) {
	allowed, err := statuses(r.Expect.Status)
	if err != nil {
		return []string{err.Error()}
	}
	good := false
	for _, s := range allowed {
		good = good || response.Status >= s.from && response.Status <= s.to
	}
	if !good {
		want := r.Expect.Status
		if want == "" {
			want = "200-299"
		}
		wrong = append(wrong, fmt.Sprintf("the status is %d, not %s", response.Status, want))
	}
	if len(r.Expect.JSON) == 0 {
		return wrong
	}
	if !response.isJSON {
		return append(wrong, "the answer is not JSON, so nothing of it can be compared")
	}
	decoder := json.NewDecoder(bytes.NewReader(response.Body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return append(wrong, "the answer is not JSON: "+err.Error())
	}
	for i := range r.Expect.JSON {
		if sentence := r.Expect.JSON[i].check(value); sentence != "" {
			wrong = append(wrong, sentence)
		}
	}
	return wrong
}

// check is what is wrong with a value, "" if it is as expected.
func (a *Assertion) check(root any) string {
	path, err := parsePath(a.Path)
	if err != nil {
		return err.Error()
	}
	got, found := pick(root, path)
	if a.Is == "missing" {
		if found {
			return fmt.Sprintf("%s is there: %s", a.Path, brief(got))
		}
		return ""
	}
	if !found {
		return a.Path + " is not there"
	}
	if a.Is == "exists" || a.holds(got) {
		return ""
	}
	return fmt.Sprintf("%s is %s; expected: %s %s", a.Path, brief(got), a.Is, a.Value)
}

func (a *Assertion) holds(got any) bool {
	decoder := json.NewDecoder(bytes.NewReader(a.Value))
	decoder.UseNumber()
	var want any
	if decoder.Decode(&want) != nil {
		return false
	}
	switch a.Is {
	case "equals":
		return same(got, want)
	case "differs":
		return !same(got, want)
	case "contains":
		return contains(got, want)
	case "matches":
		text, isText := got.(string)
		pattern, err := regexp.Compile(fmt.Sprint(want))
		return isText && err == nil && pattern.MatchString(text)
	}
	left, leftIs := number(got)
	right, rightIs := number(want)
	return leftIs && rightIs && (a.Is == "above" && left > right || a.Is == "below" && left < right)
}

// same compares as JSON does: 1 and 1.0 are the same number.
func same(a, b any) bool {
	left, leftIs := number(a)
	right, rightIs := number(b)
	if leftIs && rightIs {
		return a == b || left == right
	}
	return reflect.DeepEqual(a, b)
}

func contains(whole, part any) bool {
	switch v := whole.(type) {
	case string:
		text, ok := part.(string)
		return ok && strings.Contains(v, text)
	case []any:
		for _, element := range v {
			if same(element, part) {
				return true
			}
		}
	case map[string]any:
		name, ok := part.(string)
		_, there := v[name]
		return ok && there
	}
	return false
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// brief is a value in at most 200 bytes.
func brief(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(text) > 200 {
		return strings.ToValidUTF8(string(text[:200]), "") + "…"
	}
	return string(text)
}

// parsePath reads .items[0].state into its steps: names and indexes.
func parsePath(path string) ([]any, error) {
	var steps []any
	if path == "." {
		return nil, nil
	}
	for rest := path; rest != ""; {
		switch end := strings.IndexByte(rest, ']'); {
		case rest[0] == '.':
			name := rest[1:]
			if stop := strings.IndexAny(name, ".["); stop >= 0 {
				name = name[:stop]
			}
			if name == "" {
				return nil, errPath
			}
			steps, rest = append(steps, name), rest[1+len(name):]
		case rest[0] == '[' && end > 0:
			i, err := strconv.Atoi(rest[1:end])
			if err != nil || i < 0 {
				return nil, errPath
			}
			steps, rest = append(steps, i), rest[end+1:]
		default:
			return nil, errPath
		}
	}
	if len(steps) == 0 {
		return nil, errPath
	}
	return steps, nil
}

var errPath = errors.New("path must be like .items[0].state, or . for all")

// pick finds the value at a path.
func pick(value any, path []any) (any, bool) {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			object, ok := value.(map[string]any)
			if !ok {
				return nil, false
			}
			if value, ok = object[s]; !ok {
				return nil, false
			}
		case int:
			list, ok := value.([]any)
			if !ok || s >= len(list) {
				return nil, false
			}
			value = list[s]
		}
	}
	return value, true
}
