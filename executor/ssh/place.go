package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cronium.dev/agent/proto"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// forgetRetry is how often an execution that is being killed is asked for.
const forgetRetry = 50 * time.Millisecond

// place is one execution on a server. Many share an agent.
type place struct {
	backend   *Backend
	server    cronium.ID
	execution cronium.ID
	user      string // who runs the agent; "" = the login itself
	digest    string // of the agent
	instance  string
}

// Ref is SERVER/EXECUTION/USER/DIGEST/INSTANCE.
func (p *place) Ref() string {
	return strings.Join([]string{p.server.String(), p.execution.String(), p.user, p.digest, p.instance}, "/")
}

// Find finds an execution's agent: the release that started it, on the spool
// that has it.
func (b *Backend) Find(ctx context.Context, ref string) (executor.Place, error) {
	p, err := parseRef(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", executor.ErrGone, err)
	}
	p.backend = b
	l, err := p.Link(ctx)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if l.Info.GetInstance() != p.instance {
		return nil, fmt.Errorf("%w: another agent answers there now", executor.ErrGone)
	}
	return p, nil
}

func parseRef(ref string) (*place, error) {
	parts := strings.Split(ref, "/")
	if len(parts) != 5 || len(parts[3]) != 64 || strings.Trim(parts[3], "0123456789abcdef") != "" || CheckUser(parts[2]) != nil {
		return nil, fmt.Errorf("%q names no agent on a server", ref)
	}
	server, ok := cronium.ParseID(parts[0])
	if !ok {
		return nil, fmt.Errorf("%q names no server", ref)
	}
	execution, ok := cronium.ParseID(parts[1])
	if !ok {
		return nil, fmt.Errorf("%q names no execution", ref)
	}
	return &place{server: server, execution: execution, user: parts[2], digest: parts[3], instance: parts[4]}, nil
}

// Warm is false: there is no pool.
func (p *place) Warm() bool { return false }

// TargetID is the agent's.
func (p *place) TargetID() string { return targetID(p.server, p.user) }

// Instance is the agent's when the place was made.
func (p *place) Instance() string { return p.instance }

// TakeLink has none: the connection is shared (Link).
func (p *place) TakeLink() *executor.Link { return nil }

func (p *place) key() linkKey { return linkKey{server: p.server, user: p.user, digest: p.digest} }

// Link gives the connection that all executions on the agent share.
func (p *place) Link(ctx context.Context) (*executor.Link, error) {
	return p.backend.link(ctx, p.key())
}

// Dial opens a stream of its own to the agent.
func (p *place) Dial(ctx context.Context) (net.Conn, error) {
	_, s, _, err := p.backend.session(ctx, p.key())
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Destroy ends the execution if it runs and has the agent forget it. The agent
// stays. An agent that cannot be reached forgets what has ended by itself, after
// a week.
func (p *place) Destroy(ctx context.Context) error {
	l, err := p.Link(ctx)
	if errors.Is(err, executor.ErrGone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("forget execution %s: %w", p.execution, err)
	}
	defer l.Close()
	if l.Info.GetInstance() != p.instance {
		return nil
	}
	for killed := false; ; {
		_, err := l.Client().Forget(ctx, &proto.ForgetRequest{ExecutionId: p.execution.String()})
		if status.Code(err) != codes.FailedPrecondition {
			if err != nil {
				return fmt.Errorf("forget execution %s: %w", p.execution, err)
			}
			return nil
		}
		if !killed {
			killed = true
			_, err := l.Client().Signal(ctx, &proto.SignalRequest{ExecutionId: p.execution.String(), Stop: proto.Stop_STOP_KILL})
			if err != nil && status.Code(err) != codes.NotFound {
				return fmt.Errorf("end execution %s: %w", p.execution, err)
			}
		}
		select {
		case <-time.After(forgetRetry):
		case <-ctx.Done():
			return fmt.Errorf("end execution %s: %w", p.execution, ctx.Err())
		}
	}
}
