// Package watch keeps an eye on servers: whether they answer, and how they are.
//
// Each server process watches a share of the servers over SSH, named in the
// database (holder), and those whose installed agents are connected to it. A
// server whose process died is taken by another within seconds.
//
//  1. For each server one goroutine holds the connection to its agent and takes
//     a sample every 15 s from the agent's stream.
//  2. A connection that ends is tried again at once; only when that has failed
//     for ten seconds is the server OFFLINE, so that a restarted sshd is no loss.
//  3. Everything is written by one goroutine: states every few seconds, history
//     every minute, many servers in one statement.
package watch
