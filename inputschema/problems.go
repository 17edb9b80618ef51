package inputschema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"cronium.dev/cronium"
)

// maxProblems is how many are told at once.
const maxProblems = 50

// problemsOf lists what is wrong, a wrong field once a reason, in the order of
// the fields.
func problemsOf(root string, violation *jsonschema.ValidationError) cronium.Problems {
	var problems cronium.Problems
	collect(root, violation, &problems)
	slices.SortStableFunc(problems, func(a, b cronium.FieldError) int { return strings.Compare(a.Field, b.Field) })
	problems = slices.Compact(problems)
	return problems[:min(len(problems), maxProblems)]
}

func collect(root string, v *jsonschema.ValidationError, problems *cronium.Problems) {
	field := fieldPath(root, v.InstanceLocation)
	switch k := v.ErrorKind.(type) {
	case *kind.Required:
		for _, name := range k.Missing {
			problems.Add(false, fieldPath(field, []string{name}), "is required")
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			problems.Add(false, fieldPath(field, []string{name}), "is not known to the schema")
		}
	case *kind.AnyOf, *kind.OneOf, *kind.Not, *kind.Contains, *kind.FalseSchema:
		// What each alternative says does not help: they contradict one another.
		problems.Add(false, field, "%s", alternative(k))
	default:
		if len(v.Causes) == 0 {
			problems.Add(false, field, "%s", reason(v.ErrorKind))
			return
		}
		for _, cause := range v.Causes {
			collect(root, cause, problems)
		}
	}
}

func alternative(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.AnyOf:
		return "fits none of the forms that the schema allows (anyOf)"
	case *kind.OneOf:
		if len(k.Subschemas) > 0 {
			return "fits more than one of the forms of which it must be exactly one (oneOf)"
		}
		return "fits none of the forms that the schema allows (oneOf)"
	case *kind.Not:
		return "has a form that the schema excludes (not)"
	case *kind.Contains:
		return "must have an item as the schema's contains says"
	}
	return "must not be there"
}

func reason(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("must be %s, not %s", types(k.Want), k.Got)
	case *kind.Enum:
		return "must be one of " + list(k.Want)
	case *kind.Const:
		return "must be " + list([]any{k.Want})
	case *kind.MinLength:
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %d characters", k.Want)
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.Format:
		return "must be a valid " + k.Want
	case *kind.Minimum:
		return "must be at least " + number(k.Want)
	case *kind.Maximum:
		return "must be at most " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + number(k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d items", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d items", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not repeat an item; items %d and %d are equal", k.Duplicates[0], k.Duplicates[1])
	}
	return k.LocalizedString(message.NewPrinter(language.English))
}

// types reads as "a string or a number".
func types(names []string) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = map[string]string{
			"string": "a string", "number": "a number", "integer": "a whole number", "boolean": "true or false",
			"object": "an object", "array": "an array",
		}[name]
		if words[i] == "" {
			words[i] = name
		}
	}
	return strings.Join(words, " or ")
}

// list writes values as JSON, as many as help.
func list(values []any) string {
	const most = 20
	var words []string
	for _, value := range values[:min(len(values), most)] {
		text, err := json.Marshal(value)
		if err != nil {
			continue
		}
		words = append(words, string(text))
	}
	if len(values) > most {
		words = append(words, "…")
	}
	return strings.Join(words, ", ")
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// fieldPath writes a place in a document as the API names it: input.rows[2].id
func fieldPath(root string, tokens []string) string {
	var b strings.Builder
	b.WriteString(root)
	for _, token := range tokens {
		if token != "" && strings.Trim(token, "0123456789") == "" {
			b.WriteString("[" + token + "]")
			continue
		}
		b.WriteString("." + token)
	}
	return b.String()
}
