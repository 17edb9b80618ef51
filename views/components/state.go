package components

import "cronium.dev/cronium"

// State is how a status is shown.
type State struct {
	Class string // is-success, is-failure, is-running, is-warning, is-waiting
	Icon  string
	Label string
}

// JobState is how a job is shown: by its result once it has one.
func JobState(j *cronium.Job) State {
	switch j.Status {
	case cronium.JobQueued:
		switch {
		case j.NextAttempt != nil:
			return State{"is-warning", "again", "Retrying"}
		case j.Waiting != "":
			return State{"is-waiting", "clock", "Waiting"}
		}
		return State{"is-waiting", "clock", "Queued"}
	case cronium.JobClaimed:
		return State{"is-running", "play", "Starting"}
	case cronium.JobRunning:
		if j.CancelledAt != nil {
			return State{"is-warning", "stop", "Cancelling"}
		}
		return State{"is-running", "play", "Running"}
	}
	return ResultState(j.Result)
}

// ResultState is how a result is shown.
func ResultState(r cronium.Result) State {
	switch r {
	case cronium.ResultSuccess:
		return State{"is-success", "check", "Success"}
	case cronium.ResultTimeout:
		return State{"is-failure", "timeout", "Timed out"}
	case cronium.ResultCancelled:
		return State{"is-waiting", "skip", "Cancelled"}
	case cronium.ResultPartial:
		return State{"is-warning", "partial", "Partial"}
	case cronium.ResultFailure:
		return State{"is-failure", "cross", "Failed"}
	}
	return State{"is-waiting", "clock", "Open"}
}

// ExecutionState is how an attempt is shown.
func ExecutionState(s cronium.ExecutionStatus) State {
	switch s {
	case cronium.ExecutionPending:
		return State{"is-running", "play", "Starting"}
	case cronium.ExecutionRunning:
		return State{"is-running", "play", "Running"}
	case cronium.ExecutionLost:
		return State{"is-failure", "lost", "Lost"}
	}
	return ResultState(s.Result())
}

// EventState is how an event's status is shown.
func EventState(s cronium.EventStatus) State {
	switch s {
	case cronium.EventActive:
		return State{"is-success", "dot", "Active"}
	case cronium.EventPaused:
		return State{"is-warning", "pause", "Paused"}
	case cronium.EventArchived:
		return State{"is-waiting", "archive", "Archived"}
	}
	return State{"is-waiting", "draft", "Draft"}
}

// ServerState is how a server is shown.
func ServerState(s cronium.ServerState) State {
	switch s {
	case cronium.ServerOnline:
		return State{"is-success", "dot", "Online"}
	case cronium.ServerOffline:
		return State{"is-failure", "lost", "Offline"}
	case cronium.ServerBlocked:
		return State{"is-failure", "alert", "Blocked"}
	}
	return State{"is-waiting", "clock", "Not seen yet"}
}

// TargetState is how a target of a job is shown.
func TargetState(s cronium.TargetStatus) State {
	switch s {
	case cronium.TargetWaiting:
		return State{"is-waiting", "clock", "Waiting"}
	case cronium.TargetQueued:
		return State{"is-waiting", "clock", "Queued"}
	case cronium.TargetRunning:
		return State{"is-running", "play", "Running"}
	case cronium.TargetSkipped:
		return State{"is-waiting", "skip", "Skipped"}
	case cronium.TargetLost:
		return State{"is-failure", "lost", "Lost"}
	}
	return ResultState(cronium.Result(s))
}
