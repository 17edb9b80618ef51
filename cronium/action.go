package cronium

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// MaxDepth is how many jobs a chain of follow-ups has after its first one.
const MaxDepth = 16

// MaxActions is how many actions an event has.
const MaxActions = 20

// When says which end of a job an action follows.
type When string

// The ends. Test runs are followed by nothing.
const (
	WhenSuccess   When = "SUCCESS"
	WhenFailure   When = "FAILURE" // it did not succeed: time-outs and partial successes too, cancelled jobs not
	WhenAlways    When = "ALWAYS"
	WhenPartial   When = "PARTIAL" // it succeeded on some of its servers
	WhenTimeout   When = "TIMEOUT"
	WhenCondition When = "CONDITION" // the script gave true to setCondition(), however it ended
)

// Whens lists them as a form shows them.
var Whens = []When{WhenFailure, WhenSuccess, WhenAlways, WhenCondition, WhenTimeout, WhenPartial}

// Words is when an action happens, for people: "on failure".
func (w When) Words() string {
	switch w {
	case WhenSuccess:
		return "on success"
	case WhenFailure:
		return "on failure"
	case WhenPartial:
		return "when it fails on some servers"
	case WhenTimeout:
		return "on a time-out"
	case WhenCondition:
		return "if the script sets its condition"
	}
	return "always"
}

// Matches tells whether the end of a job is one that the action follows.
func (w When) Matches(j *Job) bool {
	switch w {
	case WhenAlways:
		return true
	case WhenCondition:
		return j.Condition != nil && *j.Condition
	case WhenFailure:
		return j.Result == ResultFailure || j.Result == ResultTimeout || j.Result == ResultPartial
	}
	return j.Result != "" && string(w) == string(j.Result)
}

// Action is what happens after a job: another event runs.
type Action struct {
	When  When       `json:"when"`
	Event *EventStep `json:"event,omitempty"`
}

// EventStep runs another event.
type EventStep struct {
	ID    ID              `json:"id"`
	Input json.RawMessage `json:"input,omitempty"` // JSON whose texts are templates; nil: this job's output
}

// validateThen checks the shape of the actions. Whether events exist,
// and whether they follow one another in a circle, is checked where they are
// known.
func (c *Content) validateThen(p *Problems) {
	p.Add(len(c.Then) <= MaxActions, "then", "must be at most %d actions", MaxActions)
	for i, a := range c.Then {
		field := fmt.Sprintf("then[%d]", i)
		p.Add(slices.Contains(Whens, a.When), field+".when", "must be SUCCESS, FAILURE, ALWAYS, PARTIAL, TIMEOUT or CONDITION")
		p.Add(a.Event != nil, field+".event", "must have an event")
		if a.Event != nil {
			p.Add(a.Event.ID != ID{}, field+".event.id", "must be the id of an event")
			p.Add(validJSON(a.Event.Input), field+".event.input", "must be JSON of at most 64 KiB, like {\"customer\": \"{{cronium.output.customer}}\"}")
		}
	}
}

func validJSON(raw json.RawMessage) bool {
	return len(raw) == 0 || len(raw) <= 64<<10 && json.Valid(raw) && utf8.Valid(raw)
}

// Followers are the events that run after this one.
func (c *Content) Followers() []ID {
	var ids []ID
	for _, a := range c.Then {
		if a.Event != nil && !slices.Contains(ids, a.Event.ID) {
			ids = append(ids, a.Event.ID)
		}
	}
	return ids
}
