// Package terminal is the server's side of terminals in the browser: it joins a
// person's connection to a shell at an agent and records what was on the screen.
//
//  1. A terminal is stored before anything is started; its id is the session.
//  2. Attach opens the session at the agent, from the offset that is recorded.
//  3. What the shell prints goes to the person at once and into the recording
//     within a second; the agent keeps it until it is recorded.
//  4. A connection that is cut leaves the shell alone for five minutes. Whoever
//     comes back, to this process or to another, sees the end of the recording
//     and goes on.
//
// A terminal of an event gets a container with its first connection, as a run
// would, and the container goes with the shell; a sweep of containers removes what
// a death left, and keeps those of terminals that are open.
//
// Recordings are asciicast v2 (docs.asciinema.org), sealed in parts with the
// workspace's key. What is typed is not recorded: it would hold passwords.
package terminal
