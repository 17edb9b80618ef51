package helper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"cronium.dev/outbound"
	outgoing "cronium.dev/outbound/request"
)

// OutboundVariable is the environment variable that says what a request may reach:
// "internet", and behind it, with commas between, what a workspace's allow list
// opens. Where it is not set, a request may go wherever the machine reaches.
const OutboundVariable = "CRONIUM_OUTBOUND"

// exitUnreached is the exit code of a request that got no answer: EX_TEMPFAIL.
const exitUnreached = 75

// sendRequest is what an event of the type HTTP request runs.
func sendRequest(s *script, args []string) error {
	if err := takes("request", args, 1, 1); err != nil {
		return err
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	r, err := outgoing.Parse(data)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if problems := r.Validate(); len(problems) > 0 {
		return fmt.Errorf("read request: %s %s", problems[0].Field, problems[0].Message)
	}
	guard, err := s.guard()
	if err != nil {
		return err
	}
	line := func(format string, args ...any) { fmt.Fprintf(s.stdout, format+"\n", args...) }
	response, err := r.Send(context.Background(), guard, s.lookup, line)
	var unreached *outgoing.Unreached
	if errors.As(err, &unreached) {
		return &Exit{Code: exitUnreached, Err: err}
	}
	if err != nil {
		return err
	}
	output, err := json.Marshal(response)
	if err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if err := s.box.SetOutput(output); err != nil {
		return err
	}
	wrong := r.Check(response)
	for _, sentence := range wrong {
		line("! %s", sentence)
	}
	if len(wrong) > 0 {
		return &Exit{Code: 1, Err: errors.New("the answer is not as expected")}
	}
	return nil
}

// guard is nil where a request may go anywhere.
func (s *script) guard() (*outbound.Guard, error) {
	list := strings.Split(s.getenv(OutboundVariable), ",")
	if list[0] != "internet" {
		return nil, nil
	}
	guard, err := outbound.Parse(list[1:])
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", OutboundVariable, err)
	}
	return &guard, nil
}

// lookup finds the value of a template's name.
func (s *script) lookup(name string) (json.RawMessage, error) {
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "input":
		value, err := s.box.Input()
		if err != nil || rest == "" {
			return value, err
		}
		return Select(value, "."+rest)
	case "variables", "secrets":
		return s.client.field("variable.get", keyParams{rest}, "value")
	}
	return nil, errors.New("it takes input, variables and secrets")
}
