package live

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"cronium.dev/cronium"
	"cronium.dev/output"
)

const (
	// recentBytes is how much of a followed output is kept for its viewers; one
	// that is further behind reads the database itself.
	recentBytes = 256 << 10
	readBytes   = 256 << 10
	// breath is the shortest time between two reads of one output, so that a
	// script that prints all the time is sent in few pieces. The first piece
	// after a pause is read at once, also when something else was looked for
	// just before.
	breath = 10 * time.Millisecond
	// relook is how often a followed execution is looked at although nothing
	// woke us: a lost notification costs that much.
	relook = 2 * time.Second
)

// Source is where executions and their output are read: the store.
type Source interface {
	Execution(ctx context.Context, workspace, id cronium.ID) (*cronium.Execution, error)
	OutputAfter(ctx context.Context, workspace, execution cronium.ID, line, offset int64, maxBytes int) ([]cronium.Chunk, error)
}

// Tails follows the output of executions: new output is read once in this
// process, however many viewers it has. Its methods may be called concurrently.
type Tails struct {
	hub    *Hub
	source Source
	log    *slog.Logger

	mu      sync.Mutex
	tails   map[cronium.ID]*tail
	running sync.WaitGroup
	closed  bool
}

// NewTails makes Tails. The caller closes it after its last follower.
func NewTails(hub *Hub, source Source, log *slog.Logger) *Tails {
	return &Tails{hub: hub, source: source, log: log, tails: map[cronium.ID]*tail{}}
}

// Close ends all following and returns when no goroutine is left.
func (t *Tails) Close() {
	t.mu.Lock()
	t.closed = true
	for _, tail := range t.tails {
		tail.stop()
	}
	t.mu.Unlock()
	t.running.Wait()
}

// Piece is a part of an output as viewers get it.
type Piece struct {
	From, To output.Position
	Records  []output.Record

	once sync.Once
	data []byte
}

// JSON is the piece as viewers get it; it is made once for all of them.
func (p *Piece) JSON() []byte {
	p.once.Do(func() {
		// Strings and numbers alone: there is nothing that cannot be encoded.
		p.data, _ = json.Marshal(struct {
			Offset  int64           `json:"offset"`
			Line    int64           `json:"line"`
			Records []output.Record `json:"records"`
		}{p.From.Offset, p.From.Line, p.Records})
	})
	return p.data
}

// tail is what followers of one execution share.
type tail struct {
	*Tails
	workspace, execution cronium.ID
	followers            int // guarded by Tails.mu
	stop                 context.CancelFunc

	mu      sync.Mutex
	known   *cronium.Execution // as last read
	pieces  []*Piece           // recent ones, each beginning where the one before ends
	end     output.Position    // up to which pieces were made
	size    int                // bytes of output in pieces
	ended   error              // io.EOF after the last piece, or why there can be no more
	changed chan struct{}      // closed at the next change
}

// Follow begins to follow an execution's output from a position on. The caller
// closes the Follower. An unknown execution fails with cronium.ErrNotFound.
func (t *Tails) Follow(ctx context.Context, workspace, execution cronium.ID, from output.Position) (*Follower, error) {
	e, err := t.source.Execution(ctx, workspace, execution)
	if err != nil {
		return nil, err
	}
	end, err := t.endOf(ctx, e)
	if err != nil {
		return nil, err
	}
	if from.Offset > end.Offset {
		from = end
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, cronium.Errorf(cronium.CodeUnavailable, "The server is stopping. Connect again.")
	}
	shared := t.tails[execution]
	if shared == nil {
		shared = t.start(workspace, e, end)
	}
	shared.followers++
	return &Follower{tail: shared, at: from}, nil
}

// endOf is where the output ends: before a character whose rest may come.
func (t *Tails) endOf(ctx context.Context, e *cronium.Execution) (output.Position, error) {
	end := output.Position{Offset: e.OutputBytes, Line: e.OutputLines}
	near := max(e.OutputBytes-utf8.UTFMax, 0)
	chunks, err := t.source.OutputAfter(ctx, e.WorkspaceID, e.ID, max(e.OutputLines-utf8.UTFMax, 0), near, readBytes)
	if err != nil || len(chunks) == 0 {
		return end, err
	}
	_, end = output.Decode(output.Position{Offset: near, Line: chunks[0].FirstLine}, clip(chunks, e.OutputBytes), false)
	return end, nil
}

