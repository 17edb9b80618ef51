// Package supervisor runs the agent of a machine as a process of its own, and
// brings a newer version of it in without touching what runs.
//
// A new program is started beside the old one, with a directory (slot) of its
// own. Once it has reached the server it takes the place of the old program's
// file, and the old process drains: it starts nothing new and ends when the server
// has taken all that it ran. A new program that does not reach the server in time
// is removed, and the old one goes on as if nothing had been.
//
// Supervisor and agent talk over two pipes: the agent's standard input (Drain; its
// end is the supervisor's) and file 3, on which the agent tells what happens.
package supervisor
