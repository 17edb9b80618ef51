package store

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"cronium.dev/cronium"
)

// startOf is the offset of a line's first byte, -1 if there is no such line.
func startOf(all []byte, line int64) int64 {
	at := int64(0)
	for ; line > 0; line-- {
		i := bytes.IndexByte(all[at:], '\n')
		if i < 0 {
			return -1
		}
		at += int64(i) + 1
	}
	return at
}

// Whatever the blocks: the line asked for is read from its first byte on, and
// an offset is gone on with exactly.
func TestOutputIsFoundByLineAndByOffset(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	rapid.Check(t, func(r *rapid.T) {
		execution := f.claim(t, f.enqueue(t))
		var all []byte
		var stored Appended
		pieces := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("ab\n")), 1, 6, -1), 1, 30).Draw(r, "pieces")
		for i, piece := range pieces {
			chunk := cronium.Chunk{Stream: cronium.Stream(1 + i%2), Data: []byte(piece), At: time.Duration(i) * time.Millisecond}
			var err error
			if stored, err = f.AppendOutput(f.ctx, execution, f.process, stored, []cronium.Chunk{chunk}); err != nil {
				t.Fatal(err)
			}
			all = append(all, piece...)
		}
		line := rapid.Int64Range(0, stored.Lines+1).Draw(r, "line")
		chunks, err := f.Output(f.ctx, f.workspace, execution, line, 1<<20)
		if err != nil || len(chunks) == 0 {
			t.Fatalf("%d chunks, %v", len(chunks), err)
		}
		if start := startOf(all, line); start >= 0 && chunks[0].Offset > start {
			t.Fatalf("line %d of %q begins at %d, read from %d", line, all, start, chunks[0].Offset)
		}
		offset := rapid.Int64Range(0, stored.Bytes).Draw(r, "offset")
		known := rapid.Int64Range(0, int64(bytes.Count(all[:offset], []byte{'\n'}))).Draw(r, "known line")
		chunks, err = f.OutputAfter(f.ctx, f.workspace, execution, known, offset, 1<<20)
		var rest []byte
		for _, c := range chunks {
			if want := int64(bytes.Count(all[:c.Offset], []byte{'\n'})); c.FirstLine != want {
				t.Fatalf("chunk at %d has line %d, want %d", c.Offset, c.FirstLine, want)
			}
			rest = append(rest, c.Data...)
		}
		if err != nil || !bytes.Equal(rest, all[offset:]) {
			t.Fatalf("after %d: %q, want %q, %v", offset, rest, all[offset:], err)
		}
	})
}

// A line of many blocks is not read from its beginning for what follows it.
func TestWhatFollowsALongLineIsReadAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	execution := f.claim(t, f.enqueue(t))
	var stored Appended
	for _, text := range []string{strings.Repeat("x", 2<<20), "end\nlast\n"} {
		var err error
		if stored, err = f.AppendOutput(f.ctx, execution, f.process, stored, []cronium.Chunk{{Stream: 1, Data: []byte(text)}}); err != nil {
			t.Fatal(err)
		}
	}
	chunks, err := f.Output(f.ctx, f.workspace, execution, 1, 1<<20)
	if err != nil || len(chunks) == 0 || chunks[0].Offset < 1<<20 {
		t.Fatalf("read from %d, %v", chunks[0].Offset, err)
	}
	f.exec(t, `ANALYZE output`)
	var plan []string
	err = f.read(f.ctx, f.workspace, func(tx pgx.Tx) error {
		if _, err := tx.Exec(f.ctx, `SET LOCAL enable_seqscan = off`); err != nil {
			return err
		}
		rows, err := tx.Query(f.ctx, `EXPLAIN SELECT start FROM output WHERE execution_id = $1 AND (first_line, start) >= (
			SELECT coalesce(max(first_line), 0), coalesce(max(start), 0) FROM (
				SELECT first_line, start FROM output WHERE execution_id = $1 AND first_line <= 1 AND start <= 5
				ORDER BY first_line DESC, start DESC LIMIT 1) f) ORDER BY first_line, start LIMIT 5`, execution)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	text := strings.Join(plan, "\n")
	if err != nil || !strings.Contains(text, "ROW(") || strings.Contains(text, "Filter: (ROW") {
		t.Errorf("%v\n%s", err, text)
	}
}
