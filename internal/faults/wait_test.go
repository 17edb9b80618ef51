package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// await tries until ok returns nil, ctx ends or the limit is reached.
func await(ctx context.Context, limit time.Duration, what string, ok func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ok()
		if err == nil {
			return nil
		}
		var final *finalError
		if errors.As(err, &final) {
			return final.err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", limit, what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// finalError is one after which waiting makes no sense.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }

func stopWaiting(err error) error { return &finalError{err} }

// pause waits for d; false: ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

type process struct {
	pid     int
	command string
}

// processes lists those that run a program from dir, work in it or name it in
// an argument.
func processes(dir string) []process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		folder := filepath.Join("/proc", entry.Name())
		arguments, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		exe, _ := os.Readlink(filepath.Join(folder, "exe"))
		cwd, _ := os.Readlink(filepath.Join(folder, "cwd"))
		if bytes.Contains(arguments, []byte(dir)) || within(exe, dir) || within(cwd, dir) {
			found = append(found, process{pid, string(bytes.ReplaceAll(arguments, []byte{0}, []byte{' '}))})
		}
	}
	return found
}

func within(path, dir string) bool {
	return len(path) > len(dir) && path[:len(dir)+1] == dir+"/"
}
