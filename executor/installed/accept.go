package installed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"cronium.dev/agent/tunnel"
	"cronium.dev/cronium"
	"cronium.dev/executor"
)

const (
	// maxCrowd is how many agents may be on their way in at once. More of them,
	// as after a restart of the server, are told to come again.
	maxCrowd = 2048
	// maxAsking leaves most of the database's connections to the jobs.
	maxAsking = 4
	// joinLimit is how long an agent may take to say its code.
	joinLimit = 10 * time.Second
	// bufferBytes is small, because most agents wait most of the time. What is read
	// is in the buffer of TLS already.
	bufferBytes = 4 << 10
)

// What keeps a connection alive that has nothing to say: with this a line that
// is dead is noticed within 15 seconds.
var keepAlive = keepalive.ClientParameters{Time: 10 * time.Second, Timeout: 4 * time.Second, PermitWithoutStream: true}

// Accept answers an agent that dials in or joins. When it returns an error
// nothing was answered yet; otherwise the agent's connection lives on.
func (b *Backend) Accept(w http.ResponseWriter, r *http.Request, address netip.Addr) error {
	select {
	case b.crowd <- struct{}{}:
		defer func() { <-b.crowd }()
	default:
		return &cronium.Error{Code: cronium.CodeUnavailable, Message: "Too many agents come at once. This one will try again.", Wait: joinLimit}
	}
	conn, err := tunnel.Accept(w, r, b.tls)
	if err != nil {
		// The other side has been answered, or has gone.
		b.config.Log.InfoContext(r.Context(), "an agent did not get in", "address", address, "error", err)
		return nil
	}
	// The request is over for the server now, and so is its context.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*joinLimit)
	defer cancel()
	switch conn.Protocol {
	case tunnel.ProtocolJoin:
		b.join(ctx, conn, address)
	case tunnel.ProtocolRelay:
		b.acceptRelay(ctx, conn, address)
	default:
		b.admit(ctx, conn, address)
	}
	return nil
}

// ask runs one question to the database in its turn.
func (b *Backend) ask(ctx context.Context, question func() error) error {
	select {
	case b.asking <- struct{}{}:
		defer func() { <-b.asking }()
		return question()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// admit lets an agent in whose key may connect.
func (b *Backend) admit(ctx context.Context, conn *tunnel.Conn, address netip.Addr) {
	log := b.config.Log.With("address", address.String())
	var agent *cronium.EnrolledAgent
	err := b.ask(ctx, func() (err error) {
		agent, err = b.config.Registry.AgentByKey(ctx, conn.Key)
		return err
	})
	switch {
	case cronium.CodeOf(err) == cronium.CodeNotFound && err != nil:
		log.WarnContext(ctx, "an agent with an unknown key was refused")
		conn.End(tunnel.ReasonRefused, "this server does not know the key of this agent; join again with a new code")
		return
	case err != nil:
		log.WarnContext(ctx, "an agent could not be let in", "error", err)
		conn.End(tunnel.ReasonBusy, "the server has trouble with its database")
		return
	case agent.Refused != "":
		log.WarnContext(ctx, "an agent was refused", "server", agent.ServerID, "reason", agent.Refused)
		conn.End(tunnel.ReasonRefused, agent.Refused)
		return
	}
	if err := b.hold(ctx, conn, agent, address); err != nil {
		log.WarnContext(ctx, "an agent could not be let in", "server", agent.ServerID, "error", err)
		conn.Close()
	}
}

// hold makes the tunnel of an agent a connection that executions can use.
func (b *Backend) hold(ctx context.Context, conn *tunnel.Conn, agent *cronium.EnrolledAgent, address netip.Addr) error {
	line := &line{Conn: conn}
	link, err := executor.Connect(ctx, line,
		grpc.WithReadBufferSize(0), grpc.WithWriteBufferSize(bufferBytes),
		grpc.WithKeepaliveParams(keepAlive))
	if err != nil {
		return err
	}
	h := &held{backend: b, conn: conn, link: link, agent: *agent, others: link.Info.GetOthers()}
	info := link.Info
	if info.GetTarget() != agent.ServerID.String() {
		conn.End(tunnel.ReasonRefused, "the key of this agent is another server's than the one it takes itself for")
		link.Close()
		return fmt.Errorf("it takes itself for %q", info.GetTarget())
	}
	before, err := b.put(h)
	if err != nil {
		link.Close()
		return err
	}
	line.watch(h.lost)
	b.replace(ctx, before, h)
	if info.GetDraining() {
		return nil
	}
	m := cronium.Machine{Hostname: info.GetHostname(), OS: info.GetOs(), Arch: info.GetArch(), Version: info.GetVersion()}
	err = b.ask(ctx, func() error {
		return b.config.Registry.AgentConnected(ctx, b.config.Process, agent.ServerID, conn.Key, address.String(), m)
	})
	if err != nil {
		link.Close()
		return err
	}
	if !b.Holds(agent.ServerID) { // it ended meanwhile, and that may have been noted first
		return b.config.Registry.AgentGone(ctx, b.config.Process, agent.ServerID)
	}
	b.config.Log.InfoContext(ctx, "an agent is connected", "server", agent.ServerID, "name", agent.Name, "version", info.GetVersion())
	b.admitted.Add(1)
	b.config.Changed(agent.WorkspaceID)
	b.task(func() { h.settle() })
	return nil
}

// replace ends the connection that an agent had before. The same agent has left
// it behind; another one has the same key, as a copied machine does, and is told
// to come back later, or the two would drive each other out without end.
func (b *Backend) replace(ctx context.Context, before, h *held) {
	if before == nil {
		return
	}
	if before.link.Info.GetInstance() == h.link.Info.GetInstance() || !before.link.Alive() {
		b.task(before.end)
		return
	}
	b.config.Log.WarnContext(ctx, "another agent with the same key has come, and takes the place of the first. Has its machine been copied?",
		"server", h.agent.ServerID, "first", before.link.Info.GetHostname(), "second", h.link.Info.GetHostname())
	b.task(func() {
		before.conn.End(tunnel.ReasonReplaced, "another agent with the same key has come; join again with a code of its own if this machine is a copy")
		before.end()
	})
}

// join lets a machine in that has a code.
func (b *Backend) join(ctx context.Context, conn *tunnel.Conn, address netip.Addr) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(joinLimit)) // never fails
	var question tunnel.JoinQuestion
	if err := tunnel.ReadMessage(conn, &question); err != nil {
		b.config.Log.InfoContext(ctx, "an agent did not say its code", "address", address.String(), "error", err)
		return
	}
	answer := b.answer(ctx, conn, &question, address)
	if err := tunnel.WriteMessage(conn, answer); err != nil {
		b.config.Log.WarnContext(ctx, "an agent did not take its answer; it may ask again", "address", address.String(), "error", err)
		return
	}
	// It closes when it has the answer.
	_, _ = conn.Read(make([]byte, 1))
}

