// Package inputschema checks the input of a run against the JSON Schema of an
// event, and says how to ask for that input in a form.
//
// Compile accepts a schema (2020-12 unless $schema names another draft) as long
// as checking with it is bounded: it refers to nothing outside of itself, not to
// itself without end, and is of limited size. Validate answers all that is wrong
// with an input, each with the path of its field as the API names it
// ("input.customer.name", "input.rows[2]"). Fields and FromForm are for pages.
package inputschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cronium.dev/cronium"
)

// Bounds. What a check costs is at most the schema's paths times the input's
// values.
const (
	maxDepth  = 64
	maxValues = 20_000 // in a schema
	maxPaths  = 20_000 // of a schema with its references followed
	maxChecks = 5_000_000
	maxDigits = 400 // of one number, exponent included
)

// Schema is a compiled schema. Its methods may be called concurrently.
type Schema struct {
	compiled *jsonschema.Schema // nil: everything is accepted
	paths    int
	fields   []Field
}

// Compile reads a schema; an empty one accepts every input. Its error is a
// *cronium.Error that names the field input_schema.
func Compile(raw json.RawMessage) (*Schema, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return &Schema{}, nil
	}
	s, err := compile(raw)
	if err != nil {
		var problems cronium.Problems
		problems.Add(false, "input_schema", "%s", err)
		return nil, problems.Err("The input schema")
	}
	return s, nil
}

func compile(raw json.RawMessage) (*Schema, error) {
	if len(raw) > cronium.MaxSchemaBytes {
		return nil, errors.New("must be at most 64 KiB")
	}
	values, err := measure(raw)
	if err != nil {
		return nil, err
	}
	if values > maxValues {
		return nil, fmt.Errorf("must have at most %d values", maxValues)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("must be JSON: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nowhere{})
	compiler.AssertFormat()
	if err := compiler.AddResource(location, document); err != nil {
		return nil, explain(err)
	}
	compiled, err := compiler.Compile(location)
	if err != nil {
		return nil, explain(err)
	}
	paths, err := countPaths(compiled)
	if err != nil {
		return nil, err
	}
	return &Schema{compiled: compiled, paths: paths, fields: readFields(raw)}, nil
}

// location is the name of the schema among schemas. It leads nowhere.
const location = "cronium:input"

// nowhere loads nothing: neither files nor the network.
type nowhere struct{}

func (nowhere) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside of the schema; put it under $defs", url)
}

// explain turns what the compiler says into words for the author of a schema.
func explain(err error) error {
	var load *jsonschema.LoadURLError
	var invalid *jsonschema.SchemaValidationError
	var violation *jsonschema.ValidationError
	switch {
	case errors.As(err, &load):
		return fmt.Errorf("must not refer to %s: only references within the schema, like #/$defs/name, are followed", load.URL)
	case errors.As(err, &invalid) && errors.As(invalid.Err, &violation):
		problems := problemsOf("input_schema", violation)
		return fmt.Errorf("must be a JSON Schema: %s %s", problems[0].Field, problems[0].Message)
	}
	return fmt.Errorf("must be a JSON Schema: %w", err)
}

// Validate checks an input; nil when it is accepted. An input that is not there
// is checked as null.
func (s *Schema) Validate(input json.RawMessage) cronium.Problems {
	var problems cronium.Problems
	if len(bytes.TrimSpace(input)) == 0 {
		input = json.RawMessage("null")
	}
	values, err := measure(input)
	if err != nil {
		problems.Add(false, "input", "%s", err)
		return problems
	}
	if s.compiled == nil {
		return nil
	}
	if values*s.paths > maxChecks {
		problems.Add(false, "input", "is too large for its schema, which would take too long to check")
		return problems
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(input))
	if err != nil {
		problems.Add(false, "input", "must be JSON: %v", err)
		return problems
	}
	var violation *jsonschema.ValidationError
	switch err := s.compiled.Validate(value); {
	case errors.As(err, &violation):
		return problemsOf("input", violation)
	case err != nil:
		problems.Add(false, "input", "cannot be checked: %v", err)
	}
	return problems
}
