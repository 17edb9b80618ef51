package inputschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// measure counts the values of a JSON document and refuses one that is not
// JSON, nested too deep, or holds numbers too large to compute with.
func measure(raw []byte) (values int, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	depth := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && values > 0 && depth == 0 {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("must be JSON: %w", unexpected(err))
		}
		values++
		switch token := token.(type) {
		case json.Delim:
			if token == '{' || token == '[' {
				depth++
			} else {
				depth--
			}
			if depth > maxDepth {
				return 0, fmt.Errorf("must be nested at most %d deep", maxDepth)
			}
		case json.Number:
			if !computable(string(token)) {
				return 0, fmt.Errorf("must not hold numbers of more than %d digits", maxDigits)
			}
		}
	}
	if !json.Valid(raw) { // the decoder takes several values one after another
		return 0, errors.New("must be one JSON value")
	}
	return values, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// computable tells whether a number written out in full stays within maxDigits:
// 1e999999999 is short, and a gigabyte when it is computed with.
func computable(number string) bool {
	mantissa, exponent, found := bytes.Cut(bytes.ToLower([]byte(number)), []byte("e"))
	if len(mantissa) > maxDigits {
		return false
	}
	exponent = bytes.TrimLeft(exponent, "+-0")
	return !found || len(exponent) < 3 || len(exponent) == 3 && string(exponent) <= "400"
}

// countPaths is the size of the schema with every reference replaced by what it
// refers to. It refuses a schema that contains itself, for which there is no
// such size, and one that is small as it is written and huge when it is used.
func countPaths(root *jsonschema.Schema) (int, error) {
	known := map[*jsonschema.Schema]int{}
	within := map[*jsonschema.Schema]bool{}
	var count func(*jsonschema.Schema) (int, error)
	count = func(s *jsonschema.Schema) (int, error) {
		if n, ok := known[s]; ok {
			return n, nil
		}
		if within[s] {
			return 0, errors.New("must not refer to itself: a schema that contains itself is not supported")
		}
		within[s] = true
		total := 1
		for _, child := range children(s) {
			n, err := count(child)
			if err != nil {
				return 0, err
			}
			if total += n; total > maxPaths {
				return 0, fmt.Errorf("must have at most %d parts once its references are followed", maxPaths)
			}
		}
		delete(within, s)
		known[s] = total
		return total, nil
	}
	return count(root)
}

// children are all schemas that a schema may hand a value or a part of it to.
func children(s *jsonschema.Schema) []*jsonschema.Schema {
	all := slices.Concat(
		[]*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
			s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema},
		s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems,
		slices.Collect(maps.Values(s.Properties)), slices.Collect(maps.Values(s.PatternProperties)),
		slices.Collect(maps.Values(s.DependentSchemas)))
	if s.DynamicRef != nil {
		all = append(all, s.DynamicRef.Ref)
	}
	for _, value := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch value := value.(type) {
		case *jsonschema.Schema:
			all = append(all, value)
		case []*jsonschema.Schema:
			all = append(all, value...)
		}
	}
	for _, value := range s.Dependencies {
		if child, ok := value.(*jsonschema.Schema); ok {
			all = append(all, child)
		}
	}
	return slices.DeleteFunc(all, func(s *jsonschema.Schema) bool { return s == nil })
}
