package installed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"time"

	"cronium.dev/agent/proto"
	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// relayLimit is how long it may take to reach an agent through another process.
const relayLimit = 5 * time.Second

// relayed are the calls that one process makes through another: what people do.
// Scripts are driven by the process that holds their agent.
func relayed() []string {
	return []string{
		proto.Agent_Info_FullMethodName, proto.Agent_Shell_FullMethodName,
		proto.Agent_ListFiles_FullMethodName, proto.Agent_ReadFile_FullMethodName, proto.Agent_WriteFile_FullMethodName,
	}
}

// Reach is Agent for terminals and files: an agent that another server process
// holds is reached through that one. It fails with executor.ErrUnavailable.
func (b *Backend) Reach(ctx context.Context, server cronium.ID) (*executor.Link, error) {
	if h := b.current(server); h != nil {
		return h.share(), nil
	}
	holder, err := b.config.Registry.AgentHolder(ctx, server)
	switch {
	case err != nil && cronium.CodeOf(err) == cronium.CodeNotFound, err == nil && holder.Process == b.config.Process:
		return nil, notHere("")
	case err != nil:
		return nil, err
	case !reachable(holder):
		return nil, notHere(fmt.Sprintf("The server's agent is connected to the server process on %s, which says no address by which this one could reach it. Start it with --internal-url.", cronium.Printable(holder.Hostname, 100)))
	}
	link, err := b.through(ctx, holder, server)
	if err != nil {
		b.config.Log.WarnContext(ctx, "an agent could not be reached through the process that holds it", "server", server, "process", holder.Process, "address", holder.Address, "error", err)
		var said *cronium.Error
		if errors.As(err, &said) {
			return nil, err
		}
		return nil, &cronium.Error{Code: cronium.CodeUnavailable, Err: fmt.Errorf("%w: %w", executor.ErrUnavailable, err),
			Message: fmt.Sprintf("The server's agent is connected to the server process on %s, which could not be reached. Try again.", cronium.Printable(holder.Hostname, 100))}
	}
	return link, nil
}

// reachable tells whether the holder's address means that process here: one that
// is its machine's own does on that machine alone.
func reachable(holder *cronium.AgentHolder) bool {
	u, err := url.Parse(holder.Address)
	if err != nil || holder.Address == "" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if own := u.Hostname() == "localhost" || err == nil && ip.IsLoopback(); !own {
		return true
	}
	name, err := os.Hostname()
	return err == nil && name == holder.Hostname
}

// through opens a link by way of the process that holds the agent. Both prove by
// the tunnel that they have the installation's key.
func (b *Backend) through(ctx context.Context, holder *cronium.AgentHolder, server cronium.ID) (*executor.Link, error) {
	ctx, cancel := context.WithTimeout(ctx, relayLimit)
	defer cancel()
	own := tunnel.Agent{Key: b.config.Key, Server: b.public(), Protocol: tunnel.ProtocolRelay, Version: b.config.Version}
	conn, err := tunnel.Dial(ctx, holder.Address, own)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(relayLimit)) // never fails
	var answer tunnel.RelayAnswer
	err = tunnel.WriteMessage(conn, tunnel.RelayQuestion{Process: holder.Process.String(), Server: server.String()})
	if err == nil {
		err = tunnel.ReadMessage(conn, &answer)
	}
	if err == nil && answer.Error != "" {
		err = notHere(answer.Error)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return executor.Connect(ctx, conn)
}

func (b *Backend) public() ed25519.PublicKey { return b.config.Key.Public().(ed25519.PublicKey) }

// acceptRelay lets another process of this installation call an agent that this
// one holds. The connection lives on when it returns.
func (b *Backend) acceptRelay(ctx context.Context, conn *tunnel.Conn, address netip.Addr) {
	log := b.config.Log.With("address", address.String())
	if !bytes.Equal(conn.Key, b.public()) {
		log.WarnContext(ctx, "somebody without the key of this installation wanted to reach agents through it")
		conn.End(tunnel.ReasonRefused, "only server processes of this installation are let through")
		return
	}
	_ = conn.SetDeadline(time.Now().Add(joinLimit)) // never fails
	var question tunnel.RelayQuestion
	if err := tunnel.ReadMessage(conn, &question); err != nil {
		log.InfoContext(ctx, "a server process did not say which agent it wants to reach", "error", err)
		conn.Close()
		return
	}
	answer, h := tunnel.RelayAnswer{}, (*held)(nil)
	if server, ok := cronium.ParseID(question.Server); ok {
		h = b.current(server)
	}
	switch {
	case question.Process != b.config.Process.String():
		answer.Error = "Another server process answers at the address of the one to which the server's agent is connected. Give each its own --internal-url."
	case h == nil:
		answer.Error = "The server's agent is not connected now."
	}
	if err := tunnel.WriteMessage(conn, answer); err != nil || answer.Error != "" {
		_, _ = conn.Read(make([]byte, 1)) // it closes when it has the answer
		conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	b.task(func() {
		link := h.share()
		defer link.Close()
		defer conn.Close()
		link.Relay(b.relaying, conn, relayed()...)
	})
}
