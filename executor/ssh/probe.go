package ssh

import (
	"context"
	"fmt"

	"cronium.dev/cronium"
	"cronium.dev/executor"
)

// Test connects to a machine that need not be a server yet, step by step, up to
// an agent that answers. c.Server must be the id that the server has or will
// have. report is told of each step as it begins and ends; it may be nil. What
// was opened is closed again; the agent on the machine ends by itself.
//
// A key that nobody has confirmed, or a changed one, is a *HostKeyError in the
// error's chain. Test wipes nothing: c is the caller's.
func (b *Backend) Test(ctx context.Context, c *Connection, report func(Step)) error {
	l, err := dialAll(ctx, c, report)
	if err != nil {
		return err
	}
	defer l.close()
	trace := newTrace(c, report)
	s, err := openSession(ctx, l, func() {})
	if err != nil {
		return trace.begin(StepPlatform)("", failedf(c, StepPlatform, err, "%s lets %q in but runs no command for it (%s).", c.label(), c.Login, clean(err.Error())))
	}
	defer s.Close()
	if _, err := hold(ctx, c, s, b.want(modeStart, c.Server, ""), trace); err != nil {
		return err
	}
	link, err := executor.Connect(ctx, s)
	if err != nil {
		return noAnswer(ctx, c, s, err)
	}
	link.Close()
	return nil
}

// dialAll connects to the machine over new connections to its jump hosts.
func dialAll(ctx context.Context, c *Connection, report func(Step)) (*line, error) {
	var via *line
	for i := range c.Jumps {
		l, err := dialNext(ctx, &c.Jumps[i], via, report)
		if err != nil {
			return nil, through(c, err)
		}
		via = l
	}
	return dialNext(ctx, c, via, report)
}

func dialNext(ctx context.Context, c *Connection, via *line, report func(Step)) (*line, error) {
	if c.Server == (cronium.ID{}) {
		return nil, fmt.Errorf("test a connection: it has no server id")
	}
	under := func() {}
	if via != nil {
		under = via.close
	}
	return dial(ctx, c, via, under, newTrace(c, report))
}
