// Package cronium holds the words of the product: events and their versions,
// jobs, executions, people and what they may do, with the rules that need no
// input or output. What may follow what, how results roll up, which limits an
// event may have: all of it is decided here and nowhere else.
//
// It imports the standard library and the UUID type alone, so that every other
// package can import it. Statuses are typed strings, the same in the database,
// the API and the pages.
package cronium
