package live

import (
	"context"
	"fmt"

	"cronium.dev/cronium"
	"cronium.dev/output"
)

// Follower is one viewer of an execution's output. It holds nothing but its
// place: a viewer that is slow falls behind alone, and costs no memory.
type Follower struct {
	tail *tail
	at   output.Position
	left bool
}

// Close ends the following. Closing twice does nothing.
func (f *Follower) Close() {
	if !f.left {
		f.left = true
		f.tail.leave()
	}
}

// Execution is the execution as it was last read; after io.EOF, its final state.
func (f *Follower) Execution() *cronium.Execution {
	f.tail.mu.Lock()
	defer f.tail.mu.Unlock()
	return f.tail.known
}

// Behind is how many bytes of output are known that the follower has not had.
func (f *Follower) Behind() int64 {
	f.tail.mu.Lock()
	defer f.tail.mu.Unlock()
	return f.tail.end.Offset - f.at.Offset
}

// Skip leaves out what the follower is behind and returns where it goes on.
func (f *Follower) Skip() output.Position {
	f.tail.mu.Lock()
	defer f.tail.mu.Unlock()
	f.at = f.tail.end
	return f.at
}

// Next waits for the piece that follows the last one, without gap or repeat.
// It returns io.EOF when the execution has ended and everything was returned.
func (f *Follower) Next(ctx context.Context) (*Piece, error) {
	for {
		piece, until, changed, ended := f.look()
		switch {
		case piece != nil:
			f.at = piece.To
			return piece, nil
		case until > f.at.Offset:
			piece, err := f.catchUp(ctx, until)
			if err != nil {
				return nil, err
			}
			f.at = piece.To
			return piece, nil
		case ended != nil:
			return nil, ended
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// look finds the shared piece that begins at the follower's place. Where there
// is none, until says up to where the follower must read by itself: the next
// border of a piece, so that it shares from there on.
func (f *Follower) look() (piece *Piece, until int64, changed <-chan struct{}, ended error) {
	t := f.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	until = t.end.Offset
	for i := len(t.pieces) - 1; i >= 0; i-- {
		switch from := t.pieces[i].From.Offset; {
		case from == f.at.Offset:
			return t.pieces[i], 0, nil, nil
		case from > f.at.Offset:
			until = from
		}
	}
	return nil, until, t.changed, t.ended
}

// catchUp reads from the database, not beyond the offset until.
func (f *Follower) catchUp(ctx context.Context, until int64) (*Piece, error) {
	t := f.tail
	chunks, err := t.source.OutputAfter(ctx, t.workspace, t.execution, f.at.Line, f.at.Offset, readBytes)
	if err != nil {
		return nil, err
	}
	if len(chunks) > 0 {
		f.at.Line = chunks[0].FirstLine // a viewer may have named another
	}
	chunks = clip(chunks, until)
	reached := f.at.Offset
	for _, c := range chunks {
		reached += int64(len(c.Data))
	}
	records, to := output.Decode(f.at, chunks, reached == until)
	if to == f.at {
		return nil, fmt.Errorf("output of execution %s: nothing is stored at %s, and more was read before", t.execution, f.at)
	}
	return &Piece{From: f.at, To: to, Records: records}, nil
}
