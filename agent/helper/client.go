package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// client calls the agent over a box's socket, as the libraries do.
type client struct {
	socket  string
	timeout time.Duration // for one answer; 0 waits
}

// Refusal is the server's answer to a call that it did not do.
type Refusal struct {
	Status  int32 // as in HTTP
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s (status %d)", r.Message, r.Status) }

// timeoutOf reads CRONIUM_TIMEOUT.
func timeoutOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0 && seconds < 1e9) {
		return 0, fmt.Errorf("CRONIUM_TIMEOUT is a number of seconds, not %q", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// call waits for the answer to one call. It fails with a *Refusal if that is the
// answer.
func (c client) call(method string, params any) (json.RawMessage, error) {
	if c.socket == "" {
		return nil, errors.New("this script was not started by Cronium: CRONIUM_SOCKET is not set")
	}
	text, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("the parameters are not JSON: %w", err)
	}
	line, err := json.Marshal(request{ID: json.RawMessage("1"), Method: method, Params: text})
	if err != nil {
		return nil, fmt.Errorf("the parameters are not JSON: %w", err)
	}
	conn, err := net.Dial("unix", c.socket)
	if err != nil {
		return nil, fmt.Errorf("reach the agent: %w", err)
	}
	defer conn.Close()
	if c.timeout > 0 {
		conn.SetDeadline(time.Now().Add(c.timeout))
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return nil, c.unanswered(method, err)
	}
	var a answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return nil, c.unanswered(method, err)
	}
	if a.Error != nil {
		return nil, &Refusal{Status: a.Error.Status, Message: a.Error.Message}
	}
	return a.Result, nil
}

func (c client) unanswered(method string, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no answer to %q within %s", method, c.timeout)
	}
	return fmt.Errorf("no answer from the agent: %w", err)
}

// field calls and takes one field of the answer.
func (c client) field(method string, params any, name string) (json.RawMessage, error) {
	result, err := c.call(method, params)
	if err != nil {
		return nil, err
	}
	return member(result, name)
}
