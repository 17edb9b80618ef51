package jobs

import (
	"context"
	"strings"

	"cronium.dev/cronium"
)

// outgoingVariable tells an HTTP request what it may reach; the agent's package
// helper reads it.
const outgoingVariable = "CRONIUM_OUTBOUND"

// findAllowed reads what the workspace's allow list opens to an HTTP request in a
// container of the network internet. Where it cannot be read, that is nothing.
func (r *run) findAllowed(ctx context.Context) {
	if r.eventType != cronium.EventHTTP || r.execution.Target != cronium.TargetContainer || r.content.Network != cronium.NetworkInternet || r.outgoing != "" {
		return
	}
	r.outgoing = "internet"
	list, err := r.engine.Store.OutboundAllow(ctx, r.execution.WorkspaceID)
	if err != nil {
		r.log().Warn("the allow list for outgoing requests could not be read; the request reaches the internet alone", "error", err)
		return
	}
	r.outgoing = strings.Join(append([]string{"internet"}, list.Entries...), ",")
}
