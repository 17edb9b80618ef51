package handlers

import (
	"context"
	"encoding/json"
	"slices"

	"cronium.dev/cronium"
	"cronium.dev/secrets"
)

// variableChange is what a person says of a variable; what is nil stays as it is.
type variableChange struct {
	Key, Environment, Description *string
	Type                          *cronium.VariableType
	Secret, AllEvents             *bool
	Value                         json.RawMessage // nil: as it is
	Events                        []cronium.ID    // that may use it; nil: as they are
}

// over changes v, except for the value, and gives what the history says of it.
func (c variableChange) over(v *cronium.WorkspaceVariable) (what string) {
	before := *v
	replace(&v.Key, c.Key)
	replace(&v.Environment, c.Environment)
	replace(&v.Description, c.Description)
	replace(&v.Type, c.Type)
	replace(&v.Secret, c.Secret)
	replace(&v.AllEvents, c.AllEvents)
	settings := c.Events != nil || v.Key != before.Key || v.Environment != before.Environment || v.Description != before.Description ||
		v.Type != before.Type || v.Secret != before.Secret || v.AllEvents != before.AllEvents
	switch {
	case c.Value == nil:
		return "settings"
	case settings:
		return "value and settings"
	}
	return "value"
}

// replace takes a value where there is one.
func replace[T any](to, value *T) {
	if value != nil {
		*to = *value
	}
}

// makeVariable stores a new variable.
func (h *Handlers) makeVariable(ctx context.Context, p *cronium.Principal, c variableChange) (*cronium.WorkspaceVariable, error) {
	v := &cronium.WorkspaceVariable{ID: cronium.NewID(), WorkspaceID: p.WorkspaceID, Type: cronium.VariableString, UpdatedBy: p.DisplayName()}
	if c.Type == nil && c.Value != nil {
		v.Type = cronium.TypeOf(c.Value)
	}
	if c.over(v); c.AllEvents == nil {
		v.AllEvents = !v.Secret && c.Events == nil // a secret is for those that are named
	}
	problems := v.Validate()
	if c.Value == nil {
		problems.Add(false, "value", "must be there")
	} else {
		problems = append(problems, cronium.CheckValue(c.Value, v.Type, v.Secret)...)
	}
	if err := problems.Err("The variable"); err != nil {
		return nil, err
	}
	if err := h.putValue(ctx, v, c.Value); err != nil {
		return nil, err
	}
	return v, h.Store.CreateVariable(ctx, v, c.Events)
}

// changeVariable stores a change of a variable as it was when it was read.
func (h *Handlers) changeVariable(ctx context.Context, p *cronium.Principal, v *cronium.WorkspaceVariable, c variableChange) error {
	old := *v
	what := c.over(v)
	problems := v.Validate()
	value := c.Value
	switch {
	case value != nil:
	case old.Secret && (!v.Secret || v.Type != old.Type):
		problems.Add(false, "value", "must be entered again: nobody is shown what a secret was")
	case !old.Secret:
		value = old.Value
	}
	if value != nil {
		problems = append(problems, cronium.CheckValue(value, v.Type, v.Secret)...)
	}
	if err := problems.Err("The variable"); err != nil {
		return err
	}
	if c.Value != nil || v.Secret != old.Secret {
		if err := h.putValue(ctx, v, value); err != nil {
			return err
		}
	}
	v.UpdatedBy, v.JobID = p.DisplayName(), nil
	events := c.Events
	if c.AllEvents != nil && *c.AllEvents {
		events = []cronium.ID{}
	}
	return h.Store.ChangeVariable(ctx, v, events, what)
}

// putValue gives a variable its value: sealed, if it is a secret.
func (h *Handlers) putValue(ctx context.Context, v *cronium.WorkspaceVariable, value json.RawMessage) error {
	v.Value, v.Sealed, v.DataKey, v.Size = slices.Clone(value), nil, 0, len(value)
	if !v.Secret {
		return nil
	}
	var err error
	v.DataKey, v.Sealed, err = h.Box.Seal(ctx, v.WorkspaceID, secrets.PurposeVariable, v.ID, value)
	v.Value = nil
	return err
}
