package output_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cronium.dev/cronium"
	"cronium.dev/output"
)

// Lines are the same however the output was cut into chunks and pages.
func TestPagesOfLinesJoinToTheWholeOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(r *rapid.T) {
		chunks := drawChunks(r)
		e := b.run(t, chunks, false)
		want := model(chunks)
		reader := output.NewReader(b, e)
		from := rapid.Int64Range(0, int64(len(want))).Draw(r, "from")
		limit := rapid.IntRange(1, 4).Draw(r, "limit")
		var got []output.Line
		for next := from; ; {
			page, err := reader.Page(context.Background(), next, limit)
			if err != nil {
				t.Fatal(err)
			}
			if page.TotalLines != int64(len(want)) || page.Bytes != int64(len(joined(chunks))) || page.Done {
				t.Fatalf("%+v, want %d lines", page, len(want))
			}
			got = append(got, page.Lines...)
			if page.NextLine == next {
				break
			}
			next = page.NextLine
		}
		// A last line without an end is given again until it has one.
		got = slices.CompactFunc(got, func(a, b output.Line) bool { return a.N == b.N })
		if diff := cmp.Diff(want[from:], got, cmp.Transformer("", func(l []output.Line) []output.Line { return l })); diff != "" && len(want[from:])+len(got) > 0 {
			t.Fatalf("chunks %q from %d: %s", joined(chunks), from, diff)
		}
	})
}

// Records read piece by piece, with a break anywhere, give the same text as
// those read at once, and no character is torn.
func TestDecodingIsTheSameWhereverItIsBroken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		chunks := drawChunks(r)
		offset, line := int64(0), int64(0)
		for i := range chunks {
			chunks[i].Offset, chunks[i].FirstLine = offset, line
			offset += int64(len(chunks[i].Data))
			line += int64(bytes.Count(chunks[i].Data, []byte{'\n'}))
		}
		whole, end := output.Decode(output.Position{}, chunks, true)
		if end.Offset != offset || end.Line != line {
			t.Fatalf("ends at %s, want %d:%d", end, offset, line)
		}
		cut := rapid.IntRange(0, len(chunks)).Draw(r, "cut")
		first, p := output.Decode(output.Position{}, chunks[:cut], false)
		var rest []cronium.Chunk
		for _, c := range chunks {
			if skip := p.Offset - c.Offset; skip < int64(len(c.Data)) {
				c.Data = c.Data[max(skip, 0):]
				rest = append(rest, c)
			}
		}
		second, _ := output.Decode(p, rest, true)
		if got, want := text(append(first, second...)), text(whole); got != want {
			t.Fatalf("broken after chunk %d: %q, want %q", cut, got, want)
		}
	})
}

func text(records []output.Record) string {
	var b strings.Builder
	last := ""
	for _, r := range records {
		if r.Stream != last {
			b.WriteString("[" + r.Stream + "]")
			last = r.Stream
		}
		b.WriteString(r.Text)
	}
	return b.String()
}

func TestTheRawCopyIsExactForBinaryOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	random := rand.NewChaCha8([32]byte{1})
	var chunks []cronium.Chunk
	for i := range 40 {
		data := make([]byte, 40_000)
		random.Read(data)
		chunks = append(chunks, cronium.Chunk{Stream: cronium.Stream(1 + i%2), Data: data})
	}
	e := b.run(t, chunks, true)
	for _, compacted := range []bool{false, true} {
		if compacted {
			compact(t, b)
		}
		for _, stream := range []cronium.Stream{0, cronium.Stdout, cronium.Stderr} {
			want := joined(slices.DeleteFunc(slices.Clone(chunks), func(c cronium.Chunk) bool { return stream != 0 && c.Stream != stream }))
			var got bytes.Buffer
			if err := output.NewReader(b, e).Copy(t.Context(), &got, stream); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("stream %d: %d bytes, want %d, %v", stream, got.Len(), len(want), err)
			}
		}
	}
}

// compact waits until the executions that have ended are compacted, which is
// done a second after their beginning at the earliest.
func compact(t *testing.T, b *bench) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		n, err := b.CompactOutput(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("nothing was compacted")
}

