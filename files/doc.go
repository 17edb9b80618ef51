// Package files is the server's side of looking at, fetching and putting files
// on servers, through their agents.
//
// Each call is signed for one path on one target, for reading or for writing.
// What may be done is what the agent's user may do there. Names and paths are
// bytes, as Linux has them: they are passed on as they are and shown with
// Shown. A file that is put there is there whole, or not at all.
package files
