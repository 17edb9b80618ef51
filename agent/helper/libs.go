// Package helper is what a script can ask while it runs.
//
// Install writes the libraries for Python, Node.js and Bash, which the agent
// carries, and the command `cronium`, which is the agent under another name. A
// Box is the directory of one execution through which the plain values go: the
// library reads the input from a file there and writes the output to one, at
// once and without a round trip, so a value has arrived when the call returns,
// whatever becomes of the script or the agent. Calls that only the server can
// answer go over a Unix socket in the box, as lines of JSON, and wait in Calls
// while no server is attached.
package helper

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed libs/bin libs/node_modules libs/python/*.py libs/python/cronium/*.py libs/python/cronium/py.typed
var libs embed.FS

// Install writes the libraries and the command below a directory. program is
// the agent's own binary. Repeated, it writes what is missing or was changed.
func Install(dir, program string) error {
	err := fs.WalkDir(libs, "libs", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(dir, strings.TrimPrefix(name, "libs"))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := libs.ReadFile(name)
		if err != nil {
			return err
		}
		return ensure(target, content)
	})
	if err != nil {
		return fmt.Errorf("write helper libraries: %w", err)
	}
	command := filepath.Join(dir, "bin", "cronium")
	if at, err := os.Readlink(command); err == nil && at == program {
		return nil
	}
	if err := os.Remove(command); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write command cronium: %w", err)
	}
	if err := os.Symlink(program, command); err != nil {
		return fmt.Errorf("write command cronium: %w", err)
	}
	return nil
}

// ensure makes a file have a content. A script runs as the same user and may have
// put anything there, so it is looked at each time and replaced as a whole.
func ensure(path string, content []byte) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, content) {
			return nil
		}
	}
	part, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = part.Write(content)
	err = errors.Join(err, part.Chmod(0o644), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		os.Remove(part.Name())
	}
	return err
}

// Environment are the variables by which scripts find the libraries installed
// in dir and their own box: those whose value is a list are to be joined with
// what the script has there.
func Environment(dir string, box *Box) (lists, values map[string]string) {
	lists = map[string]string{
		"PATH":       filepath.Join(dir, "bin"),
		"PYTHONPATH": filepath.Join(dir, "python"),
		"NODE_PATH":  filepath.Join(dir, "node_modules"),
	}
	values = map[string]string{
		"CRONIUM_DIR":    box.dir,
		"CRONIUM_SOCKET": box.SocketPath(),
	}
	return lists, values
}
