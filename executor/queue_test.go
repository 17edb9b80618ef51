package executor

import (
	"context"
	"errors"
	"io"
	"testing"

	"cronium.dev/agent/proto"
)

func record(n int) *proto.AttachResponse {
	return &proto.AttachResponse{Part: &proto.AttachResponse_Output{Output: &proto.Output{Data: make([]byte, n)}}}
}

func TestQueueGivesAllAtOnceAndThenTheReason(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for range 3 {
		if err := q.put(t.Context(), record(10)); err != nil {
			t.Fatal(err)
		}
	}
	q.end(io.EOF)
	got, err := q.take(t.Context(), nil)
	if len(got) != 3 || err != nil {
		t.Fatalf("took %d messages and %v, want 3 and no error", len(got), err)
	}
	if _, err := q.take(t.Context(), nil); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last message: %v, want the reason of the end", err)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newQueue()
	n := 0
	for ; ; n++ {
		full, cancel := context.WithCancel(t.Context())
		cancel() // put succeeds without waiting or not at all
		if q.put(full, record(32<<10)) != nil {
			break
		}
	}
	if most := queueBytes/(32<<10) + 1; n == 0 || n > most {
		t.Fatalf("the queue took %d records of 32 KiB, want at most %d", n, most)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- q.put(t.Context(), record(1)) }()
	if got, err := q.take(t.Context(), nil); len(got) < n || err != nil {
		t.Fatalf("took %d messages and %v, want %d", len(got), err, n)
	}
	if err := <-waiting; err != nil {
		t.Fatalf("put after there was room again: %v", err)
	}
}

func TestRepeatedOutputIsCutAndGapsAreRefused(t *testing.T) {
	t.Parallel()
	at := func(offset uint64) *proto.Output { return &proto.Output{Offset: offset, Data: []byte("abcdef")} }
	if o, err := follow(at(10), 10); err != nil || string(o.GetData()) != "abcdef" {
		t.Errorf("what follows: %q, %v", o.GetData(), err)
	}
	if o, err := follow(at(6), 10); err != nil || string(o.GetData()) != "ef" || o.GetOffset() != 10 {
		t.Errorf("what overlaps: %q at %d, %v", o.GetData(), o.GetOffset(), err)
	}
	if o, err := follow(at(4), 10); err != nil || o != nil {
		t.Errorf("what was stored already: %v, %v", o, err)
	}
	if _, err := follow(at(11), 10); !errors.Is(err, ErrGone) {
		t.Errorf("a gap: %v, want ErrGone", err)
	}
}
