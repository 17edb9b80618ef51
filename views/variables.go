package views

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// Variables is the page at /variables.
type Variables struct {
	layout.Frame
	Query        string   // as typed: "is:secret env:prod api"
	Problems     []string // what of Query was not understood, and what is
	Sort         string   // "key" or "changed"
	Event        string   // name of the event whose variables are shown; "" = all
	Environments []string // that variables are in
	Rows         []VariableRow
	Next, After  string // cursors of the next page and of this; "" = there is none, the first
}

// VariableRow is a variable as the list shows it.
type VariableRow struct {
	cronium.WorkspaceVariable
	Preview string // the beginning of the JSON
	Events  int    // that were granted it
}

func (r VariableRow) url() string { return "/variables/" + r.ID.String() }

// shown is the value in one line.
func (r VariableRow) shown() string {
	text := r.Preview
	if r.Type == cronium.VariableString {
		var value string
		if json.Unmarshal([]byte(text), &value) == nil {
			text = value
		} else {
			text = strings.TrimPrefix(text, `"`)
		}
	}
	return clipped(text, 80)
}

func clipped(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

func forWhom(all bool, events int) string {
	switch {
	case all:
		return "all events"
	case events == 0:
		return "no event"
	}
	return components.Count(events, "event", "events")
}

func (p Variables) pageURL(sort, after string) string {
	v := url.Values{}
	for name, value := range map[string]string{"q": p.Query, "sort": sort, "after": after} {
		if value != "" && value != "key" {
			v.Set(name, value)
		}
	}
	if len(v) == 0 {
		return "/variables"
	}
	return "/variables?" + v.Encode()
}

func (p Variables) chips() []chip {
	chips := []chip{{"Secrets", "is:secret"}, {"Readable", "is:plain"}}
	for _, e := range p.Environments {
		if len(chips) < 8 {
			chips = append(chips, chip{e, "env:" + e})
		}
	}
	return chips
}

// VariableForm is what a person types of a variable. It never has a secret that is
// stored.
type VariableForm struct {
	Key, Environment, Description string
	Type                          string
	Value                         string
	Kind                          string // "plain" or "secret"
	For                           string // "all" or "chosen"
	Events                        []string
	Version                       int // that is changed
}

// FormOfVariable is the form of a variable as it is stored.
func FormOfVariable(v *cronium.WorkspaceVariable) VariableForm {
	f := VariableForm{Key: v.Key, Environment: v.Environment, Description: v.Description, Type: string(v.Type), Version: v.Version, Kind: "plain", For: "chosen"}
	if v.Secret {
		f.Kind = "secret"
	}
	if v.AllEvents {
		f.For = "all"
	}
	f.Value = ValueText(v.Value, v.Type)
	return f
}

// ValueText is a value as a person types it.
func ValueText(value json.RawMessage, t cronium.VariableType) string {
	var text string
	if t == cronium.VariableString && json.Unmarshal(value, &text) == nil {
		return text
	}
	var pretty bytes.Buffer
	if t == cronium.VariableJSON && json.Indent(&pretty, value, "", "  ") == nil {
		return pretty.String()
	}
	return string(value)
}

// VariableOne is the page at /variables/new and at /variables/{id}.
type VariableOne struct {
	layout.Frame
	Variable cronium.WorkspaceVariable // as it is stored; without an id: a new one
	Form     VariableForm
	Choices  []GrantChoice // events that can be granted it
	Names    []string      // environments that are known
	Retype   bool          // a secret was sent and not kept
	History  []cronium.VariableChange
	Uses     []VariableUse
	Looked   bool // Uses are known
	Problems cronium.Problems
	Message  string
}

// GrantChoice is an event that may be granted a variable.
type GrantChoice struct {
	ID, Name, Status string
}

// VariableUse is an event whose script names a variable.
type VariableUse struct {
	EventID string
	Name    string
	Files   []string
	Granted bool
}

func (p VariableOne) isNew() bool { return p.Variable.ID == (cronium.ID{}) }

func (p VariableOne) url() string {
	if p.isNew() {
		return "/variables"
	}
	return "/variables/" + p.Variable.ID.String()
}

func (p VariableOne) chosen(id string) bool {
	for _, chosen := range p.Form.Events {
		if chosen == id {
			return true
		}
	}
	return false
}

// chosenFirst are the events, with those that are chosen before the others.
func (p VariableOne) chosenFirst() (all []GrantChoice) {
	for _, first := range []bool{true, false} {
		for _, c := range p.Choices {
			if p.chosen(c.ID) == first {
				all = append(all, c)
			}
		}
	}
	return all
}

func (p VariableOne) valueHelp() string {
	if p.Variable.Secret {
		return "Nobody is shown what is stored. Empty: it stays."
	}
	return "As the type says. Text is taken as it is, with its lines."
}

func (p VariableOne) deletion() string {
	return "The variable " + p.Variable.Key + " is deleted, with its history. Scripts that ask for it get an error. This cannot be undone."
}

func variableTypes() (options []components.Option) {
	for _, t := range cronium.VariableTypes {
		options = append(options, components.Option{Value: string(t), Label: t.Label()})
	}
	return options
}

func variableKinds() []components.Option {
	return []components.Option{
		{Value: "plain", Label: "Readable", Help: "Whoever sees this workspace sees its value"},
		{Value: "secret", Label: "Secret", Help: "Encrypted, never shown again, masked in the output of runs. Text or JSON of at least 4 characters"},
	}
}

func variableFor() []components.Option {
	return []components.Option{{Value: "all", Label: "all events"}, {Value: "chosen", Label: "chosen events"}}
}

func changeValue(c cronium.VariableChange) string {
	if c.Value == nil {
		return ""
	}
	return clipped(ValueText(c.Value, c.Type), 80)
}

func versionText(n int) string { return "v" + strconv.Itoa(n) }
