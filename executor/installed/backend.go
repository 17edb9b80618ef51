package installed

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Registry is who may connect and who is connected, for all server processes
// together: *store.Store.
type Registry interface {
	// EnrolAgent uses a code, known by its hash, for the key of an agent.
	EnrolAgent(ctx context.Context, hash, publicKey []byte, m cronium.Machine) (*cronium.EnrolledAgent, error)
	// AgentByKey fails with cronium.ErrNotFound for a key that nobody has.
	AgentByKey(ctx context.Context, publicKey []byte) (*cronium.EnrolledAgent, error)
	UsableAgentKeys(ctx context.Context, keys [][]byte) ([][]byte, error)
	AddAgentKey(ctx context.Context, server cronium.ID, before, next []byte) error
	AgentConnected(ctx context.Context, process, server cronium.ID, publicKey []byte, address string, m cronium.Machine) error
	AgentsHeld(ctx context.Context, process cronium.ID, servers []cronium.ID) error
	AgentGone(ctx context.Context, process, server cronium.ID) error
	OfflineAgents(ctx context.Context) ([]cronium.ID, error)
	// AgentHolder fails with cronium.ErrNotFound where no living process holds the
	// agent's connection.
	AgentHolder(ctx context.Context, server cronium.ID) (*cronium.AgentHolder, error)
	// OpenExecutions tells which of the executions are not final.
	OpenExecutions(ctx context.Context, ids []cronium.ID) ([]cronium.ID, error)
}

// Updates is where failed updates of agents are noted: *store.Store.
type Updates interface {
	// NoteAgentUpdate notes why an agent was not updated.
	NoteAgentUpdate(ctx context.Context, server cronium.ID, fault string) error
	// AgentUpdateFault is what was noted, "" once it is to be tried again.
	AgentUpdateFault(ctx context.Context, server cronium.ID) (string, error)
}

// Tries bounds how often one address may try codes: *store.Store.
type Tries interface {
	TakeTry(ctx context.Context, limits []cronium.TryLimit) (wait time.Duration, err error)
	ReturnTry(ctx context.Context, limits []cronium.TryLimit, forget, mark string) error
}

// Config is what a Backend needs to know.
type Config struct {
	Registry Registry
	Updates  Updates
	Tries    Tries
	Process  cronium.ID         // this server process
	Key      ed25519.PrivateKey // of the instance
	Version  string             // of this process; agents are brought to it
	Binaries map[string]string  // files of the agent, by architecture as Go names it
	// UpdateReport is how long a new agent may take to reach the server; 0 means
	// 2 minutes. UpdateSettle is how long the first must have been well before the
	// others follow; 0 means 3 minutes.
	UpdateReport, UpdateSettle time.Duration
	// Changed is called when a server of the workspace has come or gone.
	Changed func(workspace cronium.ID)
	Log     *slog.Logger
}

// Backend holds the connections of the agents that have come to this process.
// Its methods may be called concurrently.
type Backend struct {
	config Config
	tls    *tls.Config
	crowd  chan struct{} // a place for each agent that may be on its way in
	asking chan struct{} // a place for each question about them to the database

	binaries binaries
	admitted atomic.Int64 // agents, since the process began

	tasks sync.WaitGroup // what ends and tidies connections, and relays

	relaying  context.Context // ends with Close
	endRelays func()

	mu     sync.Mutex
	agents map[cronium.ID]*agent
	closed bool
}

// agent is what is held of one server's agent. An agent beside which another
// version of itself has been started has connections of its own for the scripts
// that it still runs.
type agent struct {
	current *held
	beside  map[string]*held // by instance
}

// New makes a Backend that holds nothing yet.
func New(config Config) (*Backend, error) {
	inner, err := tunnel.ServerConfig(config.Key)
	if err != nil {
		return nil, fmt.Errorf("take agents: %w", err)
	}
	if config.Changed == nil {
		config.Changed = func(cronium.ID) {}
	}
	if config.UpdateReport == 0 {
		config.UpdateReport = 2 * time.Minute
	}
	if config.UpdateSettle == 0 {
		config.UpdateSettle = 3 * time.Minute
	}
	b := &Backend{config: config, tls: inner, crowd: make(chan struct{}, maxCrowd), asking: make(chan struct{}, maxAsking), agents: map[cronium.ID]*agent{}}
	b.relaying, b.endRelays = context.WithCancel(context.Background())
	return b, nil
}

// Close ends all connections. What runs on the agents goes on, and they look for
// another process.
func (b *Backend) Close() {
	b.mu.Lock()
	b.closed = true
	var all []*held
	for _, a := range b.agents {
		all = append(all, a.connections()...)
	}
	b.mu.Unlock()
	b.endRelays()
	for _, h := range all {
		h.link.Close()
		h.conn.Close()
	}
	b.tasks.Wait()
}

// Holds tells whether this process can run something on the server now.
func (b *Backend) Holds(server cronium.ID) bool { return b.current(server) != nil }

// Held are the servers that this process can run something on now, in order.
func (b *Backend) Held() []cronium.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	var servers []cronium.ID
	for id, a := range b.agents {
		if a.current != nil && a.current.link.Alive() {
			servers = append(servers, id)
		}
	}
	slices.SortFunc(servers, func(x, y cronium.ID) int { return strings.Compare(x.String(), y.String()) })
	return servers
}

// Agent gives a link to the server's agent for calls other than those of
// executions. It fails with executor.ErrUnavailable where the agent is not held.
func (b *Backend) Agent(_ context.Context, server cronium.ID) (*executor.Link, error) {
	h := b.current(server)
	if h == nil {
		return nil, notHere("")
	}
	return h.share(), nil
}

func (b *Backend) current(server cronium.ID) *held {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a := b.agents[server]; a != nil && a.current != nil && a.current.link.Alive() {
		return a.current
	}
	return nil
}

func (a *agent) connections() []*held {
	var all []*held
	if a.current != nil {
		all = append(all, a.current)
	}
	for _, h := range a.beside {
		all = append(all, h)
	}
	return all
}

// Warm has nothing: a place costs nothing to make.
func (b *Backend) Warm(executor.Spec) executor.Place { return nil }

// Create makes a place on the agent of spec.ServerID.
func (b *Backend) Create(_ context.Context, spec executor.Spec, _ func(string)) (executor.Place, error) {
	h := b.current(spec.ServerID)
	if h == nil {
		return nil, notHere("The server's agent is not connected now, so nothing was started there.")
	}
	return &place{backend: b, server: spec.ServerID, execution: spec.ExecutionID, instance: h.link.Info.GetInstance()}, nil
}

// Find finds a place again. Only the process that holds the server's agent can.
func (b *Backend) Find(_ context.Context, ref string) (executor.Place, error) {
	p, ok := parseRef(ref)
	if !ok {
		return nil, fmt.Errorf("%w: %q names no place on an agent", executor.ErrGone, ref)
	}
	p.backend = b
	if _, err := p.find(); err != nil {
		return nil, err
	}
	return p, nil
}

// notHere is executor.ErrUnavailable with text for a person.
func notHere(text string) error {
	if text == "" {
		text = "The server's agent is not connected now."
	}
	return &cronium.Error{Code: cronium.CodeUnavailable, Message: text, Err: executor.ErrUnavailable}
}
