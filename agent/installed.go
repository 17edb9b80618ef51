package agent

import (
	"context"
	"crypto/ed25519"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

// Installed is what an agent that is installed on its machine can do besides.
type Installed struct {
	// Renew makes the next key, which the present one signs.
	Renew func() (public ed25519.PublicKey, signature []byte, err error)
	// Others are the instances of agents beside this one that are not done.
	Others func() []string
	// Program is the file that an update takes the place of.
	Program string
	// Updated has the new program started, which lies checked on the disk.
	Updated func(Update) error
}

// Update is a program that has come and was checked.
type Update struct {
	Path    string        `json:"path"`
	Version string        `json:"version"`
	Report  time.Duration `json:"report"` // within which it must have reached the server
}

// drainLeast is how long a draining agent stays at least: what the server has
// made up its mind about may still be on its way.
const drainLeast = 10 * time.Second

// RenewKey implements the service.
func (a *Agent) RenewKey(context.Context, *agentproto.RenewKeyRequest) (*agentproto.RenewKeyResponse, error) {
	if a.config.Installed == nil {
		return nil, status.Error(codes.FailedPrecondition, "this agent is not an installed one and has no key of its own")
	}
	public, signature, err := a.config.Installed.Renew()
	if err != nil {
		return nil, refusal(err)
	}
	return &agentproto.RenewKeyResponse{PublicKey: public, Signature: signature}, nil
}

// Drain has Serve end once the server has taken the end of all that runs here.
// Another agent beside this one takes what is new.
func (a *Agent) Drain() { a.draining.Store(true) }

// watchDrain calls end when the agent was told to drain and nothing is left.
func (a *Agent) watchDrain(ctx context.Context, end func()) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if !a.draining.Load() {
				continue
			}
			if since.IsZero() {
				since = now
			}
			if now.Sub(since) >= drainLeast && a.empty() {
				end()
				return
			}
		}
	}
}

// empty tells whether nothing runs and nothing is kept for the server.
func (a *Agent) empty() bool {
	if a.shells.count() > 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.executions) == 0
}
