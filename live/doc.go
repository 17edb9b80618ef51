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
package live
