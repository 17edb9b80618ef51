// Package dial is the agent's side of being installed: it joins a server once and
// keeps a connection to it ever after.
//
//	identity, err := dial.Join(ctx, dial.Joining{…})   // once
//	listener := dial.NewListener(identity, version, log)
//	agent.Serve(ctx, agent.Streams{Dialled: listener}) // each connection that it makes
//
// The identity is a file that nobody else may read: the agent's own key, the
// server's, and the server's address. The key never leaves the machine.
package dial
