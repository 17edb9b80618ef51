// Package jobs is the life of a job in one server process.
//
//  1. Enqueue stores a job and its entry in the queue (River) in one transaction.
//  2. A worker fetches the entry, takes a warm place if there is one and claims
//     the job: from then on it has an execution that names its place and this
//     process as its owner.
//  3. The execution is driven to its end (package executor); its output is stored
//     on the way.
//  4. The final state, a retry and whatever waits for the end are one transaction.
//     Then the place is destroyed.
//
// A process renews a lease. When it dies, the others adopt its executions: they
// find the place by its reference and go on where the stored output ends. A
// process that was only slow finds at its next write that it does not own the
// execution any more, and lets go of it without touching the place.
//
// River is the queue and nothing else: its entry is this process's slot while a
// job runs. Its rescue of stuck entries is not used.
package jobs
