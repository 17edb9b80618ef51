package calls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/jobs"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// addVariables adds the methods about variables.
func (c *Calls) addVariables() {
	c.methods["variable.get"] = with(c.getVariable)
	c.methods["variable.exists"] = with(c.variableExists)
	c.methods["variable.list"] = with(c.listVariables)
	c.methods["variable.set"] = with(c.setVariable)
	c.methods["variable.delete"] = with(c.deleteVariable)
	c.methods["variable.increment"] = with(c.incrementVariable)
	c.methods["variable.append"] = with(c.appendVariable)
	c.methods["variable.compare_and_set"] = with(c.compareAndSet)
}

// Parameters of the methods.
type (
	keyParams struct {
		Key string `json:"key"`
	}
	prefixParams struct {
		Prefix string `json:"prefix"`
	}
	valueParams struct {
		Key   string          `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	incrementParams struct {
		Key string      `json:"key"`
		By  json.Number `json:"by"`
	}
	swapParams struct {
		Key      string          `json:"key"`
		Expected json.RawMessage `json:"expected"` // null: there is none
		Value    json.RawMessage `json:"value"`
	}
)

// answer is what a script gets.
type answer map[string]any

func user(of jobs.CallOf) store.VariableUser {
	return store.VariableUser{WorkspaceID: of.WorkspaceID, EventID: of.EventID, EventName: of.EventName, JobID: of.JobID,
		ExecutionID: of.ExecutionID, Environment: of.Stage, Number: of.Number}
}

func checkKey(key string) error {
	if !cronium.ValidVariableKey(key) {
		return cronium.Errorf(cronium.CodeInvalid, "%q cannot be a variable's name: letters, digits, _, . and -, beginning with a letter or _, at most 128.", key)
	}
	return nil
}

func (c *Calls) getVariable(ctx context.Context, of jobs.CallOf, p keyParams) (any, error) {
	if err := checkKey(p.Key); err != nil {
		return nil, err
	}
	v, err := c.Store.VariableFor(ctx, user(of), p.Key)
	if err != nil {
		return nil, err
	}
	value, err := c.valueOf(ctx, of, v)
	if err != nil {
		return nil, err
	}
	return answer{"value": value}, nil
}

// valueOf is a variable's value. A secret's is hidden in output before the script
// can have it.
func (c *Calls) valueOf(ctx context.Context, of jobs.CallOf, v *cronium.WorkspaceVariable) (json.RawMessage, error) {
	if !v.Secret {
		return v.Value, nil
	}
	value, err := c.Box.Open(ctx, v.WorkspaceID, secrets.PurposeVariable, v.ID, v.DataKey, v.Sealed)
	if err != nil {
		return nil, err
	}
	of.Hidden.Add(secrets.Plain(value))
	return value, nil
}

func (c *Calls) variableExists(ctx context.Context, of jobs.CallOf, p keyParams) (any, error) {
	if err := checkKey(p.Key); err != nil {
		return nil, err
	}
	_, err := c.Store.VariableFor(ctx, user(of), p.Key)
	if code := cronium.CodeOf(err); err != nil && code != cronium.CodeNotFound && code != cronium.CodeForbidden {
		return nil, err
	}
	return answer{"exists": err == nil}, nil
}

func (c *Calls) listVariables(ctx context.Context, of jobs.CallOf, p prefixParams) (any, error) {
	list, err := c.Store.VariablesFor(ctx, user(of), p.Prefix)
	if list == nil {
		list = []store.ListedVariable{}
	}
	return answer{"keys": list}, err
}

// change lets decide say what becomes of a variable, and seals what it says for a
// secret. decide gets the variable, nil without one, and its value, also a
// secret's. It gives the new value, nil for none, and the answer.
func (c *Calls) change(ctx context.Context, of jobs.CallOf, key string, decide func(old *cronium.WorkspaceVariable, value json.RawMessage) (json.RawMessage, any, error)) (any, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	select { // a crowd of scripts is not to take all connections of the database
	case c.changing <- struct{}{}:
		defer func() { <-c.changing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	answer, err := c.Store.StepVariable(ctx, user(of), key, func(old *cronium.WorkspaceVariable) (store.VariableStep, error) {
		if old != nil && old.Secret {
			return store.VariableStep{}, errSecret
		}
		return plainStep(old, decide)
	})
	for errors.Is(err, errSecret) || errors.Is(err, store.ErrVariableOther) {
		answer, err = c.changeSecret(ctx, of, key, decide)
	}
	return answer, err
}

// errSecret says that a variable is a secret, which is opened and sealed outside
// of the transaction: that needs the database itself.
var errSecret = fmt.Errorf("%w: it is a secret", store.ErrVariableOther)

func plainStep(old *cronium.WorkspaceVariable, decide func(*cronium.WorkspaceVariable, json.RawMessage) (json.RawMessage, any, error)) (store.VariableStep, error) {
	var present json.RawMessage
	if old != nil {
		present = old.Value
	}
	value, answer, err := decide(old, present)
	if err != nil || value == nil {
		return store.VariableStep{Answer: answer}, err
	}
	kind := typeFor(old, value)
	if kind != cronium.TypeOf(value) && kind != cronium.VariableJSON { // text that is a number or a truth value
		value = unquoted(value)
	}
	if err := cronium.CheckValue(value, kind, false).Err("The variable"); err != nil {
		return store.VariableStep{}, err
	}
	return store.VariableStep{Set: &cronium.WorkspaceVariable{Type: kind, Value: value, Size: len(value)}, Answer: answer}, nil
}

// typeFor is the type that a variable has with a new value: its own where the
// value, or what the text says, is of it. Bash has text alone.
func typeFor(old *cronium.WorkspaceVariable, value json.RawMessage) cronium.VariableType {
	is := cronium.TypeOf(value)
	switch {
	case old == nil:
		return is
	case old.Type == cronium.VariableJSON:
		return cronium.VariableJSON
	case is == cronium.VariableString && cronium.TypeOf(unquoted(value)) == old.Type && json.Valid(unquoted(value)):
		return old.Type
	}
	return is
}

// unquoted is what a JSON string holds; anything else is as it is.
func unquoted(value json.RawMessage) json.RawMessage {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return value
	}
	return json.RawMessage(strings.TrimSpace(text))
}

// changeSecret is change for a secret. It fails with store.ErrVariableOther where
// the secret is another meanwhile.
func (c *Calls) changeSecret(ctx context.Context, of jobs.CallOf, key string, decide func(*cronium.WorkspaceVariable, json.RawMessage) (json.RawMessage, any, error)) (json.RawMessage, error) {
	seen, err := c.Store.VariableFor(ctx, user(of), key)
	if cronium.CodeOf(err) == cronium.CodeNotFound || err == nil && !seen.Secret {
		return c.Store.StepVariable(ctx, user(of), key, func(old *cronium.WorkspaceVariable) (store.VariableStep, error) {
			if old != nil && old.Secret {
				return store.VariableStep{}, errSecret
			}
			return plainStep(old, decide)
		})
	}
	if err != nil {
		return nil, err
	}
	present, err := c.valueOf(ctx, of, seen)
	if err != nil {
		return nil, err
	}
	value, answer, err := decide(seen, present)
	if err != nil {
		return nil, err
	}
	todo := store.VariableStep{Answer: answer}
	if value != nil {
		if todo.Set, err = c.seal(ctx, of, seen, value); err != nil {
			return nil, err
		}
	}
	return c.Store.StepVariable(ctx, user(of), key, func(old *cronium.WorkspaceVariable) (store.VariableStep, error) {
		if old == nil || old.ID != seen.ID || old.Version != seen.Version {
			return store.VariableStep{}, store.ErrVariableOther
		}
		return todo, nil
	})
}

func (c *Calls) seal(ctx context.Context, of jobs.CallOf, v *cronium.WorkspaceVariable, value json.RawMessage) (*cronium.WorkspaceVariable, error) {
	kind := cronium.TypeOf(value)
	if kind != cronium.VariableString {
		kind = cronium.VariableJSON
	}
	if err := cronium.CheckValue(value, kind, true).Err("The secret"); err != nil {
		return nil, err
	}
	key, sealed, err := c.Box.Seal(ctx, v.WorkspaceID, secrets.PurposeVariable, v.ID, value)
	if err != nil {
		return nil, err
	}
	of.Hidden.Add(secrets.Plain(value))
	return &cronium.WorkspaceVariable{Type: kind, Secret: true, DataKey: key, Sealed: sealed, Size: len(value)}, nil
}

func (c *Calls) setVariable(ctx context.Context, of jobs.CallOf, p valueParams) (any, error) {
	if err := given(p.Value); err != nil {
		return nil, err
	}
	return c.change(ctx, of, p.Key, func(old *cronium.WorkspaceVariable, _ json.RawMessage) (json.RawMessage, any, error) {
		version := 1
		if old != nil {
			version = old.Version + 1
		}
		return p.Value, answer{"version": version}, nil
	})
}

func given(value json.RawMessage) error {
	if len(value) == 0 {
		return cronium.Errorf(cronium.CodeInvalid, "The call says no value.")
	}
	return nil
}

func (c *Calls) deleteVariable(ctx context.Context, of jobs.CallOf, p keyParams) (any, error) {
	if err := checkKey(p.Key); err != nil {
		return nil, err
	}
	return c.Store.StepVariable(ctx, user(of), p.Key, func(old *cronium.WorkspaceVariable) (store.VariableStep, error) {
		return store.VariableStep{Delete: true, Answer: answer{"deleted": old != nil}}, nil
	})
}

func (c *Calls) incrementVariable(ctx context.Context, of jobs.CallOf, p incrementParams) (any, error) {
	if p.By == "" {
		p.By = "1"
	}
	return c.change(ctx, of, p.Key, func(old *cronium.WorkspaceVariable, value json.RawMessage) (json.RawMessage, any, error) {
		if old != nil && old.Secret {
			return nil, nil, cronium.Errorf(cronium.CodeConflict, "%s is a secret, which cannot be counted up. Set it instead.", p.Key)
		}
		present := json.RawMessage("0")
		if old != nil {
			present = unquoted(value)
		}
		sum, err := add(string(present), p.By.String())
		if err != nil {
			return nil, nil, cronium.Errorf(cronium.CodeConflict, "%s cannot be counted up: %v.", p.Key, err)
		}
		return sum, answer{"value": sum}, nil
	})
}

// add adds two numbers as JSON writes them: whole ones exactly.
func add(a, b string) (json.RawMessage, error) {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX == nil && errY == nil {
		sum := x + y
		if (sum > x) != (y > 0) && y != 0 {
			return nil, errors.New("the sum is beyond 64 bits")
		}
		return json.RawMessage(strconv.FormatInt(sum, 10)), nil
	}
	f, err := strconv.ParseFloat(a, 64)
	if err != nil || cronium.TypeOf(json.RawMessage(a)) != cronium.VariableNumber {
		return nil, errors.New("its value is not a number")
	}
	g, err := strconv.ParseFloat(b, 64)
	if err != nil {
		return nil, errors.New("what is to be added is not a number")
	}
	sum, err := json.Marshal(f + g)
	if err != nil {
		return nil, errors.New("the sum is not a number")
	}
	return sum, nil
}

func (c *Calls) appendVariable(ctx context.Context, of jobs.CallOf, p valueParams) (any, error) {
	if err := given(p.Value); err != nil {
		return nil, err
	}
	return c.change(ctx, of, p.Key, func(old *cronium.WorkspaceVariable, value json.RawMessage) (json.RawMessage, any, error) {
		if old != nil && old.Secret {
			return nil, nil, cronium.Errorf(cronium.CodeConflict, "%s is a secret, to which nothing can be added. Set it instead.", p.Key)
		}
		longer, length, err := appended(value, p.Value)
		if err != nil {
			return nil, nil, cronium.Errorf(cronium.CodeConflict, "Nothing can be added to %s: %v.", p.Key, err)
		}
		return longer, answer{"length": length}, nil
	})
}

// appended adds an element to a list, or text to text. Without a present value a
// text begins a text, anything else a list.
func appended(present, value json.RawMessage) (json.RawMessage, int, error) {
	var text, more string
	if json.Unmarshal(value, &more) == nil && string(value) != "null" && (present == nil || cronium.TypeOf(present) == cronium.VariableString) {
		if present != nil {
			_ = json.Unmarshal(present, &text) // it is text
		}
		longer, err := json.Marshal(text + more)
		return longer, len([]rune(text + more)), err
	}
	list := []json.RawMessage{}
	if present != nil && (json.Unmarshal(present, &list) != nil || list == nil) {
		return nil, 0, errors.New("its value is neither a list, nor is it text as what is to be added")
	}
	list = append(list, value)
	longer, err := json.Marshal(list)
	return longer, len(list), err
}

func (c *Calls) compareAndSet(ctx context.Context, of jobs.CallOf, p swapParams) (any, error) {
	if err := given(p.Value); err != nil {
		return nil, err
	}
	return c.change(ctx, of, p.Key, func(old *cronium.WorkspaceVariable, value json.RawMessage) (json.RawMessage, any, error) {
		same := old != nil && expects(old, value, p.Expected)
		if old == nil {
			same = len(p.Expected) == 0 || string(p.Expected) == "null"
		}
		result := answer{"swapped": same}
		if old == nil || !old.Secret { // answers are kept in the database, where a secret is not to be readable
			if result["value"] = value; same {
				result["value"] = p.Value
			}
		}
		if !same {
			return nil, result, nil
		}
		return p.Value, result, nil
	})
}

// expects tells whether a variable's value is the expected one. Text may stand
// for a number or a truth value: Bash has nothing else.
func expects(v *cronium.WorkspaceVariable, value, expected json.RawMessage) bool {
	return equal(value, expected) || (v.Type == cronium.VariableNumber || v.Type == cronium.VariableBoolean) && equal(value, unquoted(expected))
}

// equal tells whether two values in JSON mean the same.
func equal(a, b json.RawMessage) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && x == y
}

func canonical(value json.RawMessage) (string, error) {
	decoder := json.NewDecoder(strings.NewReader(string(value)))
	decoder.UseNumber()
	var parsed any
	if err := decoder.Decode(&parsed); err != nil {
		return "", err
	}
	text, err := json.Marshal(parsed)
	return string(text), err
}
