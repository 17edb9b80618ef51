// Package installed is the target of agents that are installed on machines and
// dial in.
//
// An agent comes through a tunnel (agent/tunnel) that proves its key, which says
// whose agent it is. The process that it reached holds its connection, and is the
// only one that can run anything there: Holds tells. All executions on a server
// share the connection; a place is one execution of an agent's instance and costs
// nothing to make.
//
// The database says which keys may connect and which process holds whom. Run
// keeps both true: revoked agents are cut off within a moment, and what is left
// on an agent of executions that ended without it is removed.
package installed
