// Package store keeps everything in PostgreSQL, one file an aggregate, with the
// SQL beside the Go that scans it. It is the only package that writes SQL.
//
// Exported methods own their transaction; unexported ones take a pgx.Tx. A
// method that works for one workspace sets it for the transaction, and row-level
// security hides the rest, so that a forgotten WHERE leaks nothing. Methods for
// workers and sweeps run with the scope 'system', on connections of their own.
//
// A state change is an UPDATE that names the state and owner it expects; its
// count is checked. What many jobs do at once (claiming, output, the end of a
// run) is gathered into one statement by a batcher.
package store
