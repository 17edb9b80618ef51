// Package calls answers what scripts ask of the server while they run: the part
// of the helper API that the agent cannot answer itself.
//
// A call comes from a script to its agent, over the agent's stream to the server
// process that drives the execution, and there from package jobs to Calls.Call,
// which finds the method in one map. Each kind of method has a file of its own:
// variables.go has those of variables, artifacts.go those of files that are kept. A method gets in whose name the script
// calls (jobs.CallOf) and the parameters as JSON, and gives a value that becomes
// JSON, or a *cronium.Error whose text the script sees.
//
// A call may come twice: the answer was lost with a connection or with the
// server. A method that changes something therefore keeps its answer together
// with the change (store.Answer), and the second call gets that.
package calls

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// Config is what methods work with.
type Config struct {
	Store *store.Store
	Box   *secrets.Box
	// Changed is told of jobs that show something new; nil: nobody is.
	Changed func(job cronium.ID)
}

// method answers one call.
type method func(ctx context.Context, of jobs.CallOf, params json.RawMessage) (any, error)

// Calls answers calls. Its methods may be called concurrently.
type Calls struct {
	Config
	methods  map[string]method
	changing chan struct{} // one for each change of a variable that is under way

	uploading chan struct{} // one for each part of an artifact that is being stored
}

// changes is how many variables are changed at once: scripts that wait for one
// another's change hold a connection of the database.
const changes = 5

// New makes Calls. Owners of other methods add them by a line here.
func New(config Config) *Calls {
	c := &Calls{Config: config, methods: map[string]method{}, changing: make(chan struct{}, changes), uploading: make(chan struct{}, uploads)}
	c.addVariables()
	c.addArtifacts()
	return c
}

// Call implements jobs.Caller.
func (c *Calls) Call(ctx context.Context, of jobs.CallOf, name string, params json.RawMessage) (json.RawMessage, error) {
	answer, ok := c.methods[name]
	if !ok {
		return nil, cronium.Errorf(cronium.CodeNotFound, "this Cronium has no helper call named %q", name)
	}
	result, err := answer(ctx, of, params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("%s: write the answer: %w", name, err)
	}
	return text, nil
}

// with makes a method of a function that takes its parameters as a type. Fields
// that the type does not have are refused: they are a mistake of the script's.
func with[P any](f func(ctx context.Context, of jobs.CallOf, params P) (any, error)) method {
	return func(ctx context.Context, of jobs.CallOf, params json.RawMessage) (any, error) {
		var p P
		decoder := json.NewDecoder(bytes.NewReader(params))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&p); err != nil {
			return nil, &cronium.Error{Code: cronium.CodeInvalid, Message: "The parameters are not what this call takes: " + err.Error() + ".", Err: err}
		}
		return f(ctx, of, p)
	}
}
