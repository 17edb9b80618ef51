package live_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"cronium.dev/cronium"
	"cronium.dev/internal/testenv"
	"cronium.dev/live"
	"cronium.dev/output"
	"cronium.dev/store"
)

// scene is a database with one running execution and a server process that
// follows it.
type scene struct {
	*store.Store
	hub                             *live.Hub
	tails                           *live.Tails
	workspace, process, event, exec cronium.ID
	job                             cronium.ID
	stored                          store.Appended
}

func newScene(t *testing.T) *scene {
	t.Helper()
	url := testenv.Database(t, store.Migrate)
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c := &scene{Store: s, workspace: cronium.NewID(), process: cronium.NewID()}
	if _, err := s.WorkerPool().Exec(t.Context(), `INSERT INTO workspaces (id, slug, name) VALUES ($1, 'w', 'w')`, c.workspace); err != nil {
		t.Fatal(err)
	}
	e := &cronium.Event{Name: "e", Type: cronium.EventBash, Status: cronium.EventActive}
	if err := s.CreateEvent(t.Context(), c.workspace, e, cronium.NewContent(cronium.EventBash), "", store.Author{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	c.event = e.ID
	if err := s.RenewLease(t.Context(), store.Process{ID: c.process, Hostname: "h", PID: 1, Version: "v"}); err != nil {
		t.Fatal(err)
	}
	c.hub = live.New(s.Pool(), slog.New(slog.DiscardHandler))
	c.tails = live.NewTails(c.hub, s, slog.New(slog.DiscardHandler))
	t.Cleanup(c.tails.Close)
	c.begin(t)
	return c
}

// begin starts a new execution.
func (c *scene) begin(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c.job, c.exec, c.stored = cronium.NewID(), cronium.NewID(), store.Appended{}
	j := &cronium.Job{ID: c.job, WorkspaceID: c.workspace, EventID: c.event, Version: 1, Priority: cronium.PriorityNormal, Trigger: cronium.TriggerManual}
	if _, err := c.Enqueue(ctx, j, nil, func(context.Context, pgx.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.RegainLease(ctx, c.process); err != nil { // nobody renews it
		t.Fatal(err)
	}
	if _, err := c.Claim(ctx, store.Claim{JobID: c.job, ExecutionID: c.exec, Owner: c.process, Target: cronium.TargetContainer}, false); err != nil {
		t.Fatal(err)
	}
}

// print stores output without telling anyone.
func (c *scene) print(t *testing.T, text string) {
	t.Helper()
	var err error
	c.stored, err = c.AppendOutput(context.WithoutCancel(t.Context()), c.exec, c.process, c.stored, []cronium.Chunk{{Stream: cronium.Stdout, Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
}

func (c *scene) end(t *testing.T) {
	t.Helper()
	done := store.Finish{ExecutionID: c.exec, JobID: c.job, Owner: c.process, Status: cronium.ExecutionSuccess}
	if _, err := c.Finish(context.WithoutCancel(t.Context()), done, func(context.Context, pgx.Tx, cronium.Job, time.Time) error { return nil }); err != nil {
		t.Fatal(err)
	}
	c.hub.Publish(live.JobTopic(c.job))
}

func (c *scene) follow(t *testing.T, from output.Position) *live.Follower {
	t.Helper()
	f, err := c.tails.Follow(context.WithoutCancel(t.Context()), c.workspace, c.exec, from)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// read gathers text until the end, or until enough of it is there.
func read(f *live.Follower, enough int) (string, output.Position, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var b strings.Builder
	var at output.Position
	for b.Len() < enough {
		piece, err := f.Next(ctx)
		if err != nil {
			return b.String(), at, err
		}
		if b.Len() > 0 && piece.From != at {
			return b.String(), at, fmt.Errorf("a piece begins at %s, the one before ended at %s", piece.From, at)
		}
		for _, r := range piece.Records {
			b.WriteString(r.Text)
		}
		at = piece.To
	}
	return b.String(), at, nil
}

func TestAViewerSeesWhatIsPrintedAndThenTheEnd(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	c.print(t, "before\n")
	f := c.follow(t, output.Position{})
	defer f.Close()
	if got, _, err := read(f, 1); got != "before\n" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	for i := range 3 {
		line := fmt.Sprintf("line %d\n", i)
		c.print(t, line)
		c.hub.Publish(live.OutputTopic(c.exec))
		if got, _, err := read(f, 1); got != line || err != nil {
			t.Fatalf("%q, %v, want %q", got, err, line)
		}
	}
	c.print(t, "last")
	c.end(t)
	if got, _, err := read(f, 1<<20); got != "last" || err != io.EOF {
		t.Fatalf("%q, %v", got, err)
	}
	if status := f.Execution().Status; status != cronium.ExecutionSuccess {
		t.Errorf("ended as %s", status)
	}
}

// However a viewer is cut off and comes back, it sees each byte once, and no
// character is torn.
func TestAViewerThatComesBackMissesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	rapid.Check(t, func(r *rapid.T) {
		c.begin(t)
		all := rapid.StringOfN(rapid.SampledFrom([]rune("ab\né🙂")), 1, 60, -1).Draw(r, "output")
		cuts := rapid.SliceOfN(rapid.IntRange(1, 9), 1, 80).Draw(r, "sizes of chunks")
		stays := rapid.SliceOfN(rapid.IntRange(1, 20), 1, 8).Draw(r, "text seen until cut off")
		var writer sync.WaitGroup
		writer.Go(func() {
			rest := all
			for i := 0; len(rest) > 0; i++ {
				n := min(cuts[i%len(cuts)], len(rest))
				c.print(t, rest[:n])
				c.hub.Publish(live.OutputTopic(c.exec))
				rest = rest[n:]
			}
			c.end(t)
		})
		defer writer.Wait()
		var got strings.Builder
		var at output.Position
		for i := 0; ; i++ {
			f := c.follow(t, at)
			text, to, err := read(f, stays[i%len(stays)])
			f.Close()
			got.WriteString(text)
			if text != "" {
				at, _ = output.ParsePosition(to.String())
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got.String() != all {
			t.Fatalf("saw %q, want %q", got.String(), all)
		}
	})
}

func TestManyViewersAreServedByOneReader(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	counted := &countedSource{Store: c.Store}
	tails := live.NewTails(c.hub, counted, slog.New(slog.DiscardHandler))
	defer tails.Close()
	var viewers sync.WaitGroup
	const count = 50
	ready := make(chan struct{}, count)
	for range count {
		viewers.Go(func() {
			f, err := tails.Follow(context.Background(), c.workspace, c.exec, output.Position{})
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			ready <- struct{}{}
			if got, _, err := read(f, 1<<20); len(got) != 20*6 || err != io.EOF {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	for range count {
		<-ready
	}
	counted.reads.Store(0)
	for range 20 {
		c.print(t, "hello\n")
		c.hub.Publish(live.OutputTopic(c.exec))
	}
	c.end(t)
	viewers.Wait()
	if reads := counted.reads.Load(); reads > 3*25 {
		t.Errorf("%d reads of the database for %d viewers of 20 prints", reads, count)
	}
}

// A viewer that is far behind reads by itself and loses nothing.
func TestASlowViewerFallsBehindAloneAndLosesNothing(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	slow, quick := c.follow(t, output.Position{}), c.follow(t, output.Position{})
	defer slow.Close()
	defer quick.Close()
	line := strings.Repeat("x", 9999) + "\n"
	for range 120 {
		c.print(t, line)
		c.hub.Publish(live.OutputTopic(c.exec))
		if _, _, err := read(quick, len(line)); err != nil {
			t.Fatal(err)
		}
	}
	c.end(t)
	if got, _, err := read(slow, 1<<30); len(got) != 120*len(line) || err != io.EOF {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestALostNotificationCostsAMoment(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	f := c.follow(t, output.Position{})
	defer f.Close()
	c.print(t, "first\n")
	c.hub.Publish(live.OutputTopic(c.exec))
	if _, _, err := read(f, 1); err != nil {
		t.Fatal(err)
	}
	c.print(t, "unannounced\n")
	if got, _, err := read(f, 1); got != "unannounced\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestALineNumberThatAViewerNamesIsPutRight(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	c.print(t, "one\ntwo\nthree\n")
	for _, line := range []int64{0, 1, 3} {
		f := c.follow(t, output.Position{Offset: 5, Line: line})
		piece, err := f.Next(t.Context())
		f.Close()
		if err != nil || piece.From.Line != 1 || piece.Records[0].Text != "wo\nthree\n" {
			t.Errorf("from line %d: %+v, %v", line, piece, err)
		}
	}
}

func TestWhatCannotBeFollowedSaysSo(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	if _, err := c.tails.Follow(t.Context(), cronium.NewID(), c.exec, output.Position{}); cronium.CodeOf(err) != cronium.CodeNotFound {
		t.Errorf("from another workspace: %v", err)
	}
	f := c.follow(t, output.Position{Offset: 1 << 40, Line: 5})
	defer f.Close()
	c.print(t, "x")
	c.hub.Publish(live.OutputTopic(c.exec))
	if got, at, err := read(f, 1); got != "x" || at != (output.Position{Offset: 1}) || err != nil {
		t.Errorf("from beyond the end: %q at %s, %v", got, at, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
}

func TestFollowingLeavesNoGoroutine(t *testing.T) {
	c := newScene(t)
	before := goleak.IgnoreCurrent()
	pool := goleak.IgnoreAnyFunction("github.com/jackc/puddle/v2.(*Pool[...]).initResourceValue.func1")
	one, two := c.follow(t, output.Position{}), c.follow(t, output.Position{})
	one.Close()
	two.Close()
	two.Close()
	goleak.VerifyNone(t, before, pool)
	stuck := c.follow(t, output.Position{})
	c.tails.Close()
	goleak.VerifyNone(t, before, pool)
	if _, err := stuck.Next(t.Context()); cronium.CodeOf(err) != cronium.CodeUnavailable {
		t.Errorf("after the end of the process: %v", err)
	}
	if _, err := c.tails.Follow(t.Context(), c.workspace, c.exec, output.Position{}); cronium.CodeOf(err) != cronium.CodeUnavailable {
		t.Errorf("follow after the end of the process: %v", err)
	}
}

// countedSource counts how often output is read.
type countedSource struct {
	*store.Store
	reads atomic.Int64
}

func (c *countedSource) OutputAfter(ctx context.Context, workspace, execution cronium.ID, line, offset int64, most int) ([]cronium.Chunk, error) {
	c.reads.Add(1)
	return c.Store.OutputAfter(ctx, workspace, execution, line, offset, most)
}
