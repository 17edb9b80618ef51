package installed

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// place is one execution on an agent.
type place struct {
	backend           *Backend
	server, execution cronium.ID
	instance          string
}

// parseRef reads what Ref wrote.
func parseRef(ref string) (*place, bool) {
	parts := strings.Split(ref, "/")
	if len(parts) != 3 || parts[2] == "" {
		return nil, false
	}
	server, ok := cronium.ParseID(parts[0])
	execution, too := cronium.ParseID(parts[1])
	return &place{server: server, execution: execution, instance: parts[2]}, ok && too
}

// Ref is the server, the execution and the agent's instance.
func (p *place) Ref() string {
	return p.server.String() + "/" + p.execution.String() + "/" + p.instance
}

// Warm is false: there is no pool.
func (p *place) Warm() bool { return false }

// TargetID is the server's id.
func (p *place) TargetID() string { return p.server.String() }

// Instance is the agent's, as it was when the place was made.
func (p *place) Instance() string { return p.instance }

// TakeLink has none: the connection is shared.
func (p *place) TakeLink() *executor.Link { return nil }

// Dial cannot be had: agents dial in. Link is what there is.
func (p *place) Dial(context.Context) (net.Conn, error) {
	return nil, fmt.Errorf("%w: an installed agent has one connection, for all", executor.ErrUnavailable)
}

// Link shares the connection of the agent's instance.
func (p *place) Link(context.Context) (*executor.Link, error) {
	h, err := p.find()
	if err != nil {
		return nil, err
	}
	return h.share(), nil
}

// find looks for the connection of the place's instance. While the agent is not
// connected nothing is known. An agent that is there and tells of no such
// instance has lost what ran.
func (p *place) find() (*held, error) {
	p.backend.mu.Lock()
	defer p.backend.mu.Unlock()
	a := p.backend.agents[p.server]
	if a == nil {
		return nil, notHere("")
	}
	for _, h := range a.connections() {
		if h.link.Info.GetInstance() == p.instance && h.link.Alive() {
			return h, nil
		}
	}
	if a.current == nil || !a.current.link.Alive() || a.current.link.Info.GetInstance() == p.instance ||
		slices.Contains(a.current.others, p.instance) {
		return nil, notHere("")
	}
	return nil, fmt.Errorf("%w: the agent was started anew without what it knew", executor.ErrGone)
}

// removePoll is how often an execution that is being ended is looked at.
const removePoll = 20 * time.Millisecond

// Destroy ends the execution and lets the agent forget it. The agent itself is
// not touched.
func (p *place) Destroy(ctx context.Context) error {
	l, err := p.Link(ctx)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove execution %s: %w", p.execution, err)
	}
	defer l.Close()
	return remove(ctx, l.Client(), p.execution.String())
}

// remove has an agent forget an execution; one that still runs is killed first.
func remove(ctx context.Context, client proto.AgentClient, execution string) error {
	for {
		_, err := client.Forget(ctx, &proto.ForgetRequest{ExecutionId: execution})
		if status.Code(err) != codes.FailedPrecondition {
			if err != nil {
				err = fmt.Errorf("remove execution %s: %w", execution, err)
			}
			return err
		}
		_, err = client.Signal(ctx, &proto.SignalRequest{ExecutionId: execution, Stop: proto.Stop_STOP_KILL})
		if err != nil && status.Code(err) != codes.NotFound {
			return fmt.Errorf("remove execution %s: %w", execution, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove execution %s: %w", execution, ctx.Err())
		case <-time.After(removePoll):
		}
	}
}
