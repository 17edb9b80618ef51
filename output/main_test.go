package output_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/output"
	"cronium.dev/store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// bench is a database with one event, of which tests make runs.
type bench struct {
	*store.Store
	workspace, event, process cronium.ID
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.Open(t.Context(), testenv.Database(t, store.Migrate))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	b := &bench{Store: s, workspace: cronium.NewID(), process: cronium.NewID()}
	if _, err := s.WorkerPool().Exec(t.Context(), `INSERT INTO workspaces (id, slug, name) VALUES ($1, 'w', 'w')`, b.workspace); err != nil {
		t.Fatal(err)
	}
	e := &cronium.Event{Name: "e", Type: cronium.EventBash, Status: cronium.EventActive}
	if err := s.CreateEvent(t.Context(), b.workspace, e, cronium.NewContent(cronium.EventBash), "", store.Author{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	b.event = e.ID
	if err := s.RenewLease(t.Context(), store.Process{ID: b.process, Hostname: "h", PID: 1, Version: "v"}); err != nil {
		t.Fatal(err)
	}
	return b
}

// run is an execution that has written chunks, each stored alone.
func (b *bench) run(t *testing.T, chunks []cronium.Chunk, ended bool) *cronium.Execution {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	j := &cronium.Job{ID: cronium.NewID(), WorkspaceID: b.workspace, EventID: b.event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := b.Enqueue(ctx, j, nil, func(context.Context, pgx.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	id := cronium.NewID()
	if err := b.RegainLease(ctx, b.process); err != nil { // nobody renews it
		t.Fatal(err)
	}
	if _, err := b.Claim(ctx, store.Claim{JobID: j.ID, ExecutionID: id, Owner: b.process, Target: cronium.TargetContainer}, false); err != nil {
		t.Fatal(err)
	}
	var stored store.Appended
	for _, c := range chunks {
		var err error
		if stored, err = b.AppendOutput(ctx, id, b.process, stored, []cronium.Chunk{c}); err != nil {
			t.Fatal(err)
		}
	}
	if ended {
		done := store.Finish{ExecutionID: id, JobID: j.ID, Owner: b.process, Status: cronium.ExecutionSuccess}
		if _, err := b.Finish(ctx, done, func(context.Context, pgx.Tx, cronium.Job, time.Time) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	e, err := b.Execution(ctx, b.workspace, id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drawChunks draws what a script may write: lines cut anywhere, two streams
// interleaved, text and bytes that are no text.
func drawChunks(r *rapid.T) []cronium.Chunk {
	piece := rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom([]rune("ab\n\x00é🙂\r")), 1, 8, -1),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte{'\n', 0xc3, 0xa9, 0xf0, 0x9f, 0x99, 0x82, 0xff, 'x'}), 1, 6), func(b []byte) string { return string(b) }),
		rapid.Just(strings.Repeat("x", output.MaxLineText-2)),
	)
	pieces := rapid.SliceOfN(piece, 1, 12).Draw(r, "pieces")
	var chunks []cronium.Chunk
	for i, text := range pieces {
		chunks = append(chunks, cronium.Chunk{
			Stream: rapid.SampledFrom([]cronium.Stream{cronium.Stdout, cronium.Stderr}).Draw(r, "stream"),
			Data:   []byte(text), At: time.Duration(i) * time.Millisecond,
		})
	}
	return chunks
}

func joined(chunks []cronium.Chunk) []byte {
	var all []byte
	for _, c := range chunks {
		all = append(all, c.Data...)
	}
	return all
}

// model is what the lines of chunks are, told in the plainest way.
func model(chunks []cronium.Chunk) []output.Line {
	var lines []output.Line
	type tagged struct {
		chunk cronium.Chunk
		b     byte
	}
	var current []tagged
	finish := func(partial bool) {
		line := output.Line{N: int64(len(lines)), AtMS: float64(current[0].chunk.At.Milliseconds()), Stream: output.StreamName(current[0].chunk.Stream), Partial: partial}
		if !partial {
			current = current[:len(current)-1]
		}
		size := len(current)
		if size > output.MaxLineText {
			current = current[:output.MaxLineText]
		}
		var run []byte
		for i, c := range current {
			if i > 0 && c.chunk.Stream != current[i-1].chunk.Stream {
				line.Text += output.Text(run)
				run = nil
			}
			run = append(run, c.b)
		}
		if cut := size - len(current); cut > 0 {
			// The last character is shown whole or not at all.
			for n := 1; n <= 3 && n <= len(run); n++ {
				if tail := run[len(run)-n:]; bytes.IndexByte([]byte{0xc3, 0xf0}, tail[0]) >= 0 && (tail[0] == 0xc3 && n < 2 || tail[0] == 0xf0 && n < 4 && validPrefix(tail)) {
					run, cut = run[:len(run)-n], cut+n
					break
				}
			}
			line.Cut = int64(cut)
		}
		line.Text += output.Text(run)
		lines = append(lines, line)
		current = nil
	}
	for _, c := range chunks {
		for _, b := range c.Data {
			current = append(current, tagged{c, b})
			if b == '\n' {
				finish(false)
			}
		}
	}
	if len(current) > 0 {
		finish(true)
	}
	return lines
}

func validPrefix(tail []byte) bool { return !utf8.FullRune(tail) }
