// Package migrations carries the database's history as SQL files, applied in
// the order of their numbers by store.Migrate, forward only. A file that has
// been released is never changed; a mistake is mended by the next one.
package migrations

import "embed"

// Files holds the NNNN_name.sql files.
//
//go:embed *.sql
var Files embed.FS
