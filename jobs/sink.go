package jobs

import (
	"context"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/store"
)

// sink stores what an execution reports.
type sink struct {
	*run
	lose     context.CancelCauseFunc // ends the drive: the execution is not ours
	started  store.Started           // the start, once it is known
	starting *time.Timer             // stores it, unless output or the end comes first
}

// close drops a start that was not stored yet: the end will tell it.
func (s *sink) close() {
	if s.starting != nil {
		s.starting.Stop()
	}
}

// startDelay is how long the start of a script is kept back: it is stored with
// the first output, or with the end, if one of them comes sooner.
const startDelay = 5 * time.Millisecond

// Started stores that the process runs, soon and beside what goes on. After a
// reconnect it makes sure at once that the execution is still ours.
func (s *sink) Started(ctx context.Context, setup time.Duration) error {
	s.started = store.Started{ExecutionID: s.execution.ID, JobID: s.job.ID, Owner: s.engine.id, Setup: max(setup, 0)}
	s.waits = ""
	if s.execution.Status == cronium.ExecutionRunning {
		return s.storeStart(ctx)
	}
	s.execution.Status = cronium.ExecutionRunning
	s.engine.metrics.started(time.Since(s.job.QueuedAt()), s.execution.Attempt)
	s.starting = time.AfterFunc(startDelay, func() {
		if err := s.storeStart(ctx); err != nil {
			s.lose(err)
		}
	})
	return nil
}

func (s *sink) storeStart(ctx context.Context) error {
	err := s.insist(ctx, func(ctx context.Context) error { return s.engine.Store.Start(ctx, s.started) })
	if err == nil {
		s.publishStart()
	}
	return err
}

func (s *sink) publishStart() {
	s.engine.Hub.Publish(live.JobTopic(s.job.ID), live.JobsTopic(s.job.WorkspaceID))
}

// Output stores records. They are acknowledged, and may be forgotten by the
// agent, only when this returns nil.
func (s *sink) Output(ctx context.Context, records []*proto.Output) error {
	chunks, dropped := s.within(records)
	if len(chunks) > 0 {
		if err := s.store(ctx, chunks); err != nil {
			return err
		}
	}
	s.dropped += dropped
	return nil
}

// lastBytes is how much output the end takes along.
const lastBytes = 16 << 10

// Last keeps output that came with the end, if it is short, for the end: one
// write instead of two.
func (s *sink) Last(ctx context.Context, records []*proto.Output) error {
	size := 0
	for _, o := range records {
		size += len(o.GetData())
	}
	if size > lastBytes {
		return s.Output(ctx, records)
	}
	var dropped int64
	s.last, dropped = s.within(records)
	s.dropped += dropped
	return nil
}

// within gives as much of the records as the event's limit leaves room for, and
// how many bytes that leaves out. An agent keeps to the limit itself, but in a
// container it runs as the script's user, which may put itself in its place.
func (s *sink) within(records []*proto.Output) (chunks []cronium.Chunk, dropped int64) {
	limits := s.content.Limits
	room := max(int64(limits.OutputMiB)<<20-s.stored.Bytes, 0)
	for _, o := range records {
		data := o.GetData()
		keep := min(int64(len(data)), room)
		room -= keep
		dropped += int64(len(data)) - keep
		if keep == 0 {
			continue
		}
		stream := cronium.Stdout
		if o.GetStream() == proto.Stream_STREAM_STDERR {
			stream = cronium.Stderr
		}
		at := min(microseconds(o.GetAtUs()), limits.Timeout()+cleanupTime)
		chunks = append(chunks, cronium.Chunk{At: at, Stream: stream, Data: data[:keep]})
	}
	return chunks, dropped
}

func (s *sink) store(ctx context.Context, chunks []cronium.Chunk) error {
	// A start that is still kept back is stored with the first output.
	first := s.starting != nil && s.starting.Stop()
	err := s.insist(ctx, func(ctx context.Context) error {
		after, err := s.append(ctx, chunks, first)
		if err == nil {
			s.engine.metrics.stored(after.Bytes - s.stored.Bytes)
			s.stored = after
			if s.server != nil {
				s.digest.add(chunks)
			}
		}
		return err
	})
	if err == nil {
		s.engine.Hub.Publish(live.OutputTopic(s.execution.ID))
		if s.server != nil {
			s.engine.Hub.Publish(live.MergedTopic(s.job.ID))
		}
	}
	if err == nil && first {
		s.publishStart()
	}
	return err
}

func (s *sink) append(ctx context.Context, chunks []cronium.Chunk, first bool) (store.Appended, error) {
	if first {
		return s.engine.Store.StartWithOutput(ctx, s.started, s.stored, chunks)
	}
	return s.engine.Store.AppendOutput(ctx, s.execution.ID, s.engine.id, s.stored, chunks)
}

// Usage is shown in the end alone; nothing is written for it meanwhile.
func (s *sink) Usage(context.Context, *proto.Usage) {}
