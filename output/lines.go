package output

import (
	"bytes"
	"context"
	"strings"

	"cronium.dev/cronium"
)

// Bounds of one page of lines.
const (
	MaxLines    = 5000
	MaxLineText = 16 << 10 // bytes of one line that are shown
	maxPageText = 2 << 20  // bytes of all lines, about
)

// Line is one line of output.
type Line struct {
	N       int64   `json:"n" doc:"Number of the line, from 0"`
	AtMS    float64 `json:"at_ms" doc:"When its first byte was written, in milliseconds since the execution's start"`
	Stream  string  `json:"stream" enum:"stdout,stderr" doc:"Of its first byte"`
	Text    string  `json:"text" doc:"Without the line feed"`
	Cut     int64   `json:"cut,omitempty" doc:"Bytes of the line beyond the 16 KiB that are shown"`
	Partial bool    `json:"partial,omitempty" doc:"The line has no end yet"`
}

// Page is a run of lines of one execution's output.
type Page struct {
	Lines      []Line `json:"lines"`
	NextLine   int64  `json:"next_line" doc:"Where the next page begins: a line that has no end yet is given again"`
	TotalLines int64  `json:"total_lines" doc:"Lines stored so far"`
	Bytes      int64  `json:"bytes" doc:"Bytes stored so far, of both streams"`
	Dropped    int64  `json:"dropped" doc:"Bytes beyond the event's output limit, which were not stored"`
	Done       bool   `json:"done" doc:"The execution has ended; no more output comes"`
}

// Page reads at most limit lines (1 to MaxLines) from a line on; fewer where
// they are long.
func (r *Reader) Page(ctx context.Context, from int64, limit int) (*Page, error) {
	from = max(from, 0)
	page := &Page{Lines: []Line{}, NextLine: from, Bytes: r.execution.OutputBytes, Dropped: r.execution.OutputDropped, Done: r.execution.Status.Final()}
	total, err := r.TotalLines(ctx)
	if err != nil {
		return nil, err
	}
	page.TotalLines = total
	if from >= total {
		return page, nil
	}
	lines := lineReader{reader: r}
	if lines.at, lines.chunks, err = r.Find(ctx, from); err != nil {
		return nil, err
	}
	for size := 0; len(page.Lines) < min(limit, MaxLines) && size < maxPageText; {
		line, err := lines.next(ctx)
		if err != nil {
			return nil, err
		}
		if line == nil {
			break
		}
		page.Lines = append(page.Lines, *line)
		size += len(line.Text)
		if !line.Partial {
			page.NextLine = line.N + 1
		}
	}
	return page, nil
}

// lineReader puts lines together from chunks.
type lineReader struct {
	reader *Reader
	at     Position        // of what comes next
	chunks []cronium.Chunk // read and not yet used, from at on
}

// fill makes sure that there is a chunk, unless the output has ended.
func (l *lineReader) fill(ctx context.Context) (more bool, err error) {
	if len(l.chunks) == 0 {
		l.chunks, err = l.reader.after(ctx, l.at)
	}
	return len(l.chunks) > 0, err
}

// take uses n bytes of the first chunk.
func (l *lineReader) take(n int) []byte {
	c := &l.chunks[0]
	taken := c.Data[:n]
	l.at.Offset += int64(n)
	c.Data, c.Offset = c.Data[n:], c.Offset+int64(n)
	if len(c.Data) == 0 {
		l.chunks = l.chunks[1:]
	}
	return taken
}

// next reads one line; nil at the end.
func (l *lineReader) next(ctx context.Context) (*Line, error) {
	more, err := l.fill(ctx)
	if err != nil || !more {
		return nil, err
	}
	start := l.at
	text := lineText{}
	line := &Line{N: start.Line, AtMS: milliseconds(l.chunks[0].At), Stream: StreamName(l.chunks[0].Stream)}
	for {
		more, err := l.fill(ctx)
		if err != nil {
			return nil, err
		}
		if !more {
			line.Partial = !l.reader.execution.Status.Final()
			break
		}
		data := l.chunks[0].Data
		stream := l.chunks[0].Stream
		if feed := bytes.IndexByte(data, '\n'); feed >= 0 {
			text.add(stream, l.take(feed + 1)[:feed])
			l.at.Line++
			l.chunksLine()
			line.Text, line.Cut = text.end(l.at.Offset - 1 - start.Offset)
			return line, nil
		}
		text.add(stream, l.take(len(data)))
		if text.full() {
			if err := l.skip(ctx); err != nil {
				return nil, err
			}
			ended := l.at.Line > start.Line
			if ended {
				line.Text, line.Cut = text.end(l.at.Offset - 1 - start.Offset)
				return line, nil
			}
			line.Partial = !l.reader.execution.Status.Final()
			break
		}
	}
	line.Text, line.Cut = text.end(l.at.Offset - start.Offset)
	return line, nil
}

// chunksLine keeps the first chunk's line number true after a line was taken
// from it.
func (l *lineReader) chunksLine() {
	if len(l.chunks) > 0 {
		l.chunks[0].FirstLine = l.at.Line
	}
}

// skip goes to the end of the line without reading what lies between, unless it
// is at hand: a line may be gigabytes long.
func (l *lineReader) skip(ctx context.Context) error {
	for len(l.chunks) > 0 {
		data := l.chunks[0].Data
		if feed := bytes.IndexByte(data, '\n'); feed >= 0 {
			l.take(feed + 1)
			l.at.Line++
			l.chunksLine()
			return nil
		}
		l.take(len(data))
	}
	var err error
	l.at, l.chunks, err = l.reader.Find(ctx, l.at.Line+1)
	return err
}

// lineText gathers the text of a line, up to MaxLineText bytes of it.
type lineText struct {
	text   strings.Builder
	run    []byte // of one stream, not yet in text
	stream cronium.Stream
	shown  int64
}

func (t *lineText) full() bool { return t.shown >= MaxLineText }

func (t *lineText) add(stream cronium.Stream, data []byte) {
	if stream != t.stream {
		t.flush()
		t.stream = stream
	}
	data = data[:min(int64(len(data)), MaxLineText-t.shown)]
	t.run = append(t.run, data...)
	t.shown += int64(len(data))
}

func (t *lineText) flush() {
	t.text.WriteString(Text(t.run))
	t.run = t.run[:0]
}

// end returns the text and how many of the line's bytes are not in it. A cut
// never goes through a character.
func (t *lineText) end(size int64) (string, int64) {
	if t.shown < size {
		whole := len(t.run) - incomplete(t.run)
		t.shown -= int64(len(t.run) - whole)
		t.run = t.run[:whole]
	}
	t.flush()
	return t.text.String(), size - t.shown
}
