package ssh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// route names the machines on the way to one, which is the last.
func route(c *Connection) []cronium.ID {
	ids := make([]cronium.ID, 0, len(c.Jumps)+1)
	for i := range c.Jumps {
		ids = append(ids, c.Jumps[i].Server)
	}
	return append(ids, c.Server)
}

func routeName(ids []cronium.ID) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	return strings.Join(names, ">")
}

func onRoute(name string, server cronium.ID) bool {
	return slices.Contains(strings.Split(name, ">"), server.String())
}

// lineTo keeps the line to a server, over its jump hosts.
func (b *Backend) lineTo(c *Connection) *keeper[*line] { return b.lineKeeper(route(c)) }

func (b *Backend) lineKeeper(ids []cronium.ID) *keeper[*line] {
	name := routeName(ids)
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.lines[name]
	if k == nil {
		k = &keeper[*line]{
			ctx: b.ctx, idle: lineIdle, worker: &b.workers,
			open:  func(ctx context.Context) (*line, error) { return b.dialRoute(ctx, ids) },
			shut:  (*line).close,
			alive: (*line).alive,
		}
		b.lines[name] = k
	}
	return k
}

// dialRoute connects to the last machine of a route over a shared line to the
// one before it.
func (b *Backend) dialRoute(ctx context.Context, ids []cronium.ID) (*line, error) {
	last := len(ids) - 1
	c, err := b.connection(ctx, ids[last])
	if err != nil {
		return nil, err
	}
	defer c.Wipe()
	var via *line
	under := func() {}
	if last > 0 {
		if via, under, err = b.lineKeeper(ids[:last]).get(ctx); err != nil {
			return nil, through(c, err)
		}
	}
	select {
	case b.places <- struct{}{}:
		defer func() { <-b.places }()
	case <-ctx.Done():
		under()
		return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, context.Cause(ctx))
	}
	l, err := dial(ctx, c, via, under, nil)
	if err != nil {
		b.offer(ctx, c.Server, err)
		return nil, err
	}
	return l, nil
}

// offer tells of a host key that has changed.
func (b *Backend) offer(ctx context.Context, server cronium.ID, err error) {
	var key *HostKeyError
	if !errors.As(err, &key) || !key.Changed() {
		return
	}
	if err := b.config.Servers.OfferHostKey(ctx, server, key.Key); err != nil {
		b.log(ctx, "note that a server shows another host key", "server", server, "error", err)
	}
}
