package components

import (
	"fmt"

	"cronium.dev/cronium"
)

// StartedBy says in words what started a job: "Ada", "token ci", "test by Ada".
func StartedBy(j *cronium.Job) string {
	switch j.Trigger {
	case cronium.TriggerRerun:
		return "again by " + j.TriggeredBy
	case cronium.TriggerTest:
		return "test by " + j.TriggeredBy
	case cronium.TriggerSchedule:
		return "schedule " + j.TriggeredBy
	case cronium.TriggerWebhook:
		return "webhook " + j.TriggeredBy
	case cronium.TriggerEvent:
		return "after " + j.TriggeredBy
	}
	return j.TriggeredBy
}

// Where says in words where something runs.
func Where(t cronium.TargetKind) string {
	switch t {
	case cronium.TargetContainer:
		return "container"
	case cronium.TargetProcess:
		return "this machine, no isolation"
	}
	return string(t)
}

// NetworkWords says in words what a script may reach.
func NetworkWords(n cronium.Network) string {
	switch n {
	case cronium.NetworkNone:
		return "off"
	case cronium.NetworkInternet:
		return "internet only"
	case cronium.NetworkFull:
		return "everything"
	}
	return string(n)
}

// VersionWords names a version; the content of a test run has a number below
// zero.
func VersionWords(n int) string {
	if n < 0 {
		return "unsaved draft"
	}
	return fmt.Sprintf("version %d", n)
}

// HowItEnded says in words how an attempt ended and what that means, for a
// person who does not know the numbers: "Exit 137: killed with SIGKILL, ….".
func HowItEnded(e *cronium.Execution, limits cronium.Limits) string {
	switch {
	case e.Status == cronium.ExecutionTimeout:
		return fmt.Sprintf("Timed out: it ran longer than its limit of %s.", Span(limits.Timeout()))
	case e.Status == cronium.ExecutionCancelled:
		return "Cancelled."
	case e.Status == cronium.ExecutionLost:
		return "Lost: what ran it is gone, and nobody can tell whether the script came to its end."
	case e.OutOfMemory:
		return fmt.Sprintf("Out of memory: it needed more than its %d MiB.", limits.MemoryMiB)
	case e.Signal != 0:
		return fmt.Sprintf("Ended by %s: %s.", signalName(e.Signal), signalMeaning(e.Signal))
	case e.ExitCode == nil:
		return ""
	}
	return fmt.Sprintf("Exit %d: %s.", *e.ExitCode, exitMeaning(*e.ExitCode))
}

// exitMeaning is what an exit code means by custom: shells, sysexits.h.
func exitMeaning(code int) string {
	if code > 128 && code < 128+65 {
		return "a command was ended by " + signalName(code-128) + " (" + signalMeaning(code-128) + ")"
	}
	meaning, known := map[int]string{
		0:   "success",
		1:   "the script ended with an error; its last lines say which",
		2:   "wrong usage: a wrong argument, or a syntax error of a shell script",
		64:  "wrong usage of a command (EX_USAGE)",
		65:  "the data was wrong (EX_DATAERR)",
		66:  "an input could not be opened (EX_NOINPUT)",
		68:  "a host is not known (EX_NOHOST)",
		69:  "a service is not available (EX_UNAVAILABLE)",
		70:  "an error inside a program (EX_SOFTWARE)",
		71:  "an error of the system (EX_OSERR)",
		73:  "a file could not be made (EX_CANTCREAT)",
		74:  "reading or writing failed (EX_IOERR)",
		75:  "a temporary failure; trying again may help (EX_TEMPFAIL)",
		76:  "the other side answered wrongly (EX_PROTOCOL)",
		77:  "permission was refused (EX_NOPERM)",
		78:  "something is not configured rightly (EX_CONFIG)",
		126: "a command was found but may not be run",
		127: "a command was not found",
	}[code]
	if !known {
		return "a code that the script chose itself"
	}
	return meaning
}

func signalName(n int) string {
	name, known := map[int]string{1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 11: "SEGV", 13: "PIPE", 14: "ALRM", 15: "TERM", 24: "XCPU", 25: "XFSZ"}[n]
	if !known {
		return fmt.Sprintf("signal %d", n)
	}
	return "SIG" + name
}

func signalMeaning(n int) string {
	switch n {
	case 4, 7, 8, 11:
		return "the program crashed"
	case 6:
		return "the program gave up on itself"
	case 9:
		return "killed from outside, or out of memory"
	case 13:
		return "it wrote to a pipe that nobody reads"
	case 2, 15:
		return "it was asked to stop"
	}
	return "it did not handle that signal"
}
