package jobs

import (
	"context"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/live"
	"cronium.dev/secrets"
	"cronium.dev/store"
)

// sink stores what an execution reports.
type sink struct {
	*run
	lose     context.CancelCauseFunc // ends the drive: the execution is not ours
	started  store.Started           // the start, once it is known
	starting *time.Timer             // stores it, unless output or the end comes first
	veil     *secrets.Veil           // masks the output; nil: none came yet
	taken    uint64                  // offset of the agent's output up to which it was given to this
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

// Output stores records, masked. They are acknowledged, and may be forgotten by
// the agent, only as far as this says.
func (s *sink) Output(ctx context.Context, records []*proto.Output) (uint64, error) {
	hidden, err := s.secrets(ctx)
	if err != nil {
		return 0, err
	}
	if s.veil == nil {
		s.veil = secrets.NewVeil(hidden)
	}
	chunks := s.chunks(records)
	if err := s.storeWithin(ctx, s.veil.Add(chunks)); err != nil {
		return 0, err
	}
	return s.durable(), nil
}

// durable is the offset of the agent's output up to which all is stored.
func (s *sink) durable() uint64 {
	if s.veil == nil {
		return s.taken
	}
	return s.taken - uint64(s.veil.Held())
}

// Settle stores what is held back because it may be the beginning of a secret.
func (s *sink) Settle(ctx context.Context) (uint64, error) {
	if err := s.storeWithin(ctx, s.rest()); err != nil {
		return 0, err
	}
	return s.durable(), nil
}

// rest takes what is held back.
func (s *sink) rest() []cronium.Chunk {
	if s.veil == nil {
		return nil
	}
	return s.veil.Rest()
}

func (s *sink) storeWithin(ctx context.Context, chunks []cronium.Chunk) error {
	chunks, dropped := s.within(chunks)
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
	hidden, err := s.secrets(ctx)
	if err != nil {
		return err
	}
	if s.veil == nil {
		s.veil = secrets.NewVeil(hidden)
	}
	chunks := append(s.veil.Add(s.chunks(records)), s.veil.Rest()...)
	return s.keepLast(ctx, chunks)
}

func (s *sink) keepLast(ctx context.Context, chunks []cronium.Chunk) error {
	size := 0
	for _, c := range chunks {
		size += len(c.Data)
	}
	if size > lastBytes {
		return s.storeWithin(ctx, chunks)
	}
	var dropped int64
	s.last, dropped = s.within(chunks)
	s.dropped += dropped
	return nil
}

// chunks are records as they are stored.
func (s *sink) chunks(records []*proto.Output) []cronium.Chunk {
	chunks := make([]cronium.Chunk, 0, len(records))
	for _, o := range records {
		stream := cronium.Stdout
		if o.GetStream() == proto.Stream_STREAM_STDERR {
			stream = cronium.Stderr
		}
		at := min(microseconds(o.GetAtUs()), s.content.Limits.Timeout()+cleanupTime)
		chunks = append(chunks, cronium.Chunk{At: at, Stream: stream, Data: o.GetData()})
		s.taken += uint64(len(o.GetData()))
	}
	return chunks
}

// within gives as much of the chunks as the event's limit leaves room for, and
// how many bytes that leaves out. An agent keeps to the limit itself, but in a
// container it runs as the script's user, which may put itself in its place.
func (s *sink) within(chunks []cronium.Chunk) (kept []cronium.Chunk, dropped int64) {
	room := max(int64(s.content.Limits.OutputMiB)<<20-s.stored.Bytes, 0)
	for _, c := range chunks {
		keep := min(int64(len(c.Data)), room)
		room -= keep
		dropped += int64(len(c.Data)) - keep
		if keep == 0 {
			continue
		}
		c.Data = c.Data[:keep]
		kept = append(kept, c)
	}
	return kept, dropped
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
