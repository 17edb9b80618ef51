package helper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

const commandUsage = `cronium: what a script can ask of Cronium, which runs it

  cronium input [.path]             what the run was started with, or a part of it
  cronium event [.path]             the event that is run, or a part of it
  cronium output JSON               what the run gives back; "-" reads it from standard input
  cronium set-condition true|false  what follows on a condition
  cronium call METHOD [JSON]        call the server and print its answer

A path is like .user.names[0]. Text is printed without quotes.
`

// Command is the program `cronium` of scripts. getenv gives the variables that
// the agent has set for the script. The error is for the person who reads the
// script's output.
func Command(args []string, getenv func(string) string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		_, err := io.WriteString(stdout, commandUsage)
		return err
	}
	dir := getenv("CRONIUM_DIR")
	if dir == "" {
		return errors.New("this script was not started by Cronium: CRONIUM_DIR is not set")
	}
	box := OpenBox(dir)
	switch name, rest := args[0], args[1:]; name {
	case "input":
		return show(box.Input, rest, stdout)
	case "event":
		return show(box.Event, rest, stdout)
	case "output":
		value, err := oneArgument(name, rest)
		if err != nil {
			return err
		}
		text := []byte(value)
		if value == "-" {
			if text, err = io.ReadAll(io.LimitReader(stdin, MaxOutput+1)); err != nil {
				return fmt.Errorf("read output: %w", err)
			}
		}
		return box.SetOutput(bytes.TrimSpace(text))
	case "set-condition":
		value, err := oneArgument(name, rest)
		if err != nil {
			return err
		}
		if value != "true" && value != "false" {
			return fmt.Errorf("a condition is true or false, not %q", value)
		}
		return box.SetCondition(value == "true")
	case "call":
		return callServer(getenv("CRONIUM_SOCKET"), rest, stdout)
	default:
		return fmt.Errorf("there is no call %q; `cronium help` lists them", name)
	}
}

func oneArgument(name string, args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("%s takes one argument, not %d; `cronium help` shows how", name, len(args))
	}
	return args[0], nil
}

// show prints a value or the part of it that a path names.
func show(read func() ([]byte, error), args []string, stdout io.Writer) error {
	if len(args) > 1 {
		return fmt.Errorf("one path at most, not %d", len(args))
	}
	value, err := read()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		if value, err = Select(value, args[0]); err != nil {
			return err
		}
	}
	return printValue(value, stdout)
}

// printValue prints text as it is and everything else as JSON.
func printValue(value []byte, stdout io.Writer) error {
	var text string
	if json.Unmarshal(value, &text) != nil || bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		text = string(bytes.TrimSpace(value))
	}
	_, err := fmt.Fprintln(stdout, text)
	return err
}

// Select takes the part of a JSON value that a path like .user.names[0] names.
func Select(value json.RawMessage, path string) (json.RawMessage, error) {
	if path == "." {
		return value, nil
	}
	for rest := path; rest != ""; {
		var err error
		switch {
		case rest[0] == '.':
			name := rest[1:]
			if end := strings.IndexAny(name, ".["); end >= 0 {
				name = name[:end]
			}
			rest = rest[1+len(name):]
			value, err = member(value, name)
		case rest[0] == '[' && strings.Contains(rest, "]"):
			end := strings.IndexByte(rest, ']')
			value, err = element(value, rest[1:end])
			rest = rest[end+1:]
		default:
			err = errors.New("a path is like .user.names[0]")
		}
		if err != nil {
			return nil, fmt.Errorf("path %s: %w", path, err)
		}
	}
	return value, nil
}

func member(value json.RawMessage, name string) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || object == nil {
		return nil, fmt.Errorf("%q is asked of something that is not an object", name)
	}
	found, ok := object[name]
	if !ok {
		return nil, fmt.Errorf("there is no %q", name)
	}
	return found, nil
}

func element(value json.RawMessage, index string) (json.RawMessage, error) {
	var array []json.RawMessage
	if json.Unmarshal(value, &array) != nil || array == nil {
		return nil, fmt.Errorf("[%s] is asked of something that is not a list", index)
	}
	i, err := strconv.Atoi(index)
	if err != nil || i < 0 || i >= len(array) {
		return nil, fmt.Errorf("there is no [%s] in a list of %d", index, len(array))
	}
	return array[i], nil
}

// callServer sends one call to the agent and prints the answer.
func callServer(socket string, args []string, stdout io.Writer) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("call takes a method and, if it needs any, its parameters as JSON")
	}
	params := json.RawMessage("null")
	if len(args) == 2 {
		params = json.RawMessage(args[1])
	}
	line, err := json.Marshal(request{ID: json.RawMessage("1"), Method: args[0], Params: params})
	if err != nil {
		return fmt.Errorf("the parameters are not JSON: %w", err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fmt.Errorf("reach the agent: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("reach the agent: %w", err)
	}
	var a answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return fmt.Errorf("no answer from the agent: %w", err)
	}
	if a.Error != nil {
		return fmt.Errorf("%s (status %d)", a.Error.Message, a.Error.Status)
	}
	return printValue(a.Result, stdout)
}
