// Package live tells browsers, and other server processes, that something has
// changed.
//
// A Hub has subscribers by topic. Publish, called after a commit, wakes the
// subscribers of this process at once and hands the topic to one goroutine that
// gathers topics for some milliseconds and sends them with NOTIFY in a
// transaction of its own, because NOTIFY takes a database-wide lock at commit.
// One LISTEN connection a process wakes the subscribers of topics published
// elsewhere. A topic carries no data: who is woken reads the database, so a lost
// notification costs a moment, never a fact.
//
// Tails follows the output of executions for its viewers. One goroutine an
// execution reads what is new, once for all viewers of this process, and keeps
// the last pieces; a Follower is a viewer's place in the output and waits for
// the next piece. One that has fallen behind, or begins earlier, reads the
// database itself until it has caught up, so that it costs no memory and holds
// up nobody.
package live
