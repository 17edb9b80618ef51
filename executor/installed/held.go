package installed

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// held is the connection of one agent.
type held struct {
	backend    *Backend
	agent      cronium.EnrolledAgent
	conn       *tunnel.Conn
	link       *executor.Link
	others     []string // instances beside it; guarded by Backend.mu
	ended      sync.Once
	renewing   atomic.Bool // its key was asked for
	refreshing atomic.Bool // it is being asked for its others
}

// errClosing says that this process stops.
var errClosing = errors.New("this server process is stopping")

// put makes h the connection of its agent's instance, and gives the one that it
// takes the place of.
func (b *Backend) put(h *held) (before *held, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosing
	}
	a := b.agents[h.agent.ServerID]
	if a == nil {
		a = &agent{}
		b.agents[h.agent.ServerID] = a
	}
	if a.beside == nil {
		a.beside = map[string]*held{}
	}
	before = a.beside[h.instance()]
	delete(a.beside, h.instance())
	if c := a.current; c != nil && c.instance() == h.instance() {
		a.current, before = nil, c
	}
	switch c := a.current; {
	case h.link.Info.GetDraining() && c != nil:
		a.beside[h.instance()] = h
		return before, nil
	case c != nil && slices.Contains(h.others, c.instance()):
		a.beside[c.instance()] = c
	case c != nil:
		before = c
	}
	a.current = h
	return before, nil
}

// instance is the agent's.
func (h *held) instance() string { return h.link.Info.GetInstance() }

// drop takes h out, and tells whether its server is not held any more.
func (b *Backend) drop(h *held) (last bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.agents[h.agent.ServerID]
	if a == nil {
		return false
	}
	if a.beside[h.instance()] == h {
		delete(a.beside, h.instance())
		return false
	}
	if a.current != h {
		return false // it was replaced
	}
	a.current = nil
	for instance, next := range a.beside {
		delete(a.beside, instance)
		a.current = next
		return false
	}
	delete(b.agents, h.agent.ServerID)
	return true
}

// refreshOthers asks agents again which others are beside them, where one of
// those is not connected: what one that is gone ran and has not told is lost.
func (b *Backend) refreshOthers(ctx context.Context) {
	b.mu.Lock()
	var stale []*held
	for _, a := range b.agents {
		if a.current != nil && slices.ContainsFunc(a.current.others, func(other string) bool { return a.beside[other] == nil }) {
			stale = append(stale, a.current)
		}
	}
	b.mu.Unlock()
	for _, h := range stale {
		if !h.refreshing.Swap(true) {
			b.task(func() {
				defer h.refreshing.Store(false)
				h.refresh(ctx)
			})
		}
	}
}

func (h *held) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tidyLimit)
	defer cancel()
	info, err := h.link.Client().Info(ctx, &proto.InfoRequest{})
	if err != nil {
		return // its connection has ended as well, and the next says it
	}
	h.backend.mu.Lock()
	defer h.backend.mu.Unlock()
	h.others = info.GetOthers()
}

// task runs f beside what goes on. Close waits for it.
func (b *Backend) task(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.tasks.Go(f)
	}
}

// line is the tunnel as gRPC gets it. gRPC closes it once it is found dead, which
// is how the end of a connection is noticed.
type line struct {
	net.Conn

	mu    sync.Mutex
	ended bool
	told  func()
}

// Close ends the line and tells the one who watches, once.
func (l *line) Close() error {
	err := l.Conn.Close()
	l.mu.Lock()
	first, told := !l.ended, l.told
	l.ended = true
	l.mu.Unlock()
	if first && told != nil {
		told()
	}
	return err
}

// watch has told called at the end of the line, which may have been.
func (l *line) watch(told func()) {
	l.mu.Lock()
	l.told = told
	ended := l.ended
	l.mu.Unlock()
	if ended {
		told()
	}
}

func isGone(err error) bool { return errors.Is(err, executor.ErrGone) }

// share gives the link to one of its users.
func (h *held) share() *executor.Link { return h.link.Share(func() {}) }

// end closes the connection.
func (h *held) end() {
	h.ended.Do(h.link.Close)
	h.conn.Close()
}

// lost is called when the connection has ended.
func (h *held) lost() {
	b := h.backend
	last := b.drop(h)
	b.task(func() {
		h.end()
		if !last {
			return // it was replaced, or has drained
		}
		ctx, cancel := context.WithTimeout(context.Background(), tidyLimit)
		defer cancel()
		log := b.config.Log.With("server", h.agent.ServerID, "name", h.agent.Name)
		log.InfoContext(ctx, "an agent's connection has ended")
		if b.Holds(h.agent.ServerID) {
			return // it is back already
		}
		if err := b.config.Registry.AgentGone(ctx, b.config.Process, h.agent.ServerID); err != nil {
			log.WarnContext(ctx, "the end of an agent's connection was not noted; its silence will tell", "error", err)
		}
	})
}

// tidyLimit is how long what follows from a connection may take.
const tidyLimit = 30 * time.Second

// settle does what a new connection is an occasion for: what is left on the
// agent of executions that ended without it is removed.
func (h *held) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), tidyLimit)
	defer cancel()
	if err := h.removeLeftovers(ctx); err != nil && h.link.Alive() {
		h.backend.config.Log.WarnContext(ctx, "what is left on an agent was not removed", "server", h.agent.ServerID, "error", err)
	}
}

func (h *held) removeLeftovers(ctx context.Context) error {
	list, err := h.link.Client().List(ctx, &proto.ListRequest{})
	if err != nil || len(list.GetExecutions()) == 0 {
		return err
	}
	ids := make([]cronium.ID, 0, len(list.GetExecutions()))
	for _, e := range list.GetExecutions() {
		if id, ok := cronium.ParseID(e.GetExecutionId()); ok {
			ids = append(ids, id)
		}
	}
	open, err := h.backend.config.Registry.OpenExecutions(ctx, ids)
	if err != nil {
		return err
	}
	needed := make(map[cronium.ID]bool, len(open))
	for _, id := range open {
		needed[id] = true
	}
	for _, id := range ids {
		if !needed[id] {
			err = errors.Join(err, remove(ctx, h.link.Client(), id.String()))
		}
	}
	return err
}
