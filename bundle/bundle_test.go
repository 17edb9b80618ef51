package bundle

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestDocumentsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	want := Document{Kind: KindEvent, Name: "Nightly", Fields: json.RawMessage(
		`{"name":"Nightly","type":"BASH","content":{"files":[{"name":"a.sh","content":"echo 1\nyes: no\n"}],"limits":{"cpus":0.5,"timeout_seconds":300},"input":{"when":"2026-01-01","yes":"true","n":"1"},"on":{}},"schedules":[]}`)}
	text, err := Write(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "content: |\n") {
		t.Errorf("a script does not stand as a block:\n%s", text)
	}
	got, err := Read("a.yaml", text)
	if err != nil || len(got) != 1 || got[0].ID() != want.ID() {
		t.Fatalf("%+v, %v", got, err)
	}
	if fields, err := differences(want.Fields, got[0].Fields); err != nil || len(fields) > 0 {
		t.Errorf("%+v, %v\n%s", fields, err, text)
	}
}

func TestWhatIsWrongIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kind: evnt\nname: a":                  "f.yaml:1: kind must be",
		"kind: event":                          "f.yaml:1: the event has no name",
		"- a":                                  "f.yaml:1: a document must be fields",
		"kind: event\nname: a\nx: &a 1\ny: *a": "f.yaml:4: anchors and aliases",
		"kind: event\nname: a\nx:\n  b: 1\n  b: 2":              "b is there twice",
		"kind: event\nname: a\nx: .inf":                         "f.yaml:3: .inf is no number",
		"kind: event\nname: a\nx: !!binary aGk=":                "f.yaml:3: the tag !!binary",
		"kind: event\nname: [":                                  "is not YAML",
		"kind: event\nname: a\nx: " + strings.Repeat("[", 2000): "",
	} {
		_, err := Read("f.yaml", []byte(text))
		var problem *Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func TestComparingSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	event := func(name, fields string) Document {
		return Document{Kind: KindEvent, Name: name, Fields: json.RawMessage(fields)}
	}
	now := []Document{event("a", `{"content":{"limits":{"t":300},"files":[{"name":"x","content":"1"}]}}`), event("b", `{}`), event("c", `{"n":1}`)}
	wanted := []Document{event("a", `{"content":{"limits":{"t":60},"files":[{"name":"y","content":"2"},{"name":"x","content":"1"}]}}`), event("c", `{"n":1}`), event("d", `{}`)}
	changes, err := Compare(now, wanted, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, string(c.Action)+" "+c.Name)
	}
	if want := []string{"CHANGE a", "SAME c", "ADD d", "KEPT b"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if f := changes[0].Fields; len(f) != 2 || f[0] != (FieldChange{Path: "content.files[y]", After: `{"content":"2","name":"y"}`}) ||
		f[1] != (FieldChange{Path: "content.limits.t", Before: "300", After: "60"}) {
		t.Errorf("%+v", f)
	}
	if changes, _ = Compare(now, wanted, true); changes[3].Action != Remove {
		t.Errorf("with prune: %+v, want b to go", changes[3])
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("kind: event\nname: a\ncontent:\n  files:\n    - {name: a, content: |-\n  x}\n---\nkind: variable\nkey: A\nvalue: 1\n"))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		documents, err := Read("f", text)
		if err != nil {
			return
		}
		for _, d := range documents {
			if !json.Valid(d.Fields) {
				t.Fatalf("%s is not JSON", d.Fields)
			}
			again, err := Write(d)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Read("f", again)
			if err != nil || len(back) != 1 || !bytesEqualJSON(back[0].Fields, d.Fields) {
				t.Fatalf("%s came back as %+v, %v:\n%s", d.Fields, back, err, again)
			}
		}
	})
}

func bytesEqualJSON(a, b json.RawMessage) bool {
	fields, err := differences(a, b)
	return err == nil && len(fields) == 0
}
