package installed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/agent/tunnel"
)

// keyLife is how old an agent's key gets before the agent makes another.
const keyLife = 30 * 24 * time.Hour

// renewKey has an agent whose key is old make its next one. That counts from its
// next connection on; then the old one ends.
func (h *held) renewKey(ctx context.Context) error {
	answer, err := h.link.Client().RenewKey(ctx, &proto.RenewKeyRequest{})
	if err != nil {
		return fmt.Errorf("renew the key of an agent: %w", err)
	}
	next := ed25519.PublicKey(answer.GetPublicKey())
	if bytes.Equal(next, h.conn.Key) || !tunnel.VerifyNextKey(h.conn.Key, h.agent.ServerID.String(), next, answer.GetSignature()) {
		return errors.New("renew the key of an agent: its present key does not vouch for the next one")
	}
	return h.backend.config.Registry.AddAgentKey(ctx, h.agent.ServerID, h.conn.Key, next)
}

// renewKeys renews those that are old, each once a connection.
func (b *Backend) renewKeys(ctx context.Context) {
	for _, server := range b.Held() {
		h := b.current(server)
		if h == nil || time.Since(h.agent.KeySince) < keyLife || h.renewing.Swap(true) {
			continue
		}
		b.task(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
			defer cancel()
			if err := h.renewKey(ctx); err != nil {
				b.config.Log.WarnContext(ctx, "an agent goes on with its old key", "server", server, "error", err)
				return
			}
			b.config.Log.InfoContext(ctx, "an agent has made its next key", "server", server)
		})
	}
}
