package cronium

import (
	"fmt"
	"time"
)

// Tally counts the targets of a job by where they stand.
type Tally struct {
	Waiting   int // for their turn
	Queued    int // all of them
	Unstarted int // those of Queued that have not run yet: the others wait for a retry
	Away      int // those of Unstarted that could not be reached when they were tried
	Running   int
	Success   int
	Failure   int
	Timeout   int
	Cancelled int
	Lost      int
	Skipped   int
}

// Total is the number of all targets.
func (t Tally) Total() int { return t.Open() + t.ended() + t.Skipped }

// Open is the number of those to which something may still happen.
func (t Tally) Open() int { return t.Waiting + t.Queued + t.Running }

// Failed is the number of those that ended in another way than SUCCESS.
func (t Tally) Failed() int { return t.Failure + t.Timeout + t.Cancelled + t.Lost }

func (t Tally) ended() int { return t.Success + t.Failed() }

// Step is what follows for the targets of a job from where they stand.
type Step struct {
	// Release is how many of those WAITING become QUEUED, in their order.
	Release int
	// After is how long the released ones must not start yet.
	After time.Duration
	// Drop is what targets become that will not run: "" for none; SKIPPED for
	// those WAITING and those QUEUED that have not run yet; CANCELLED for all
	// that are WAITING or QUEUED. Reason says why, for a person.
	Drop   TargetStatus
	Reason string
	// Result is how the job has ended once Drop is done; "" while it goes on.
	Result Result
}

// Advance says what follows for the targets of a job on the servers of f.
// cancelled says that a person asked for the job to be stopped. It is asked when
// a job has been resolved, and again after each change of a target; asked
// twice, its second answer is that nothing follows.
func Advance(f Fleet, t Tally, cancelled bool) Step {
	step := f.next(t, cancelled)
	switch step.Drop {
	case TargetSkipped:
		t.Skipped += t.Waiting + t.Unstarted
		t.Queued -= t.Unstarted
		t.Waiting, t.Unstarted, t.Away = 0, 0, 0
	case TargetCancelled:
		t.Cancelled += t.Waiting + t.Queued
		t.Waiting, t.Queued, t.Unstarted, t.Away = 0, 0, 0, 0
	}
	if t.Open() == 0 {
		step.Result = f.RollUp(t, cancelled)
	}
	return step
}

// next is Advance without the result.
func (f Fleet) next(t Tally, cancelled bool) Step {
	if cancelled {
		return f.drop(t.Waiting+t.Queued, TargetCancelled, "Cancelled before it started.")
	}
	if reason := f.stop(t); reason != "" {
		return f.drop(t.Waiting+t.Unstarted, TargetSkipped, reason)
	}
	if t.Waiting == 0 {
		return Step{}
	}
	active := t.Queued + t.Running
	switch f.Strategy {
	case StrategyParallel:
		return Step{Release: min(max(f.Parallel-active, 0), t.Waiting)}
	case StrategyRolling:
		if active > 0 {
			return Step{}
		}
		step := Step{Release: min(max(f.Parallel, 1), t.Waiting)}
		if t.ended()+t.Skipped > 0 {
			step.After = time.Duration(f.PauseSeconds) * time.Second
		}
		return step
	case StrategyAny:
		// One that cannot be reached is still tried, beside the next.
		if active-t.Away > 0 {
			return Step{}
		}
		return Step{Release: 1}
	case StrategyFirst:
		if active > 0 {
			return Step{}
		}
		return Step{Release: 1}
	}
	return Step{Release: t.Waiting}
}

func (f Fleet) drop(count int, status TargetStatus, reason string) Step {
	if count == 0 {
		return Step{}
	}
	return Step{Drop: status, Reason: reason}
}

// stop tells why nothing more is begun; "" when something is.
func (f Fleet) stop(t Tally) string {
	switch f.Strategy {
	case StrategyAny:
		if t.Running+t.Queued-t.Unstarted+t.ended() > 0 {
			return "Another server was taken."
		}
	case StrategyFirst:
		if t.Success > 0 {
			return "The script has succeeded on another server."
		}
	case StrategyParallel, StrategyRolling:
		if f.tooManyFailed(t) {
			return fmt.Sprintf("The job was stopped: it failed on %d of %d servers, and %s may fail.", t.Failed(), t.Total(), f.mayFail())
		}
	}
	return ""
}

func (f Fleet) tooManyFailed(t Tally) bool {
	switch f.FailureUnit {
	case FailureCount:
		return t.Failed() > f.MaxFailures
	case FailurePercent:
		return t.Failed()*100 > f.MaxFailures*t.Total()
	}
	return false
}

func (f Fleet) mayFail() string {
	switch {
	case f.FailureUnit == FailurePercent:
		return fmt.Sprintf("%d %%", f.MaxFailures)
	case f.MaxFailures == 0:
		return "none"
	}
	return fmt.Sprint(f.MaxFailures)
}

// RollUp is the result of a job whose targets are all final. Skipped ones do not
// count, and when all were skipped nothing has been done, so it has failed. What
// a person stopped is CANCELLED if that reached a target before its end, or
// could not be told to one.
func (f Fleet) RollUp(t Tally, cancelled bool) Result {
	one := f.Strategy == StrategyAny || f.Strategy == StrategyFirst
	switch {
	case cancelled && t.Cancelled+t.Lost > 0:
		return ResultCancelled
	case t.ended() == 0:
		return ResultFailure
	case t.Success == t.ended(), one && t.Success > 0:
		return ResultSuccess
	case t.Success > 0:
		return ResultPartial
	case t.Timeout == t.ended():
		return ResultTimeout
	case t.Cancelled == t.ended():
		return ResultCancelled
	}
	return ResultFailure
}

// Explain says, for a person, why a job with these targets did not succeed; ""
// when it did.
func (t Tally) Explain(r Result) string {
	switch {
	case r == ResultSuccess:
		return ""
	case t.ended() == 0:
		return "It ran on no server: each was skipped, and its target says why."
	case t.Skipped > 0:
		return fmt.Sprintf("It succeeded on %d of %d servers; %d failed and %d were skipped.", t.Success, t.Total(), t.Failed(), t.Skipped)
	}
	return fmt.Sprintf("It succeeded on %d of %d servers.", t.Success, t.Total())
}
