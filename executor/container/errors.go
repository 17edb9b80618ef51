package container

import (
	"errors"
	"fmt"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// errNoAnswer says that a container was made and its agent could not be asked.
var errNoAnswer = fmt.Errorf("the agent did not answer: %w", executor.ErrUnavailable)

// public makes of the engine's error what a person may read.
func public(err error, s shape) error {
	var told *cronium.Error
	if err == nil || errors.As(err, &told) {
		return err
	}
	text := err.Error()
	code, message := cronium.CodeInternal, ""
	switch {
	case errors.Is(err, errNoAnswer):
		code = cronium.CodeUnavailable
		message = "The agent in the container did not answer in time, or the engine ended the container while it started; the run is tried again."
	case errors.Is(err, executor.ErrUnavailable):
		code = cronium.CodeUnavailable
		message = "The container engine does not answer. Start it (systemctl start docker) or look at its log; the run is tried again."
	case strings.Contains(text, "no space left on device"), strings.Contains(text, "disk quota exceeded"):
		code = cronium.CodeUnavailable
		message = "The container engine's disk is full. Free space there (docker system df shows what uses it) and run again."
	case strings.Contains(text, "cannot allocate memory"):
		code = cronium.CodeUnavailable
		message = "The container engine's machine is out of memory. Let other work end or lower the event's memory limit."
	case refusedLimits(text):
		code = cronium.CodeConflict
		message = "The container engine refused the event's limits: " + engineText(err) + ". Lower them under Limits."
	case errors.Is(err, errNoImage):
		code = cronium.CodeConflict
		message = "The engine does not have the image " + s.image + " and cannot pull it: " + engineText(err) + ". Check its name under Limits."
	default:
		message = "The container engine could not start a container: " + engineText(err) + "."
	}
	return &cronium.Error{Code: code, Message: message, Err: err}
}

// refusedLimits recognises the engine's words for limits that its machine
// cannot give.
func refusedLimits(text string) bool {
	for _, words := range []string{"range of cpus", "minimum memory limit", "maximum pids", "pids limit", "invalid cpu", "cpu cfs"} {
		if strings.Contains(strings.ToLower(text), words) {
			return true
		}
	}
	return false
}

// engineText is the engine's own words, without what we were doing and in one
// line.
func engineText(err error) string {
	text := err.Error()
	if _, rest, ok := strings.Cut(text, "Error response from daemon: "); ok {
		text = rest
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return strings.TrimSuffix(text, ".")
}
