package helper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxOutput is how many bytes of JSON a script may give to output(). It fits
// into one message of the protocol.
const MaxOutput = 3 << 20

// Names of the files in a box.
const (
	inputFile     = "input.json"
	eventFile     = "event.json"
	outputFile    = "output.json"
	conditionFile = "condition.json"
	socketFile    = "sock"
)

// Box is a directory that one script and the agent share.
type Box struct {
	dir string
}

// NewBox makes the directory and writes what the script may read. Empty input
// or event stand for null.
func NewBox(dir string, input, event []byte) (*Box, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make box for helper calls: %w", err)
	}
	b := &Box{dir: dir}
	for name, value := range map[string][]byte{inputFile: input, eventFile: event} {
		if len(value) == 0 {
			value = []byte("null")
		}
		if err := os.WriteFile(filepath.Join(dir, name), value, 0o600); err != nil {
			return nil, fmt.Errorf("write what the script may read: %w", err)
		}
	}
	return b, nil
}

// OpenBox is the box that an earlier agent has made.
func OpenBox(dir string) *Box { return &Box{dir: dir} }

// SocketPath is where the script calls the agent.
func (b *Box) SocketPath() string { return filepath.Join(b.dir, socketFile) }

// Values are what the script has given to output() and setCondition(): nil where
// it has not called them. What is not valid is left out and told by the error.
func (b *Box) Values() (output []byte, condition *bool, err error) {
	output, err = b.read(outputFile)
	if err == nil && output != nil && !json.Valid(output) {
		output, err = nil, errors.New("the output that the script gave is not JSON")
	}
	text, conditionErr := b.read(conditionFile)
	if conditionErr == nil && text != nil {
		value, parseErr := strconv.ParseBool(string(text))
		if parseErr == nil {
			condition = &value
		} else {
			conditionErr = errors.New("the condition that the script gave is neither true nor false")
		}
	}
	return output, condition, errors.Join(err, conditionErr)
}

// read takes a file that the script may have made in any way it likes.
func (b *Box) read(name string) ([]byte, error) {
	f, err := os.OpenFile(filepath.Join(b.dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the script gave: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read what the script gave: %s is not a file", name)
	} else if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		// It may be a file of somebody else that only the agent may read.
		return nil, fmt.Errorf("read what the script gave: %s is a link", name)
	}
	content, err := io.ReadAll(io.LimitReader(f, MaxOutput+1))
	if err != nil {
		return nil, fmt.Errorf("read what the script gave: %w", err)
	}
	if len(content) > MaxOutput {
		return nil, fmt.Errorf("the script gave more than %d bytes of output as JSON; they are not kept", MaxOutput)
	}
	return content, nil
}

// write sets a value, whole or not at all.
func (b *Box) write(name string, value []byte) error {
	part, err := os.CreateTemp(b.dir, name+".*")
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	_, err = part.Write(value)
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), filepath.Join(b.dir, name))
	}
	if err != nil {
		os.Remove(part.Name())
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// SetOutput keeps the output, which must be JSON of at most MaxOutput bytes.
func (b *Box) SetOutput(value []byte) error {
	if !json.Valid(value) {
		return errors.New("the output is not JSON")
	}
	if len(value) > MaxOutput {
		return fmt.Errorf("the output is %d bytes of JSON; at most %d are kept", len(value), MaxOutput)
	}
	return b.write(outputFile, value)
}

// SetCondition keeps the condition.
func (b *Box) SetCondition(value bool) error {
	return b.write(conditionFile, strconv.AppendBool(nil, value))
}

// Input is what the script was given, as JSON.
func (b *Box) Input() ([]byte, error) { return os.ReadFile(filepath.Join(b.dir, inputFile)) }

// Event is the event that is run, as JSON.
func (b *Box) Event() ([]byte, error) { return os.ReadFile(filepath.Join(b.dir, eventFile)) }
