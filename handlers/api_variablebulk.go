package handlers

import (
	"context"
	"errors"

	"cronium.dev/cronium"
)

type bulkVariablesInput struct {
	Body struct {
		Variables []NamedVariable `json:"variables,omitempty" maxItems:"200" doc:"To be made, or changed where they are there"`
		Delete    []VariableName  `json:"delete,omitempty" maxItems:"200"`
	}
}

// VariableName names a variable.
type VariableName struct {
	Key         string `json:"key"`
	Environment string `json:"environment,omitempty"`
}

type bulkVariablesOutput struct {
	Body struct {
		Variables []apiBulkVariable `json:"variables" doc:"In the order of the request"`
		Deleted   []apiBulkVariable `json:"deleted"`
	}
}

type apiBulkVariable struct {
	Key         string               `json:"key"`
	Environment string               `json:"environment"`
	ID          *cronium.ID          `json:"id,omitempty" doc:"Absent where it was refused"`
	Version     int                  `json:"version,omitempty"`
	Error       string               `json:"error,omitempty" doc:"Why it was refused"`
	Fields      []cronium.FieldError `json:"fields,omitempty" doc:"What of it was wrong"`
}

func (a *api) bulkVariables(ctx context.Context, in *bulkVariablesInput) (*bulkVariablesOutput, error) {
	out := &bulkVariablesOutput{}
	out.Body.Variables, out.Body.Deleted = []apiBulkVariable{}, []apiBulkVariable{}
	for _, n := range in.Body.Variables {
		v, err := a.putVariable(ctx, n)
		done, err := bulkVariable(n.Key, n.Environment, v, err)
		if err != nil {
			return nil, err
		}
		out.Body.Variables = append(out.Body.Variables, done)
	}
	for _, n := range in.Body.Delete {
		v, err := a.Store.VariableNamed(ctx, who(ctx).WorkspaceID, n.Key, n.Environment)
		if err == nil {
			err = a.Store.DeleteVariable(ctx, v.WorkspaceID, v.ID)
		}
		done, err := bulkVariable(n.Key, n.Environment, v, err)
		if err != nil {
			return nil, err
		}
		out.Body.Deleted = append(out.Body.Deleted, done)
	}
	return out, nil
}

// putVariable changes the variable of a name, or makes it.
func (a *api) putVariable(ctx context.Context, n NamedVariable) (*cronium.WorkspaceVariable, error) {
	v, err := a.Store.VariableNamed(ctx, who(ctx).WorkspaceID, n.Key, n.Environment)
	if errors.Is(err, cronium.ErrNotFound) {
		return a.makeVariable(ctx, who(ctx), n.change())
	}
	if err != nil {
		return nil, err
	}
	return v, a.changeVariable(ctx, who(ctx), v, n.change())
}

// bulkVariable is what became of one; the error is one that all would meet.
func bulkVariable(key, environment string, v *cronium.WorkspaceVariable, err error) (apiBulkVariable, error) {
	done := apiBulkVariable{Key: key, Environment: environment}
	var refused *cronium.Error
	switch {
	case err == nil:
		done.ID, done.Version = &v.ID, v.Version
	case errors.As(err, &refused) && refused.Code.Status() < 500:
		done.Error, done.Fields = refused.Message, refused.Fields
	default:
		return done, err
	}
	return done, nil
}
