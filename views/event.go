package views

import (
	"strconv"
	"time"

	"cronium.dev/cronium"
	"cronium.dev/views/components"
	"cronium.dev/views/layout"
)

// EventHead is what all tabs of an event have.
type EventHead struct {
	Event     cronium.Event
	AuthorOf  string // who saved the current version
	SavedAt   time.Time
	Tab       string // "script", "input", "where", "limits", "history", "runs", "settings"
	HasFields bool   // its schema asks for an input: Run opens a form
	Container bool   // the current version runs in a container
}

// Event is the editor at /events/{id} and at its tabs input, where, limits and
// settings: one form, whose parts are shown one at a time.
type Event struct {
	layout.Frame
	EventHead
	Form           EventForm
	Content        cronium.Content // of the current version, for the summary
	TestFields     []InputField    // of the schema, for a test run
	TestInput      string          // JSON, as typed, where there are no fields
	Saved          string          // by Answer: "saved" (a version), "named" or "unchanged"
	Message        string          // why it was not saved
	Problems       cronium.Problems
	ProcessTarget  bool // the target "process" may be chosen
	FullNetwork    bool // the network "full" may be chosen
	RuntimeImage   string
	Servers        []ServerChoice // those that may be chosen
	Matches        Matches        // of the form's selector
	Variables      []VariableRow  // that it may use, the first of them
	Matching       int            // servers that the current version's selector chooses
	DependencyNote bool           // requirements.txt or package.json is there and is not installed yet
}

type eventTab struct {
	name, label string
	inForm      bool
}

func eventTabs() []eventTab {
	return []eventTab{{"script", "Script", true}, {"input", "Input", true}, {"when", "When", false}, {"where", "Where", true}, {"limits", "Limits", true}, {"then", "Then", false},
		{"history", "History", false}, {"runs", "Runs", false}, {"settings", "Settings", true}}
}

func (h EventHead) url() string { return "/events/" + h.Event.ID.String() }

func (h EventHead) tabURL(name string) string {
	if name == "script" {
		return h.url()
	}
	return h.url() + "/" + name
}

// problemTabs are the tabs that have a field that was not accepted.
func (p Event) problemIn(tab string) bool {
	for _, problem := range p.Problems {
		if TabOf(problem.Field) == tab {
			return true
		}
	}
	return false
}

// TabOf is the tab on which a field of the editor's form is.
func TabOf(field string) string {
	for _, prefix := range []struct{ prefix, tab string }{
		{"input", "input"}, {"environment", "input"}, {"stage", "input"}, {"target", "where"}, {"image", "where"}, {"network", "where"}, {"on", "where"},
		{"limits", "limits"}, {"retry", "limits"}, {"priority", "limits"}, {"concurrency", "limits"}, {"group", "limits"}, {"rate", "limits"},
		{"name", "settings"}, {"description", "settings"},
	} {
		if len(field) >= len(prefix.prefix) && field[:len(prefix.prefix)] == prefix.prefix {
			return prefix.tab
		}
	}
	return "script"
}

func (p Event) targets() []components.Option {
	options := []components.Option{{Value: "container", Label: "Container", Help: "A fresh container of this machine for each run, thrown away afterwards"}}
	if p.ProcessTarget || p.Form.Target == cronium.TargetProcess {
		options = append(options, components.Option{Value: "process", Label: "Process", Disabled: !p.ProcessTarget,
			Help: "A plain process of this machine, without isolation or limits; for development only"})
	}
	return append(options, components.Option{Value: string(cronium.TargetServers), Label: "Servers", Help: "On machines of your own, over SSH or by an installed agent: one, or many in one run"})
}

func (p Event) networks() []components.Option {
	return []components.Option{
		{Value: "none", Label: "None", Help: "Nothing can be reached"},
		{Value: "internet", Label: "Internet", Help: "Public addresses; not this machine, private networks or metadata services"},
		{Value: "full", Label: "Everything", Disabled: !p.FullNetwork && p.Form.Network != cronium.NetworkFull,
			Help: "All that this machine reaches, its own services too. Administrators choose it"},
	}
}

func priorities() []components.Option {
	return []components.Option{{Value: "LOW", Label: "Low"}, {Value: "NORMAL", Label: "Normal"}, {Value: "HIGH", Label: "High"}, {Value: "CRITICAL", Label: "Critical"}}
}

// language is the editor's name for the event's type.
func (h EventHead) language() string {
	switch h.Event.Type {
	case cronium.EventNode:
		return "javascript"
	case cronium.EventBash:
		return "sh"
	}
	return "python"
}

func (p Event) fileField(i int, part string) string {
	return "files[" + strconv.Itoa(i) + "]." + part
}

func (p Event) environmentRows() []cronium.Variable {
	return append(p.Form.Environment[:len(p.Form.Environment):len(p.Form.Environment)], cronium.Variable{})
}
