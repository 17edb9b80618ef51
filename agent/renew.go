package agent

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentproto "cronium.dev/agent/proto"
)

// RenewKey implements the service.
func (a *Agent) RenewKey(context.Context, *agentproto.RenewKeyRequest) (*agentproto.RenewKeyResponse, error) {
	if a.config.Renew == nil {
		return nil, status.Error(codes.FailedPrecondition, "this agent is not an installed one and has no key of its own")
	}
	public, signature, err := a.config.Renew()
	if err != nil {
		return nil, refusal(err)
	}
	return &agentproto.RenewKeyResponse{PublicKey: public, Signature: signature}, nil
}
