package components

import (
	"strings"
	"testing"
	"time"

	"cronium.dev/cronium"
)

func TestDurationsAreWrittenAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:                      "0 ms",
		2 * time.Millisecond:              "2 ms",
		999 * time.Millisecond:            "999 ms",
		12490 * time.Millisecond:          "12.4 s",
		59990 * time.Millisecond:          "59.9 s", // never "60.0 s"
		68 * time.Second:                  "1 m 08 s",
		59*time.Minute + 59*time.Second:   "59 m 59 s",
		3*time.Hour + 5*time.Minute:       "3 h 05 m",
		52*time.Hour + 59*time.Minute + 1: "2 d 04 h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSpansLeaveOutWhatIsZero(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 500 * time.Millisecond: "0.5 s", 90 * time.Second: "90 s", time.Minute: "1 min", 5 * time.Minute: "5 min",
		150 * time.Second: "2 min 30 s", 90 * time.Minute: "1 h 30 min", 7 * 24 * time.Hour: "7 d",
	} {
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestSizesAndNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1126: "1.1 KiB", 64 << 20: "64 MiB", 150<<20 + 1: "150 MiB", 5 << 40: "5 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1284: "1,284", -1284: "-1,284", 1000000: "1,000,000", -100: "-100"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestEveryEndOfARunIsExplained(t *testing.T) {
	t.Parallel()
	limits := cronium.DefaultLimits()
	exit := func(code int) cronium.Execution {
		return cronium.Execution{Status: cronium.ExecutionFailure, ExitCode: &code}
	}
	for _, c := range []struct {
		execution cronium.Execution
		want      string
	}{
		{exit(1), "Exit 1: the script ended with an error"},
		{exit(75), "Exit 75: a temporary failure"},
		{exit(127), "Exit 127: a command was not found"},
		{exit(137), "SIGKILL"},
		{exit(42), "chose itself"},
		{cronium.Execution{Status: cronium.ExecutionFailure, Signal: 11}, "SIGSEGV: the program crashed"},
		{cronium.Execution{Status: cronium.ExecutionFailure, Signal: 9, OutOfMemory: true}, "more than its 256 MiB"},
		{cronium.Execution{Status: cronium.ExecutionTimeout, Signal: 15}, "longer than its limit of 5 min"},
		{cronium.Execution{Status: cronium.ExecutionLost}, "Lost"},
		{cronium.Execution{Status: cronium.ExecutionCancelled, Signal: 15}, "Cancelled"},
	} {
		if got := HowItEnded(&c.execution, limits); !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q does not say %q", c.execution.Status, got, c.want)
		}
	}
}

func TestEveryStateHasAColourASignAndAWord(t *testing.T) {
	t.Parallel()
	var states []State
	for _, s := range cronium.JobStatuses {
		result := cronium.Result("")
		if s.Final() {
			result = map[cronium.JobStatus]cronium.Result{cronium.JobCompleted: cronium.ResultSuccess, cronium.JobFailed: cronium.ResultTimeout, cronium.JobCancelled: cronium.ResultCancelled}[s]
		}
		states = append(states, JobState(&cronium.Job{Status: s, Result: result}))
	}
	for _, s := range cronium.EventStatuses {
		states = append(states, EventState(s))
	}
	for _, s := range []cronium.ExecutionStatus{cronium.ExecutionPending, cronium.ExecutionRunning, cronium.ExecutionSuccess, cronium.ExecutionFailure, cronium.ExecutionTimeout, cronium.ExecutionCancelled, cronium.ExecutionLost} {
		states = append(states, ExecutionState(s))
	}
	for _, s := range states {
		if s.Class == "" || s.Label == "" || shape(s.Icon) == "" {
			t.Errorf("%+v is not complete", s)
		}
	}
}
