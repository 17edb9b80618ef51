package helper

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// withVariables runs a program with variables in its environment, which is how a
// secret gets there: only where a script asks for it, and for that program alone.
// The program takes the place of this one.
func withVariables(s *script, args []string) error {
	end := slices.Index(args, "--")
	if end < 1 || end == len(args)-1 {
		return errors.New("it is: cronium with-variables NAME=KEY… -- PROGRAM [ARGUMENT…]")
	}
	environment := os.Environ()
	for _, pair := range args[:end] {
		name, key, named := strings.Cut(pair, "=")
		if !named {
			key = name
		}
		if name == "" || strings.HasPrefix(name, "CRONIUM_") {
			return fmt.Errorf("%q cannot be a variable of an environment", name)
		}
		value, err := s.client.field("variable.get", keyParams{key}, "value")
		if err != nil {
			return err
		}
		var printed strings.Builder
		if err := printValue(value, &printed); err != nil {
			return err
		}
		text := strings.TrimSuffix(printed.String(), "\n")
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("the value of %s has a NUL, which no environment can hold", key)
		}
		environment = slices.DeleteFunc(environment, func(e string) bool { return strings.HasPrefix(e, name+"=") })
		environment = append(environment, name+"="+text)
	}
	program := args[end+1]
	path, err := exec.LookPath(program)
	if err != nil {
		return &Exit{Code: 127, Err: err}
	}
	return fmt.Errorf("run %s: %w", program, syscall.Exec(path, args[end+1:], environment))
}
