package helper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Exit is the error of a command that has an exit code of its own: a code that is
// the answer, with nothing to say, or one for an error where 1 is an answer.
type Exit struct {
	Code int
	Err  error // nil if there is nothing to say
}

func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap gives the error behind it.
func (e *Exit) Unwrap() error { return e.Err }

// command is one thing that the program `cronium` does.
type command struct {
	name, arguments string
	text            string // one line for the list of commands
	run             func(*script, []string) error
}

// script is the script that asks, as its command line sees it.
type script struct {
	box    *Box
	client client
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
}

// commands are all of them, as the list shows them.
func commands() []command {
	return slices.Concat([]command{
		{"input", "[.path]", "what the run was started with, or a part of it", showInput},
		{"event", "[.path]", "the event that is run, or a part of it", showEvent},
		{"output", "JSON", "what the run gives back", setOutput},
		{"set-condition", "true|false", "what follows on a condition", setCondition},
	}, variableCommands(), []command{
		{"save-artifact", "PATH [NAME]", "keep a file with the run; PATH - is standard input and needs a NAME", saveArtifact},
		{"request", "FILE", "send the HTTP request that a file describes, as events of that type do", sendRequest},
		{"call", "METHOD [JSON]", "call the server by the name of a method and print its answer", callMethod},
	})
}

func usage() string {
	var b strings.Builder
	b.WriteString("cronium: what a script can ask of Cronium, which runs it\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  cronium %-52s %s\n", c.name+" "+c.arguments, c.text)
	}
	b.WriteString(`
A path is like .user.names[0]. Text is printed without quotes, everything else as
JSON. A VALUE is text; after --json it is JSON. JSON, VALUE and BODY may be "-" to be
read from standard input. CRONIUM_TIMEOUT is how many seconds to wait for an answer
of the server; without it a command waits as long as the run may take.
`)
	return b.String()
}

// Command is the program `cronium` of scripts. getenv gives the variables that
// the agent has set for the script. The error is for the person who reads the
// script's output; an *Exit has the exit code.
func Command(args []string, getenv func(string) string, stdin io.Reader, stdout io.Writer) error {
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		_, err := io.WriteString(stdout, usage())
		return err
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		return fmt.Errorf("there is no call %q; `cronium help` lists them", args[0])
	}
	dir := getenv("CRONIUM_DIR")
	if dir == "" {
		return errors.New("this script was not started by Cronium: CRONIUM_DIR is not set")
	}
	timeout, err := timeoutOf(getenv("CRONIUM_TIMEOUT"))
	if err != nil {
		return err
	}
	return all[i].run(&script{
		box:    OpenBox(dir),
		client: client{socket: getenv("CRONIUM_SOCKET"), timeout: timeout},
		getenv: getenv,
		stdin:  stdin,
		stdout: stdout,
	}, args[1:])
}

func showInput(s *script, args []string) error { return show(s.box.Input, args, s.stdout) }
func showEvent(s *script, args []string) error { return show(s.box.Event, args, s.stdout) }

func setOutput(s *script, args []string) error {
	if err := takes("output", args, 1, 1); err != nil {
		return err
	}
	value, err := s.text(args[0])
	if err != nil {
		return fmt.Errorf("read output: %w", err)
	}
	return s.box.SetOutput(bytes.TrimSpace(value))
}

func setCondition(s *script, args []string) error {
	if err := takes("set-condition", args, 1, 1); err != nil {
		return err
	}
	if args[0] != "true" && args[0] != "false" {
		return fmt.Errorf("a condition is true or false, not %q", args[0])
	}
	return s.box.SetCondition(args[0] == "true")
}

func callMethod(s *script, args []string) error {
	if err := takes("call", args, 1, 2); err != nil {
		return err
	}
	params := json.RawMessage("null")
	if len(args) == 2 {
		var err error
		if params, err = s.json(args[1]); err != nil {
			return err
		}
	}
	result, err := s.client.call(args[0], params)
	if err != nil {
		return err
	}
	return printValue(result, s.stdout)
}

// takes checks how many arguments a command has.
func takes(name string, args []string, least, most int) error {
	if len(args) >= least && len(args) <= most {
		return nil
	}
	number := fmt.Sprint(least)
	if least != most {
		number = fmt.Sprintf("%d to %d", least, most)
	}
	return fmt.Errorf("%s takes %s arguments, not %d; `cronium help` shows which", name, number, len(args))
}

// text is an argument as it is, or standard input where it is "-".
func (s *script) text(argument string) ([]byte, error) {
	if argument != "-" {
		return []byte(argument), nil
	}
	text, err := io.ReadAll(io.LimitReader(s.stdin, MaxOutput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(text) > MaxOutput {
		return nil, fmt.Errorf("standard input has more than %d bytes; keep so much as an artifact", MaxOutput)
	}
	return text, nil
}

// json is an argument that must be JSON.
func (s *script) json(argument string) (json.RawMessage, error) {
	text, err := s.text(argument)
	if err != nil {
		return nil, err
	}
	if !json.Valid(text) {
		return nil, fmt.Errorf("%.40q is not JSON", text)
	}
	return text, nil
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
