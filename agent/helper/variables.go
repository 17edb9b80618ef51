package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// variableCommands are those about the workspace's variables.
func variableCommands() []command {
	return []command{
		{"get-variable", "KEY [DEFAULT]", "a variable's value; DEFAULT if there is none, else exit code 1", getVariable},
		{"set-variable", "[--json] KEY VALUE", "set a variable", setVariable},
		{"delete-variable", "KEY", "delete a variable; false if there was none", deleteVariable},
		{"variable-exists", "KEY", "exit code 0 if there is such a variable, 1 if not, 2 if it is not known", variableExists},
		{"increment-variable", "KEY [BY]", "add BY, or 1, to a number and print it; what is not there is 0", incrementVariable},
		{"append-variable", "[--json] KEY VALUE", "append to a list or a text and print its length", appendVariable},
		{"list-variables", "[PREFIX]", "the names of variables, each on a line", listVariables},
		{"with-variables", "NAME=KEY… -- PROGRAM [ARGUMENT…]", "run a program with variables in its environment", withVariables},
		{"compare-and-set-variable", "[--json] KEY EXPECTED VALUE", "set it if it is EXPECTED: exit code 0; if not, 1 (null: is not there)", compareAndSet},
	}
}

// value is an argument for a variable: text, or JSON where that was asked for.
func (s *script) value(argument string, isJSON bool) (json.RawMessage, error) {
	if isJSON {
		return s.json(argument)
	}
	text, err := s.text(argument)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}

// jsonFlag takes a leading --json off. Nothing else is a flag, so that a value may
// begin with a hyphen.
func jsonFlag(args []string) (rest []string, isJSON bool) {
	if len(args) > 0 && args[0] == "--json" {
		return args[1:], true
	}
	return args, false
}

type keyParams struct {
	Key string `json:"key"`
}

type valueParams struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

func getVariable(s *script, args []string) error {
	if err := takes("get-variable", args, 1, 2); err != nil {
		return err
	}
	value, err := s.client.field("variable.get", keyParams{args[0]}, "value")
	var refused *Refusal
	if len(args) == 2 && errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		_, err := fmt.Fprintln(s.stdout, args[1])
		return err
	}
	if err != nil {
		return err
	}
	return printValue(value, s.stdout)
}

func setVariable(s *script, args []string) error {
	args, isJSON := jsonFlag(args)
	if err := takes("set-variable", args, 2, 2); err != nil {
		return err
	}
	value, err := s.value(args[1], isJSON)
	if err != nil {
		return err
	}
	_, err = s.client.call("variable.set", valueParams{args[0], value})
	return err
}

func deleteVariable(s *script, args []string) error {
	if err := takes("delete-variable", args, 1, 1); err != nil {
		return err
	}
	return s.print(s.client.field("variable.delete", keyParams{args[0]}, "deleted"))
}

func variableExists(s *script, args []string) error {
	if err := takes("variable-exists", args, 1, 1); err != nil {
		return err
	}
	return s.decide(s.client.field("variable.exists", keyParams{args[0]}, "exists"))
}

func incrementVariable(s *script, args []string) error {
	if err := takes("increment-variable", args, 1, 2); err != nil {
		return err
	}
	by := json.RawMessage("1")
	if len(args) == 2 {
		if by = json.RawMessage(args[1]); !json.Valid(by) {
			return fmt.Errorf("%q is not a number", args[1])
		}
	}
	return s.print(s.client.field("variable.increment", struct {
		Key string          `json:"key"`
		By  json.RawMessage `json:"by"`
	}{args[0], by}, "value"))
}

func appendVariable(s *script, args []string) error {
	args, isJSON := jsonFlag(args)
	if err := takes("append-variable", args, 2, 2); err != nil {
		return err
	}
	value, err := s.value(args[1], isJSON)
	if err != nil {
		return err
	}
	return s.print(s.client.field("variable.append", valueParams{args[0], value}, "length"))
}

func listVariables(s *script, args []string) error {
	if err := takes("list-variables", args, 0, 1); err != nil {
		return err
	}
	var params struct {
		Prefix string `json:"prefix"`
	}
	if len(args) == 1 {
		params.Prefix = args[0]
	}
	result, err := s.client.call("variable.list", params)
	if err != nil {
		return err
	}
	var list struct{ Keys []keyParams }
	if err := json.Unmarshal(result, &list); err != nil {
		return fmt.Errorf("the answer is not a list of variables: %w", err)
	}
	for _, k := range list.Keys {
		if _, err := fmt.Fprintln(s.stdout, k.Key); err != nil {
			return err
		}
	}
	return nil
}

func compareAndSet(s *script, args []string) error {
	args, isJSON := jsonFlag(args)
	if err := takes("compare-and-set-variable", args, 3, 3); err != nil {
		return err
	}
	expected, err := s.value(args[1], isJSON || args[1] == "null")
	if err != nil {
		return err
	}
	value, err := s.value(args[2], isJSON)
	if err != nil {
		return err
	}
	return s.decide(s.client.field("variable.compare_and_set", struct {
		Key      string          `json:"key"`
		Expected json.RawMessage `json:"expected"`
		Value    json.RawMessage `json:"value"`
	}{args[0], expected, value}, "swapped"))
}

// print prints what a call has given.
func (s *script) print(value json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	return printValue(value, s.stdout)
}

// decide makes a yes or no the exit code: 0 or 1, and 2 for an error.
func (s *script) decide(value json.RawMessage, err error) error {
	if err != nil {
		return &Exit{Code: 2, Err: err}
	}
	if string(value) != "true" {
		return &Exit{Code: 1}
	}
	return nil
}