func (b *Backend) answer(ctx context.Context, conn *tunnel.Conn, q *tunnel.JoinQuestion, address netip.Addr) tunnel.JoinAnswer {
	limits := []cronium.TryLimit{joinTries(address)}
	var agent *cronium.EnrolledAgent
	wait, err := b.config.Tries.TakeTry(ctx, limits)
	if err == nil && wait > 0 {
		return tunnel.JoinAnswer{Error: "Too many wrong codes came from this address.", Again: int(wait/time.Second) + 1}
	}
	if err == nil {
		code := tunnel.Code{}
		copy(code.Secret[:], q.Secret)
		m := cronium.Machine{Hostname: q.Hostname, OS: q.OS, Arch: q.Arch, Version: q.Version}
		err = b.ask(ctx, func() (err error) {
			agent, err = b.config.Registry.EnrolAgent(ctx, code.Hash(), conn.Key, m)
			return err
		})
	}
	var told *cronium.Error
	switch {
	case errors.As(err, &told) && told.Code != cronium.CodeInternal && told.Code != cronium.CodeUnavailable:
		b.config.Log.WarnContext(ctx, "an agent could not join", "address", address.String(), "error", told.Message)
		return tunnel.JoinAnswer{Error: told.Message}
	case err != nil:
		b.config.Log.ErrorContext(ctx, "an agent could not join", "address", address.String(), "error", err)
		return tunnel.JoinAnswer{Error: "The server has trouble with its database.", Again: 5}
	}
	if err := b.config.Tries.ReturnTry(ctx, limits, "", ""); err != nil {
		b.config.Log.WarnContext(ctx, "the count of tries was not put right", "error", err)
	}
	b.config.Log.InfoContext(ctx, "an agent has joined", "server", agent.ServerID, "name", agent.Name, "address", address.String())
	b.config.Changed(agent.WorkspaceID)
	return tunnel.JoinAnswer{Target: agent.ServerID.String(), Name: agent.Name}
}

// joinTries is wide, because many machines may come from one address at once;
// a code cannot be guessed anyway.
func joinTries(address netip.Addr) cronium.TryLimit {
	return cronium.TryLimit{
		Key: "join-address:" + address.Unmap().WithZone("").String(), Free: 200,
		First: 5 * time.Second, Longest: 15 * time.Minute, Forget: time.Hour,
	}
}
