package cronium

import (
	"math"
	"slices"
	"time"
)

// Retry is an event's policy for attempts after a failed one.
type Retry struct {
	Attempts       int     `json:"attempts"`                  // executions in all, 1 to 20; 1 = no retry
	InitialSeconds float64 `json:"initial_seconds,omitempty"` // wait before the second attempt, 0 to 86400
	Factor         float64 `json:"factor,omitempty"`          // each wait is this times the one before, 1 to 10
	MaxSeconds     float64 `json:"max_seconds,omitempty"`     // no wait is longer, 0 to 86400
	ExitCodes      []int   `json:"exit_codes,omitempty"`      // only these are retried; none = every failure
	OnTimeout      bool    `json:"on_timeout,omitempty"`      // a time-out is retried too
}

// Next tells whether the attempt that just ended is followed by another, and
// after how long. random is in [0, 1) and spreads the wait over its last half,
// so that a thousand jobs that failed together do not return together
// ("equal jitter").
//
// A lost execution is retried whatever its exit codes, because it has none.
func (r Retry) Next(attempt int, status ExecutionStatus, exitCode *int, random float64) (time.Duration, bool) {
	if attempt >= r.Attempts {
		return 0, false
	}
	switch status {
	case ExecutionLost:
	case ExecutionTimeout:
		if !r.OnTimeout {
			return 0, false
		}
	case ExecutionFailure:
		if len(r.ExitCodes) > 0 && (exitCode == nil || !slices.Contains(r.ExitCodes, *exitCode)) {
			return 0, false
		}
	default:
		return 0, false
	}
	wait := r.InitialSeconds * math.Pow(max(r.Factor, 1), float64(attempt-1))
	if r.MaxSeconds > 0 {
		wait = min(wait, r.MaxSeconds)
	}
	wait = wait/2 + wait/2*random
	return time.Duration(wait * float64(time.Second)), true
}
