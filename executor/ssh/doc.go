// Package ssh runs scripts on machines that are reached over SSH.
//
// The server keeps one connection to each machine in use. In one session of it
// a constant command (bootstrap.sh) makes sure that the agent is there, sends
// it if not, and joins the session to it; from then on the session is the
// stream of the agent protocol, and all executions on that machine share it.
// The agent is detached from the session and keeps what runs when the
// connection is lost.
//
//	connection.go  what is needed to connect
//	dial.go        TCP, handshake, host key, authentication, through other machines
//	line.go        a connection that notices its own death
//	keeper.go      one of something at a time: opened when asked for, shared, closed when idle
//	command.go     the constant command; session.go talks to it
//	agent.go       from a connection to an agent
//	place.go       one execution there
//
// Nothing that comes from data is ever part of a command.
package ssh