func TestALineOfMegabytesIsCutAndNotRead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	long := strings.Repeat("é", 3<<20)
	chunks := []cronium.Chunk{{Stream: 1, Data: []byte("first\n")}}
	for piece := range slices.Chunk([]byte(long), 100_001) {
		chunks = append(chunks, cronium.Chunk{Stream: 1, Data: piece})
	}
	e := b.run(t, append(chunks, cronium.Chunk{Stream: 2, Data: []byte("end\nlast")}), true)
	counting := &counter{Source: b}
	page, err := output.NewReader(counting, e).Page(t.Context(), 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Lines) != 2 || page.TotalLines != 3 || page.NextLine != 3 || !page.Done {
		t.Fatalf("%d lines, %+v", len(page.Lines), page.TotalLines)
	}
	if l := page.Lines[0]; l.Text != strings.Repeat("é", output.MaxLineText/2) || l.Cut != int64(len(long)+3-output.MaxLineText) || l.Partial {
		t.Errorf("%d bytes, cut %d", len(l.Text), l.Cut)
	}
	if l := page.Lines[1]; l.Text != "last" || l.Stream != "stderr" || l.Partial {
		t.Errorf("%+v", l)
	}
	if counting.bytes > 2<<20 {
		t.Errorf("%d bytes were read for one page", counting.bytes)
	}
}

// counter counts what is read from the store.
type counter struct {
	output.Source
	bytes int
}

func (c *counter) Output(ctx context.Context, workspace, execution cronium.ID, line int64, most int) ([]cronium.Chunk, error) {
	chunks, err := c.Source.Output(ctx, workspace, execution, line, most)
	c.bytes += len(joined(chunks))
	return chunks, err
}

func (c *counter) OutputAfter(ctx context.Context, workspace, execution cronium.ID, line, offset int64, most int) ([]cronium.Chunk, error) {
	chunks, err := c.Source.OutputAfter(ctx, workspace, execution, line, offset, most)
	c.bytes += len(joined(chunks))
	return chunks, err
}

func TestAnAnswerIsOfTheMomentOfTheLookUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.run(t, []cronium.Chunk{{Stream: 1, Data: []byte("one\ntwo\nthree\n")}}, true)
	e.OutputBytes, e.OutputLines, e.Status = 6, 1, cronium.ExecutionRunning
	page, err := output.NewReader(b, e).Page(t.Context(), 0, 10)
	if err != nil || len(page.Lines) != 2 || page.Lines[1].Text != "tw" || !page.Lines[1].Partial || page.NextLine != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	var raw bytes.Buffer
	if err := output.NewReader(b, e).Copy(t.Context(), &raw, 0); err != nil || raw.String() != "one\ntw" {
		t.Errorf("%q, %v", raw.String(), err)
	}
}

func TestSearchFindsWhatIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(r *rapid.T) {
		chunks := drawChunks(r)
		e := b.run(t, chunks, true)
		q := output.Query{
			Text:       rapid.SampledFrom([]string{"a", "ab", "é", "🙂", "B", "xa", "xxxx", "É"}).Draw(r, "text"),
			IgnoreCase: rapid.Bool().Draw(r, "ignore case"), Limit: rapid.IntRange(1, 3).Draw(r, "limit"),
		}
		var want []int64
		for n, line := range bytes.Split(joined(chunks), []byte{'\n'}) {
			s, t := string(line), q.Text
			if q.IgnoreCase {
				s, t = strings.ToLower(s), strings.ToLower(t)
			}
			if strings.Contains(s, t) {
				want = append(want, int64(n))
			}
		}
		var got []int64
		for {
			found, err := output.NewReader(b, e).Search(context.Background(), q)
			if err != nil || len(found.Lines) > q.Limit {
				t.Fatal(found, err)
			}
			got = append(got, found.Lines...)
			if found.NextLine == nil {
				break
			}
			q.From = *found.NextLine
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: %v, want %v", q.Text, joined(chunks), got, want)
		}
	})
}

func TestSearchSeesThroughColoursAndAcrossBlocks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	e := b.run(t, []cronium.Chunk{
		{Stream: 1, Data: []byte("\x1b[31mer\x1b[0mror\n\x1b]8;;http://x\x1b\\link\x1b]8;;\x07ed\nplain\x1b[\nerr")},
		{Stream: 1, Data: []byte("or\n" + strings.Repeat("é", 1<<20) + "NEED")},
		{Stream: 1, Data: []byte("le" + strings.Repeat("y", 2<<20) + "\nneedle at last")},
	}, true)
	for query, want := range map[string]string{"error": "[0 3]", "linked": "[1]", "plain": "[2]", "needle": "[4 5]", "31m": "[]", "http": "[]"} {
		found, err := output.NewReader(b, e).Search(t.Context(), output.Query{Text: query, IgnoreCase: true})
		if err != nil || fmt.Sprint(found.Lines) != want || found.NextLine != nil {
			t.Errorf("%s: %+v, %v, want %s", query, found, err, want)
		}
	}
}
