package inputschema_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cronium.dev/cronium"
	"cronium.dev/inputschema"
)

func compiled(t *testing.T, raw string) *inputschema.Schema {
	t.Helper()
	s, err := inputschema.Compile(json.RawMessage(raw))
	if err != nil {
		t.Fatalf("compile %s: %v", raw, err)
	}
	return s
}

func TestProblemsNameTheFieldAndWhatIsAccepted(t *testing.T) {
	t.Parallel()
	s := compiled(t, `{"type":"object","required":["customer","days"],"additionalProperties":false,"properties":{
		"customer":{"type":"object","required":["name"],"properties":{"name":{"type":"string","minLength":2}}},
		"days":{"type":"integer","minimum":1,"maximum":30},
		"mode":{"enum":["fast","safe",3]},
		"mail":{"type":"string","format":"email"},
		"rows":{"type":"array","items":{"type":"number"},"maxItems":3}}}`)
	for input, want := range map[string]string{
		`{"customer":{"name":"Ann"},"days":30,"mode":3,"rows":[1,2.5]}`: "",
		`{"customer":{},"days":1}`:                                      "input.customer.name is required",
		`{"days":1.5}`:                                                  "input.customer is required; input.days must be a whole number, not number",
		`{"customer":{"name":"A"},"days":31}`:                           "input.customer.name must have at least 2 characters; input.days must be at most 30",
		`{"customer":{"name":"Ann"},"days":1,"mode":"x"}`:               `input.mode must be one of "fast", "safe", 3`,
		`{"customer":{"name":"Ann"},"days":1,"rows":[1,"2"]}`:           "input.rows[1] must be a number, not string",
		`{"customer":{"name":"Ann"},"days":1,"extra":1}`:                "input.extra is not known to the schema",
		`{"customer":{"name":"Ann"},"days":1,"mail":"x"}`:               "input.mail must be a valid email",
		`[]`:    "input must be an object, not array",
		``:      "input must be an object, not null",
		`{} {}`: "input must be one JSON value",
		`{`:     "input must be JSON: unexpected EOF",
	} {
		var got []string
		for _, p := range s.Validate(json.RawMessage(input)) {
			got = append(got, p.Field+" "+p.Message)
		}
		if diff := cmp.Diff(want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s: %s", input, diff)
		}
	}
}

func TestAnEmptySchemaAcceptsEveryInput(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", " \n", "true", "{}"} {
		s := compiled(t, raw)
		for _, input := range []string{"", "null", `{"a":[1]}`, `"x"`} {
			if p := s.Validate(json.RawMessage(input)); len(p) != 0 {
				t.Errorf("schema %q, input %q: %v", raw, input, p)
			}
		}
		if p := s.Validate(json.RawMessage(`{`)); len(p) != 1 {
			t.Errorf("schema %q accepts what is not JSON", raw)
		}
	}
}

// Each of these would read something else or cost without bound.
func TestHostileSchemasAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	doubling := `{"$ref":"#/$defs/a0","$defs":{`
	for i := range 40 {
		doubling += fmt.Sprintf(`"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]},`, i, i+1, i+1)
	}
	doubling += `"a40":{"type":"string"}}}`
	for raw, word := range map[string]string{
		`{"$ref":"http://127.0.0.1/x"}`:      "must not refer to http://127.0.0.1/x",
		`{"$ref":"file:///etc/passwd"}`:      "must not refer to file:///etc/passwd",
		`{"$schema":"https://evil.example"}`: "must not refer to https://evil.example",
		`{"$id":"http://a/","$ref":"b"}`:     "must not refer to http://a/b",
		`{"$ref":"#"}`:                       "must not refer to itself",
		`{"properties":{"a":{"$ref":"#"}}}`:  "must not refer to itself",
		`{"$dynamicRef":"#x","$defs":{"x":{"$dynamicAnchor":"x","items":{"$dynamicRef":"#x"}}}}`: "must not refer to itself",
		doubling:                     "once its references are followed",
		`{"minimum":1e999999999}`:    "numbers of more than 400 digits",
		`{"type":"strange"}`:         "must be a JSON Schema",
		`{"pattern":"(?<!x)y"}`:      "must be a JSON Schema",
		`{"type":"string"} trailing`: "must be JSON",
		`7`:                          "must be a JSON Schema",
		strings.Repeat(`{"not":`, 100) + "true" + strings.Repeat("}", 100):      "nested at most 64 deep",
		`{"description":"` + strings.Repeat("x", cronium.MaxSchemaBytes) + `"}`: "at most 64 KiB",
	} {
		_, err := inputschema.Compile(json.RawMessage(raw))
		if cronium.CodeOf(err) != cronium.CodeInvalid || !strings.Contains(fmt.Sprint(err), word) {
			t.Errorf("%.80s: %v, want %q", raw, err, word)
		}
	}
}

func TestNoFileIsRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(file, []byte(`{"const": "secret"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := inputschema.Compile(json.RawMessage(`{"$ref":"file://` + file + `"}`))
	if cronium.CodeOf(err) != cronium.CodeInvalid || !strings.Contains(fmt.Sprint(err), "must not refer to file://") {
		t.Errorf("a reference to a file that is there: %v", err)
	}
}

func TestHostileInputsAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := compiled(t, `{"items":{"anyOf":[`+strings.Repeat(`{"const":1},`, 500)+`{"type":"integer","multipleOf":3}]}}`)
	for _, input := range []string{
		`1e400000000`, `-1E+999999`, strings.Repeat("9", 500), strings.Repeat("[", 100) + strings.Repeat("]", 100),
		"[" + strings.Repeat("7,", 300_000) + "7]",
	} {
		start := time.Now()
		if p := s.Validate(json.RawMessage(input)); len(p) != 1 || time.Since(start) > 5*time.Second {
			t.Errorf("%.20s…: %v after %s", input, p, time.Since(start))
		}
	}
	if p := s.Validate(json.RawMessage(`[1e3, 12]`)); len(p) != 1 || p[0].Field != "input[0]" {
		t.Errorf("%v", p)
	}
}

func TestAFlatObjectGivesAFormInTheOrderOfTheSchema(t *testing.T) {
	t.Parallel()
	s := compiled(t, `{"type":"object","required":["name"],"properties":{
		"name":{"type":"string","title":"Full name","maxLength":10},
		"count":{"type":"integer","minimum":1,"default":3},
		"ratio":{"type":"number"},
		"dry":{"type":"boolean","description":"Change nothing"},
		"mode":{"enum":["a",1]},
		"tags":{"type":"array"}}}`)
	var names []string
	for _, f := range s.Fields() {
		names = append(names, f.Name+":"+string(f.Kind))
	}
	if got := strings.Join(names, " "); got != "name:string count:integer ratio:number dry:boolean mode:enum tags:json" {
		t.Error(got)
	}
	f := s.Fields()[0]
	if f.Title != "Full name" || !f.Required || *f.MaxLength != 10 {
		t.Errorf("%+v", f)
	}
	form := url.Values{"name": {`A "b"`}, "count": {" 4 "}, "ratio": {""}, "dry": {"false", "true"}, "mode": {"1"}, "tags": {`["x"]`}}
	input, problems := s.FromForm(func(name string) []string { return form[name] })
	if want := `{"name":"A \"b\"","count":4,"dry":true,"mode":1,"tags":["x"]}`; string(input) != want || problems != nil {
		t.Errorf("%s, %v, want %s", input, problems, want)
	}
	if p := s.Validate(input); p != nil {
		t.Error(p)
	}
	form = url.Values{"count": {"many"}, "mode": {"z"}, "tags": {"[,"}}
	_, problems = s.FromForm(func(name string) []string { return form[name] })
	if len(problems) != 3 || problems[0].Field != "input.count" {
		t.Errorf("%v", problems)
	}
}

func TestWhatIsNotAFlatObjectIsAskedForAsJSON(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "true", `{"type":"array"}`, `{"type":["object","null"],"properties":{"a":{}}}`} {
		if f := compiled(t, raw).Fields(); f != nil {
			t.Errorf("%s: %v", raw, f)
		}
	}
}

func FuzzCompileAndValidate(f *testing.F) {
	f.Add(`{"type":"object","properties":{"a":{"minimum":1}}}`, `{"a":0}`)
	f.Add(`{"$ref":"#/$defs/a","$defs":{"a":{"multipleOf":0.1}}}`, `0.3`)
	f.Fuzz(func(t *testing.T, schema, input string) {
		s, err := inputschema.Compile(json.RawMessage(schema))
		if err != nil {
			return
		}
		s.Validate(json.RawMessage(input))
		s.FromForm(func(string) []string { return []string{input} })
	})
}
