// Package executor is the server's side of running a script somewhere.
//
// Every target is a connection to an agent; targets differ only in how the
// byte stream is got. A Backend makes and finds places (a container, a process
// on this machine); a Place gives a net.Conn to the agent that lives there;
// Drive talks the agent protocol over it, from the signed manifest to the end
// of the script, and survives cuts of the stream in between.
//
//  1. Warm or Create gives a Place; its Ref is stored before anything starts.
//  2. Drive sends Start (idempotent), then Attach, and hands output to the Sink.
//  3. When the stream is cut, Drive dials again and goes on at the stored offset.
//  4. After the final state is stored, Destroy removes the place and its spool.
//
// A server that takes over an execution calls Find with the stored Ref and goes
// on at 2.
package executor

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"strings"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
)

// ErrGone says that a place does not exist any more, or that the agent there is
// not the one it was: what ran there is lost.
var ErrGone = errors.New("what ran the script is gone")

// ErrUnasked says, along with ErrGone, that the place was gone before the agent
// was asked to start anything: by this call of Drive, nothing was started.
var ErrUnasked = errors.New("nothing was started")

// ErrUnavailable says that the target cannot be reached now and may be later:
// the container engine is down, say. Nothing is known of what runs there.
var ErrUnavailable = errors.New("the target cannot be reached")

// Spec says what one execution needs of its place.
type Spec struct {
	ExecutionID cronium.ID
	WorkspaceID cronium.ID
	ServerID    cronium.ID // of the server, where the backend's places are servers
	RunAs       string     // user on that server; "" = the server's own
	Image       string     // "" = the runtime image
	Network     cronium.Network
	Limits      cronium.Limits
}

// Backend makes places of one kind. Its methods may be called concurrently.
type Backend interface {
	// Warm takes an idle place that fits from the pool, without waiting; nil
	// if there is none. The place belongs to the caller, who stores its Ref
	// before Drive and calls Destroy in the end.
	Warm(Spec) Place

	// Create makes a place. progress is called with a sentence for a person
	// when a step takes long (pulling an image). Errors are *cronium.Error with
	// public text, wrapping ErrUnavailable where trying again later makes sense.
	Create(ctx context.Context, spec Spec, progress func(string)) (Place, error)

	// Find finds the place of a Ref again, after a restart or in another
	// process. It fails with ErrGone or ErrUnavailable.
	Find(ctx context.Context, ref string) (Place, error)
}

// Place is where one execution runs: an agent and the way to reach it.
type Place interface {
	// Ref names the place and the agent's instance for Find: a restarted
	// agent without its spool is another place.
	Ref() string
	// Warm tells whether the place came from the pool.
	Warm() bool
	// TargetID is what manifests for the agent there must name.
	TargetID() string
	// Dial opens a new stream to the agent. A stream that Create or the pool
	// had opened already is given out first. It fails with ErrGone or
	// ErrUnavailable.
	Dial(ctx context.Context) (net.Conn, error)
	// Destroy ends everything that runs there and removes it. Destroying what
	// is gone succeeds.
	Destroy(ctx context.Context) error
}

// Sweeper is a Backend whose places can be left over by a crash.
type Sweeper interface {
	// Sweep removes places of server processes that are not alive, and older
	// ones of this process, unless open tells that an execution which is not
	// final references them. It gives the number removed.
	Sweep(ctx context.Context, alive func(process string) bool, open func(name string) bool) (int, error)
}

// PlaceName is the part of a Ref that names the place without the agent's
// instance: what Sweep asks for.
func PlaceName(ref string) string {
	name, _, _ := strings.Cut(ref, "/")
	return name
}

// Runner is a Place that does the work in this process and has no agent. Drive
// leaves the whole execution to it; Dial is not called. It reports to the sink
// as an agent would, and returns when ctx ends.
type Runner interface {
	Run(ctx context.Context, run Run, sink Sink) (*proto.Finish, error)
}

// Run is one execution as Drive needs it.
type Run struct {
	ExecutionID cronium.ID
	// Manifest is signed with Key and sent. Its target and times are filled in
	// by Drive.
	Manifest *proto.Manifest
	Blobs    map[string][]byte // by hex SHA-256
	Key      ed25519.PrivateKey
	// From is the offset up to which output is stored already.
	From uint64
	// Started is set by a server that takes over an execution known to be
	// running: an agent that does not know it has lost it (ErrGone).
	Started bool
	// Cancel is closed when the execution shall be stopped. It may be closed
	// from the beginning.
	Cancel <-chan struct{}
	// Away is called with the reason, again and again, while the agent cannot be
	// reached; nil: nobody wants to know.
	Away func(ctx context.Context, reason error)
	// Lane tells which helper calls follow one another: those of one lane are
	// worked on one by one, in the order in which the script made them, others
	// side by side. "": of none; nil: none is in a lane.
	Lane func(method string) string
}

// SettleAfter is how long a sink may keep output in hand.
const SettleAfter = 2 * time.Second

// CancelPatience is how long the agent of an execution that shall be stopped is
// tried to be reached.
const CancelPatience = 10 * time.Second

// Sink receives what happens in an execution. Drive calls one method at a time,
// except for Call.
type Sink interface {
	// Started is called once the process runs. It may be called again after a
	// reconnect.
	Started(ctx context.Context, setup time.Duration) error
	// Output takes records that follow one another without gap, and gives the
	// offset up to which all is durable: so much will be acknowledged. It may be
	// less than what came; the sink then has the rest in hand and is not given it
	// again. While it works, Drive gathers the next batch, bounded.
	Output(ctx context.Context, records []*proto.Output) (durable uint64, err error)
	// Settle makes durable what Output has kept in hand. It is called when that
	// has been SettleAfter ago.
	Settle(ctx context.Context) (durable uint64, err error)
	// Last takes the records that came together with the end, perhaps none. They
	// and what is in hand need not be durable when it returns: the end is stored
	// next, and they with it.
	Last(ctx context.Context, records []*proto.Output) error
	// Usage is what the script uses now.
	Usage(ctx context.Context, usage *proto.Usage)
	// Call answers a call of the helper API, beside everything else and as many
	// at once as callsAtOnce; when the context ends, soon. After a reconnect a
	// call may be asked again with the same number, but not while it is worked on.
	Call(ctx context.Context, call *proto.HelperCall) *proto.HelperAnswer
}
