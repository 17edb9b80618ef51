package template

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

var values = map[string]any{
	"cronium": map[string]any{
		"event":  map[string]any{"name": "Nightly \"backup\""},
		"output": json.RawMessage(`{"rows": [{"id": 12345678901234567890, "ok": true}], "text": "a\nb", "none": null}`),
	},
	"input": map[string]any{"customer": 7, "share": 0.5},
	"variables": Lookup(func(key string) (any, bool, error) {
		switch key {
		case "REGION.EU":
			return "fra", true, nil
		case "BROKEN":
			return nil, false, errors.New("database away")
		}
		return nil, false, nil
	}),
}

func TestRenderFillsInValues(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                       "",
		"no names":                               "no names",
		"{{cronium.event.name}} failed":          `Nightly "backup" failed`,
		"{{ input.customer }}":                   "7",
		"{{input.share}}/{{input.share}}":        "0.5/0.5",
		"{{cronium.output.rows.0.id}}":           "12345678901234567890",
		"{{cronium.output.rows}}":                `[{"id":12345678901234567890,"ok":true}]`,
		"{{cronium.output.rows.0.ok}}":           "true",
		"{{cronium.output.none}}!":               "!",
		"{{variables.REGION.EU}}":                "fra",
		`\{{input.customer}} {{input.customer}}`: "{{input.customer}} 7",
		"}} { }":                                 "}} { }",
	} {
		parsed, err := Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got, notes, err := parsed.Render(values, Plain)
		if err != nil || got != want || len(notes) > 0 {
			t.Errorf("%q is %q (%v, %v), want %q", text, got, notes, err, want)
		}
	}
}

func TestAMissingValueIsEmptyAndNoted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cronium.nothing", "input.customer.name", "cronium.output.rows.1", "cronium.output.rows.-1", "variables.NOT", "files.passwd"} {
		parsed, err := Parse("[{{" + name + "}}{{" + name + "}}]")
		if err != nil {
			t.Fatal(err)
		}
		got, notes, err := parsed.Render(values, Plain)
		if err != nil || got != "[]" || len(notes) != 1 || !strings.Contains(notes[0], name) {
			t.Errorf("%s gives %q with the notes %q, %v", name, got, notes, err)
		}
	}
}

func TestAFailedLookupIsAnError(t *testing.T) {
	t.Parallel()
	parsed, err := Parse("{{variables.BROKEN}}")
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := parsed.Render(values, Plain); err == nil {
		t.Errorf("gave %q", text)
	}
}

func TestAJSONStringStaysOne(t *testing.T) {
	t.Parallel()
	parsed, err := Parse(`{"text": "{{cronium.event.name}}: {{cronium.output.text}} <b>"}`)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := parsed.Render(values, JSONString)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Text string }
	if err := json.Unmarshal([]byte(got), &doc); err != nil || doc.Text != "Nightly \"backup\": a\nb <b>" {
		t.Errorf("%s reads as %q, %v", got, doc.Text, err)
	}
}

func TestParseRefusesWhatIsNotAName(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{{", "{{}}", "{{ }}", "{{a b}}", "{{a..b}}", "{{.a}}", "{{a|b}}", "{{range .}}", "{{a()}}", "{{input.x\n", "{{ä}}", "\xff",
		"{{" + strings.Repeat("a.", MaxParts) + "a}}", "{{" + strings.Repeat("a", 301) + "}}",
		strings.Repeat("x", MaxBytes+1), strings.Repeat("{{a}}", MaxNames+1),
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%.40q was taken", text)
		}
	}
}

func TestResultsAreBounded(t *testing.T) {
	t.Parallel()
	big := map[string]any{"a": strings.Repeat("x", MaxResult/10)}
	parsed, err := Parse(strings.Repeat("{{a}}", 11))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parsed.Render(big, Plain); err == nil {
		t.Error("a text grew over its bound")
	}
	doc, err := ParseDocument(json.RawMessage(`["{{a}}"` + strings.Repeat(`,"{{a}}"`, 10) + `]`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := doc.Render(big); err == nil {
		t.Error("a document grew over its bound")
	}
}

func TestUnknownNamesAreFound(t *testing.T) {
	t.Parallel()
	parsed, err := Parse("{{cronium.event.name}} {{input.a.b}} {{input}} {{cronium.event.nmae}} {{inputs.a}} {{cronium.event.nmae}}")
	if err != nil {
		t.Fatal(err)
	}
	got := parsed.Unknown([]string{"cronium.event.name", "input.*"})
	if want := []string{"cronium.event.nmae", "inputs.a"}; !slices.Equal(got, want) {
		t.Errorf("unknown are %q, want %q", got, want)
	}
}

func TestADocumentKeepsItsShapeAndTheTypesOfValues(t *testing.T) {
	t.Parallel()
	doc, err := ParseDocument(json.RawMessage(`{"rows": "{{cronium.output.rows}}", "to": ["{{cronium.event.name}}"], "n": "{{input.customer}}",
		"gone": "{{input.gone}}", "mixed": "n={{input.customer}}", "fix": 1.50, "{{input.customer}}": true}`))
	if err != nil {
		t.Fatal(err)
	}
	got, notes, err := doc.Render(values)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"fix":1.50,"gone":null,"mixed":"n=7","n":7,"rows":[{"id":12345678901234567890,"ok":true}],"to":["Nightly \"backup\""],"{{input.customer}}":true}`
	if string(got) != want || len(notes) != 1 {
		t.Errorf("got  %s %q\nwant %s", got, notes, want)
	}
	again, _, err := doc.Render(values)
	if err != nil || string(again) != want {
		t.Errorf("a second rendering gives %s, %v", again, err)
	}
}

func TestADocumentSaysWhereItIsWrong(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"a": {"b": ["x", "{{"]}}`: "a.b.1: line 1",
		`{"a": `:                    "not JSON",
		`1 2`:                       "not JSON",
		strings.Repeat("[", 40) + strings.Repeat("]", 40): "deeper",
	} {
		_, err := ParseDocument(json.RawMessage(raw))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"{{cronium.event.name}}", `\{{x}}`, "{{a.0.b}} }}{{", "{{ input }}", `{"a":"{{x.y}}"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fill := map[string]any{"a": json.RawMessage(text), "input": text, "x": []any{text}}
		if parsed, err := Parse(text); err == nil {
			got, _, err := parsed.Render(fill, JSONString)
			if err == nil && !strings.Contains(text, "{{") && got != text {
				t.Errorf("%q became %q", text, got)
			}
		}
		doc, err := ParseDocument(json.RawMessage(text))
		if err != nil {
			return
		}
		if got, _, err := doc.Render(fill); err == nil && !json.Valid(got) {
			t.Errorf("%q became %q, which is not JSON", text, got)
		}
	})
}
