package ssh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// linkKey names an agent: of which release, run by whom on which server.
type linkKey struct {
	server cronium.ID
	user   string // "" = the login itself
	digest string // "" = of this release
}

// attached is a connection to an agent.
type attached struct {
	link   *executor.Link
	digest string
}

// Agent gives a link to the agent of this release on a server, run by the user
// ("" = the login itself). It connects where there is no connection, and shares
// it. The caller closes the link.
func (b *Backend) Agent(ctx context.Context, server cronium.ID, user string) (*executor.Link, error) {
	if err := CheckUser(user); err != nil {
		return nil, err
	}
	return b.link(ctx, linkKey{server: server, user: user})
}

func (b *Backend) link(ctx context.Context, key linkKey) (*executor.Link, error) {
	a, release, err := b.linkKeeper(key).get(ctx)
	if err != nil {
		return nil, err
	}
	return a.link.Share(release), nil
}

func (b *Backend) linkKeeper(key linkKey) *keeper[*attached] {
	for _, a := range b.agents {
		if key.digest == a.digest {
			key.digest = ""
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := b.links[key]
	if k == nil {
		k = &keeper[*attached]{
			ctx: b.ctx, idle: linkIdle, worker: &b.workers,
			open:  func(ctx context.Context) (*attached, error) { return b.attach(ctx, key) },
			shut:  func(a *attached) { a.link.Close() },
			alive: func(a *attached) bool { return a.link.Alive() },
		}
		b.links[key] = k
	}
	return k
}

// attach opens a session and speaks to the agent over it.
func (b *Backend) attach(ctx context.Context, key linkKey) (*attached, error) {
	c, s, digest, err := b.session(ctx, key)
	if err != nil {
		return nil, err
	}
	link, err := executor.Connect(ctx, s)
	if err != nil {
		return nil, noAnswer(ctx, c, s, err)
	}
	return &attached{link: link, digest: digest}, nil
}

// session opens a session that is the stream of the agent. c has no secrets any
// more.
func (b *Backend) session(ctx context.Context, key linkKey) (c *Connection, s *session, digest string, err error) {
	if c, err = b.connection(ctx, key.server); err != nil {
		return nil, nil, "", err
	}
	c.Wipe()
	if s, err = b.open(ctx, c); err != nil {
		return nil, nil, "", err
	}
	w := b.want(modeStart, key.server, key.user)
	if w.digest = key.digest; w.digest != "" {
		w.mode = modeFind
	}
	if digest, err = hold(ctx, c, s, w, nil); err != nil {
		s.Close()
		return nil, nil, "", err
	}
	return c, s, digest, nil
}

func noAnswer(ctx context.Context, c *Connection, s *session, err error) error {
	return failedf(c, StepAgent, err, "The agent on %s was started and does not answer; it said: %s. Its log is agent.log in its directory there.", c.label(), s.said(ctx))
}

// open opens a session on the server's line, or on one of its own where the
// server does not take another on that.
func (b *Backend) open(ctx context.Context, c *Connection) (*session, error) {
	l, release, err := b.lineTo(c).get(ctx)
	if err != nil {
		return nil, err
	}
	s, err := openSession(ctx, l, release)
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		if l, err = b.dialRoute(ctx, route(c)); err != nil {
			return nil, err
		}
		s, err = openSession(ctx, l, l.close)
	}
	if err != nil {
		return nil, failedf(c, StepPlatform, err, "%s lets %q in but runs no command for it (%s). Allow sessions in its sshd_config (MaxSessions, ForceCommand).", c.label(), c.Login, clean(err.Error()))
	}
	return s, nil
}

// connection asks for a server's data. A server that does not exist any more
// has no agent.
func (b *Backend) connection(ctx context.Context, server cronium.ID) (*Connection, error) {
	c, err := b.config.Servers.Connection(ctx, server)
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, &cronium.Error{
			Code: cronium.CodeConflict, Message: "The server does not exist any more. Choose another one under Where.",
			Err: fmt.Errorf("%w: the server was deleted", executor.ErrGone),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", executor.ErrUnavailable, err)
	}
	return c, nil
}

// want is what is asked of a server's machine. An installation has directories
// of its own there, one for each server and user.
func (b *Backend) want(mode string, server cronium.ID, user string) *want {
	w := &want{mode: mode, user: user, target: targetID(server, user), key: b.key, idle: b.config.Idle, agents: b.agents}
	sum := sha256.Sum256([]byte(b.key + " " + w.target))
	w.name = hex.EncodeToString(sum[:6])
	return w
}

// targetID is what manifests for the agent must name. An agent that another
// user runs is another target: what was signed for one is refused by the other.
func targetID(server cronium.ID, user string) string {
	if user == "" {
		return "server-" + server.String()
	}
	return "server-" + server.String() + "-" + user
}

// Remove removes from the server's machine what Cronium put there for it and
// for one user ("" = the login itself). It fails with CodeConflict while a
// script runs there.
func (b *Backend) Remove(ctx context.Context, server cronium.ID, user string) error {
	if err := CheckUser(user); err != nil {
		return err
	}
	c, err := b.connection(ctx, server)
	if err != nil {
		return err
	}
	c.Wipe() // the names are needed alone
	b.Drop(server)
	s, err := b.open(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = hold(ctx, c, s, b.want(modeRemove, server, user), nil)
	return err
}
