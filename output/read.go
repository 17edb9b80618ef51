package output

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"cronium.dev/cronium"
)

// readBytes is about how much is asked of the database at once.
const readBytes = 256 << 10

// Source is where output is stored. Output reads from the block in which a line
// begins, OutputAfter after an offset; both until about maxBytes are read.
type Source interface {
	Output(ctx context.Context, workspace, execution cronium.ID, fromLine int64, maxBytes int) ([]cronium.Chunk, error)
	OutputAfter(ctx context.Context, workspace, execution cronium.ID, line, offset int64, maxBytes int) ([]cronium.Chunk, error)
}

// Reader reads the output that an execution had when it was looked up.
type Reader struct {
	source    Source
	execution *cronium.Execution
	piece     int // about how many bytes are asked for at once
}

// NewReader makes a Reader of an execution.
func NewReader(source Source, execution *cronium.Execution) *Reader {
	return &Reader{source, execution, readBytes}
}

// after reads chunks from a position on, none at the end.
func (r *Reader) after(ctx context.Context, p Position) ([]cronium.Chunk, error) {
	if p.Offset >= r.execution.OutputBytes {
		return nil, nil
	}
	chunks, err := r.source.OutputAfter(ctx, r.execution.WorkspaceID, r.execution.ID, p.Line, p.Offset, r.piece)
	if err != nil {
		return nil, err
	}
	chunks = r.clip(chunks)
	if len(chunks) == 0 || chunks[0].Offset != p.Offset {
		return nil, fmt.Errorf("output of execution %s: nothing is stored at %s of %d bytes", r.execution.ID, p, r.execution.OutputBytes)
	}
	return chunks, nil
}

// clip drops what was stored after the execution was looked up.
func (r *Reader) clip(chunks []cronium.Chunk) []cronium.Chunk {
	for i := range chunks {
		c := &chunks[i]
		if over := c.Offset + int64(len(c.Data)) - r.execution.OutputBytes; over >= int64(len(c.Data)) {
			return chunks[:i]
		} else if over > 0 {
			c.Data = c.Data[:int64(len(c.Data))-over]
		}
	}
	return chunks
}

// Find is where a line begins, and what was read with it: chunks from there on.
// A line that does not exist begins at the end.
func (r *Reader) Find(ctx context.Context, line int64) (Position, []cronium.Chunk, error) {
	if line <= 0 {
		chunks, err := r.after(ctx, Position{})
		return Position{}, chunks, err
	}
	end := Position{r.execution.OutputBytes, r.execution.OutputLines}
	if line > end.Line {
		return end, nil, nil
	}
	chunks, err := r.source.Output(ctx, r.execution.WorkspaceID, r.execution.ID, line, r.piece)
	if err != nil {
		return end, nil, err
	}
	chunks = r.clip(chunks)
	for i, c := range chunks {
		feeds := line - c.FirstLine // that end the lines before it, in this chunk
		at := nthFeed(c.Data, feeds)
		if feeds <= 0 || at < 0 {
			continue
		}
		chunks = chunks[i:]
		chunks[0].Data, chunks[0].Offset, chunks[0].FirstLine = c.Data[at+1:], c.Offset+int64(at)+1, line
		start := Position{chunks[0].Offset, line}
		if len(chunks[0].Data) == 0 {
			chunks = chunks[1:]
		}
		return start, chunks, nil
	}
	return end, nil, fmt.Errorf("output of execution %s: line %d of %d is not where it should be", r.execution.ID, line, end.Line)
}

// nthFeed is the index of the nth line feed, from 1; -1 if there are fewer.
func nthFeed(data []byte, n int64) int {
	at := -1
	for ; n > 0; n-- {
		i := bytes.IndexByte(data[at+1:], '\n')
		if i < 0 {
			return -1
		}
		at += i + 1
	}
	return at
}

// TotalLines counts the lines, also a last one without a line feed.
func (r *Reader) TotalLines(ctx context.Context) (int64, error) {
	e := r.execution
	if e.OutputBytes == 0 {
		return 0, nil
	}
	chunks, err := r.after(ctx, Position{e.OutputBytes - 1, max(e.OutputLines-1, 0)})
	if err != nil {
		return 0, err
	}
	if chunks[0].Data[0] == '\n' {
		return e.OutputLines, nil
	}
	return e.OutputLines + 1, nil
}

// Copy writes the bytes as they are, of one stream or, with 0, of both.
func (r *Reader) Copy(ctx context.Context, w io.Writer, stream cronium.Stream) error {
	var p Position
	for {
		chunks, err := r.after(ctx, p)
		if err != nil || len(chunks) == 0 {
			return err
		}
		for _, c := range chunks {
			if stream == 0 || c.Stream == stream {
				if _, err := w.Write(c.Data); err != nil {
					return err
				}
			}
		}
		p = endOf(chunks)
	}
}

// endOf is the position after chunks, of which there is at least one.
func endOf(chunks []cronium.Chunk) Position {
	c := chunks[len(chunks)-1]
	return Position{c.Offset + int64(len(c.Data)), c.FirstLine + int64(bytes.Count(c.Data, []byte{'\n'}))}
}