// clip drops what lies behind an offset.
func clip(chunks []cronium.Chunk, offset int64) []cronium.Chunk {
	for i := range chunks {
		c := &chunks[i]
		if over := c.Offset + int64(len(c.Data)) - offset; over >= int64(len(c.Data)) {
			return chunks[:i]
		} else if over > 0 {
			c.Data = c.Data[:int64(len(c.Data))-over]
		}
	}
	return chunks
}

// start makes the shared part and its goroutine.
func (t *Tails) start(workspace cronium.ID, e *cronium.Execution, end output.Position) *tail {
	ctx, stop := context.WithCancel(context.Background())
	shared := &tail{
		Tails: t, workspace: workspace, execution: e.ID, stop: stop, known: e, end: end, changed: make(chan struct{}),
	}
	t.tails[e.ID] = shared
	// Subscribed before the execution is read again, so that nothing is missed.
	subscription := t.hub.Subscribe(OutputTopic(e.ID), JobTopic(e.JobID))
	t.running.Go(func() {
		defer subscription.Close()
		shared.run(ctx, subscription)
	})
	return shared
}

// leave ends the shared part with its last follower.
func (t *tail) leave() {
	t.Tails.mu.Lock()
	defer t.Tails.mu.Unlock()
	if t.followers--; t.followers == 0 {
		t.stop()
		delete(t.tails, t.execution)
	}
}

// run reads what is new whenever there may be something, until the execution
// has ended.
func (t *tail) run(ctx context.Context, subscription *Subscription) {
	wait := shortestWait
	look := true // the execution may have changed, not only its output
	for {
		before := t.end
		err := t.read(ctx, look)
		if ctx.Err() != nil {
			t.finish(cronium.Errorf(cronium.CodeUnavailable, "The server is stopping. Connect again."))
			return
		}
		switch {
		case err == io.EOF || cronium.CodeOf(err) == cronium.CodeNotFound && err != nil:
			t.finish(err)
			return
		case err != nil:
			t.log.Warn("read output for viewers, trying again", "execution", t.execution, "error", err)
			pause(ctx, wait)
			wait, look = min(2*wait, longestWait), true
			continue
		}
		wait = shortestWait
		if t.end != before {
			pause(ctx, breath)
		}
		look = t.wait(ctx, subscription)
	}
}

// wait returns when something was published, or after a while, and tells
// whether the execution itself is to be looked at.
func (t *tail) wait(ctx context.Context, subscription *Subscription) bool {
	timer := time.NewTimer(relook)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-subscription.C():
	}
	for _, topic := range subscription.Take() {
		if topic != OutputTopic(t.execution) {
			return true
		}
	}
	return false
}

// read makes pieces of what is new. It returns io.EOF when the execution has
// ended and all of its output is read.
func (t *tail) read(ctx context.Context, look bool) error {
	final := false
	if look {
		// First the state, then the output: what is stored before the end is
		// seen after it.
		e, err := t.source.Execution(ctx, t.workspace, t.execution)
		if err != nil {
			return err
		}
		final = e.Status.Final()
		t.learn(e)
	}
	for ctx.Err() == nil {
		chunks, err := t.source.OutputAfter(ctx, t.workspace, t.execution, t.end.Line, t.end.Offset, readBytes)
		if err != nil {
			return err
		}
		more := t.add(chunks, false)
		if more {
			continue
		}
		if final {
			t.add(chunks, true)
			return io.EOF
		}
		return nil
	}
	return ctx.Err()
}

func (t *tail) learn(e *cronium.Execution) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = e
}

// add makes a piece of chunks and wakes the followers. It tells whether there
// was anything in them.
func (t *tail) add(chunks []cronium.Chunk, last bool) bool {
	records, to := output.Decode(t.end, chunks, last)
	if to == t.end {
		return false
	}
	piece := &Piece{From: t.end, To: to, Records: records}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pieces, t.end = append(t.pieces, piece), to
	t.size += int(to.Offset - piece.From.Offset)
	drop := 0
	for t.size > recentBytes && drop < len(t.pieces)-1 {
		t.size -= int(t.pieces[drop].To.Offset - t.pieces[drop].From.Offset)
		drop++
	}
	if drop > 0 {
		t.pieces = append([]*Piece(nil), t.pieces[drop:]...)
	}
	t.wakeFollowers()
	return true
}

// finish tells the followers that nothing more comes.
func (t *tail) finish(reason error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = reason
	t.wakeFollowers()
}

func (t *tail) wakeFollowers() {
	close(t.changed)
	t.changed = make(chan struct{})
}
