package components

import (
	"strings"

	"github.com/a-h/templ"

	"cronium.dev/cronium"
)

// Input describes one field of a form.
type Input struct {
	Name         string // as the problems name it: "limits.timeout_seconds"
	Label        string
	Type         string // of the <input>; "" = text
	Value        string
	Help         string
	Unit         string // written after the field
	Placeholder  string
	Autocomplete string // a browser's token: "email", "current-password", "off"
	Pattern      string
	Min, Max     string
	Step         string
	MaxLength    string
	Rows         string // of a textarea
	Required     bool
	Autofocus    bool
	Disabled     bool
	Code         bool // in the monospaced face, without spelling
	Form         string
}

// Option is one choice of several.
type Option struct {
	Value, Label, Help string
	Disabled           bool
}

// FieldID is the id of a field's control: "limits.cpus" → "f-limits-cpus".
func FieldID(name string) string {
	return "f-" + strings.NewReplacer(".", "-", "[", "-", "]", "").Replace(name)
}

// FieldName is a field's name as a sentence begins: its label where that is
// another word, else the last part of its name.
func FieldName(field string) string {
	if label, known := map[string]string{
		"limits.timeout_seconds": "Time", "limits.memory_mib": "Memory", "limits.cpus": "Processor", "limits.disk_mib": "Work directory",
		"limits.output_mib": "Output", "limits.artifact_mib": "Artifacts", "concurrency": "Running at once", "retry.attempts": "Attempts", "retry.initial_seconds": "Wait before the second attempt",
		"retry.factor": "Factor of the waits", "retry.max_seconds": "Longest wait", "input_schema": "Schema", "current_password": "Current password",
		"new_password": "New password", "email": "E-mail", "code": "First-run code", "link_code": "Code",
		"jumps": "Jump hosts", "on.servers": "Servers", "on.parallel": "Servers at a time", "on.pause_seconds": "Pause between batches", "on.max_failures": "How many may fail",
		"on.offline_seconds": "Wait for", "on.run_as": "Run as the user", "on": "On which servers",
	}[field]; known {
		return label
	}
	if i := strings.LastIndexByte(field, '.'); i >= 0 && i < len(field)-1 {
		field = field[i+1:]
	}
	return Capital(strings.ReplaceAll(field, "_", " "))
}

// Capital is s with its first letter in upper case.
func Capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Sentence is a problem as it stands at its field.
func Sentence(p cronium.FieldError) string {
	return Capital(strings.TrimSuffix(p.Message, ".")) + "."
}

// ProblemsOf are the problems of one field.
func ProblemsOf(problems cronium.Problems, field string) cronium.Problems {
	var of cronium.Problems
	for _, p := range problems {
		if p.Field == field {
			of = append(of, p)
		}
	}
	return of
}

// attributes are those of the control, with its problems and help named for
// screen readers. An empty attribute is left out.
func (f Input) attributes(problems cronium.Problems) templ.Attributes {
	a := templ.Attributes{"id": FieldID(f.Name), "name": f.Name}
	set := func(name, value string) {
		if value != "" {
			a[name] = value
		}
	}
	if f.Rows != "" {
		set("rows", f.Rows)
	} else {
		a["type"] = orElse(f.Type, "text")
		a["value"] = f.Value
	}
	set("placeholder", f.Placeholder)
	set("autocomplete", f.Autocomplete)
	set("pattern", f.Pattern)
	set("min", f.Min)
	set("max", f.Max)
	set("step", f.Step)
	set("maxlength", f.MaxLength)
	set("form", f.Form)
	a["required"], a["autofocus"], a["disabled"] = f.Required, f.Autofocus, f.Disabled
	if f.Code {
		a["class"], a["spellcheck"], a["autocapitalize"] = "code", "false", "off"
	}
	if f.Type == "number" {
		a["inputmode"] = "decimal"
	}
	var described []string
	if len(ProblemsOf(problems, f.Name)) > 0 {
		a["aria-invalid"] = "true"
		described = append(described, FieldID(f.Name)+"-problem")
	}
	if f.Help != "" {
		described = append(described, FieldID(f.Name)+"-help")
	}
	set("aria-describedby", strings.Join(described, " "))
	return a
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
