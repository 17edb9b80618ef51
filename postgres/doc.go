// Package postgres runs a PostgreSQL of Cronium's own, so that a first start
// needs no database server: it finds the system's binaries, makes a cluster in
// the data directory, runs it on a Unix socket and keeps it running.
//
// Start gives a Cluster whose URL leads to the database "cronium" as the role
// "cronium", which owns it and is no superuser. Any number of processes may
// Start the same directory at the same time: the first starts the postmaster,
// the others use it, and the last one to Stop ends it. When the postmaster
// dies it is started again; when a process of Cronium is killed the postmaster
// lives on and the next Start takes it over.
//
// In the data directory: data/ is PostgreSQL's own, socket/ holds the Unix
// socket, users.lock is held shared by each process that uses the cluster,
// start.lock by the one that is starting it, startup.log has what the
// postmaster said before its log in data/log/ began.
package postgres
