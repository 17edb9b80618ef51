package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// cleanupTime is more than what an agent needs after the time limit: grace and
// cleanup.
const cleanupTime = 2 * time.Minute

// maxOutput is how many bytes of JSON a script may give to output(): as many as
// an agent takes.
const maxOutput = 3 << 20

// most is what is believed of a figure: bytes, or nanoseconds (about 36 years).
const most = 1 << 60

// microseconds is a time that an agent reports, which may be anything.
func microseconds(us int64) time.Duration {
	return time.Duration(min(max(us, 0), most/1000)) * time.Microsecond
}

// ended says what the agent's report means.
func (r *run) ended(f *proto.Finish) store.Finish {
	end := store.Finish{
		Error:      f.GetMessage(),
		Setup:      microseconds(f.GetSetupUs()),
		Run:        microseconds(f.GetRunUs()),
		Cleanup:    microseconds(f.GetCleanupUs()),
		CPU:        microseconds(f.GetCpuUs()),
		PeakMemory: min(max(f.GetPeakMemoryBytes(), 0), most),
		Dropped:    int64(min(f.GetOutputDropped(), most)) + r.dropped,
		Condition:  f.Condition,
	}
	limits := r.content.Limits
	switch f.GetOutcome() {
	case proto.Outcome_OUTCOME_EXITED:
		code := int(f.GetExitCode())
		end.ExitCode, end.Status = &code, cronium.ExecutionSuccess
		if code != 0 {
			end.Status = cronium.ExecutionFailure
		}
	case proto.Outcome_OUTCOME_SIGNALED:
		end.Signal, end.Status = int(f.GetSignal()), cronium.ExecutionFailure
		if end.Error == "" {
			end.Error = fmt.Sprintf("The script was ended by signal %d (%s).", end.Signal, syscall.Signal(end.Signal))
		}
	case proto.Outcome_OUTCOME_TIMEOUT:
		end.Status = cronium.ExecutionTimeout
		if end.Error == "" {
			end.Error = fmt.Sprintf("The script ran longer than its limit of %s and was stopped.", limits.Timeout())
		}
	case proto.Outcome_OUTCOME_CANCELLED:
		end.Status = cronium.ExecutionCancelled
	case proto.Outcome_OUTCOME_OUT_OF_MEMORY:
		end.Status, end.OutOfMemory, end.Signal = cronium.ExecutionFailure, true, int(syscall.SIGKILL)
		end.Error = fmt.Sprintf("The script needed more than its limit of %d MiB of memory and was stopped by the kernel.", limits.MemoryMiB)
	case proto.Outcome_OUTCOME_LOST:
		end.Status = cronium.ExecutionLost
	default:
		end.Status = cronium.ExecutionFailure
	}
	switch output := json.RawMessage(f.GetOutput()); {
	case len(output) > maxOutput:
		end.Error = "What the script gave to output() is longer than 3 MiB and was not kept. " + end.Error
	case len(output) > 0 && json.Valid(output) && utf8.Valid(output):
		end.Output = output
	case len(output) > 0:
		end.Error = "What the script gave to output() is not JSON and was not kept. " + end.Error
	}
	return end
}

// finish stores the end and removes the place. The final state is stored even
// while this process stops.
func (r *run) finish(ctx context.Context, end store.Finish) {
	end.ExecutionID, end.JobID, end.Owner = r.execution.ID, r.execution.JobID, r.engine.id
	end.Stored, end.Last = r.stored, r.last
	end.Limited = r.limited || r.content.Limited()
	if end.Status == cronium.ExecutionLost && r.isCancelled() {
		end.Result = cronium.ResultCancelled // what a person wanted; how the script ended nobody knows
	}
	if wait, again := r.content.Retry.Next(r.execution.Attempt, end.Status, end.ExitCode, rand.Float64()); again {
		end.Retry = &wait
	}
	ctx, cancel := graceful(ctx)
	defer cancel()
	hidden, err := r.secrets(ctx)
	if err != nil {
		return // this process stops, or the execution is another's: whoever adopts it stores the end
	}
	end.Output, end.Error = hidden.Mask().JSON(end.Output), hidden.Mask().Text(end.Error)
	status, err := r.storeEnd(ctx, end)
	if errors.Is(err, store.ErrUnstorable) {
		r.log().Error("the end of an execution cannot be stored as it was reported", "error", err)
		end.Output, end.Error = nil, "The database cannot hold what the script gave to output(), so it was not kept."
		status, err = r.storeEnd(ctx, end)
	}
	if err != nil {
		if errors.Is(err, store.ErrNotOwner) {
			r.log().Info("another process has taken over the execution")
			return
		}
		r.log().Error("the end of an execution was not stored; whoever adopts it will", "error", err)
		return
	}
	r.engine.metrics.finished(end.Status)
	r.engine.metrics.stored(store.Size(r.last))
	r.engine.Hub.Publish(live.JobTopic(r.job.ID), live.OutputTopic(r.execution.ID), live.JobsTopic(r.job.WorkspaceID))
	if len(r.content.Then) > 0 {
		r.engine.Hub.Publish(live.EndsTopic)
	}
	r.log().Info("execution ended", "status", end.Status, "job_status", status, "run", end.Run)
	if r.place != nil {
		r.engine.destroy(r.place)
	}
}

func (r *run) storeEnd(ctx context.Context, end store.Finish) (status cronium.JobStatus, err error) {
	err = r.insist(ctx, func(ctx context.Context) (err error) {
		if r.server != nil {
			return r.endTarget(ctx, end)
		}
		status, err = r.engine.Store.Finish(ctx, end, r.requeue)
		return err
	})
	return status, err
}

// requeue adds the queue entry of a job that goes on: a retry of this one, or
// another of the event that waited for this one's end.
func (r *run) requeue(ctx context.Context, tx pgx.Tx, job cronium.Job, at time.Time) error {
	if job.ID == r.job.ID {
		return r.engine.insert(ctx, tx, job, r.content.Target, at)
	}
	return r.engine.requeueJob(ctx, tx, job, at)
}

// insist repeats a write while the database fails, with growing pauses, until
// it succeeds, the execution turns out not to be ours, the value to be one that
// no database takes, or ctx ends.
func (r *run) insist(ctx context.Context, write func(context.Context) error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := write(ctx)
		if err == nil || errors.Is(err, store.ErrNotOwner) || errors.Is(err, store.ErrUnstorable) || ctx.Err() != nil {
			return err
		}
		r.log().Warn("the database did not accept a write; trying again", "error", err)
		if !pause(ctx, wait) {
			return err
		}
	}
}

// graceful gives a context that outlives ctx by stopGrace, for what must still
// be stored when this process stops.
func graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })
	return longer, func() { stop(); cancel() }
}

const stopGrace = 5 * time.Second
