// Package bundle reads and writes the things of a workspace as YAML, for files
// under version control: events with their schedules and webhooks, variables,
// servers.
//
// A file has one or several documents; each is one thing and says its kind and
// name:
//
//	kind: event
//	name: Nightly backup
//	type: BASH
//	status: ACTIVE
//	content:
//	  files:
//	    - name: backup.sh
//	      from: backup.sh        # a file beside this one
//	schedules:
//	  - name: nightly
//	    expression: 0 2 * * *
//	    zone: Europe/Berlin
//
// Read turns text into documents and says where what is wrong stands, Write does
// the reverse, Compare says what would change. What the fields mean is the API's
// to say: a document is that of the API, with names in place of ids.
package bundle

import "encoding/json"

// The kinds of things, in the order in which they are applied: what others name
// comes first.
const (
	KindVariable = "variable"
	KindServer   = "server"
	KindEvent    = "event"
)

// Kinds lists them in that order.
var Kinds = []string{KindVariable, KindServer, KindEvent}

// Bounds of what is read.
const (
	MaxBytes     = 8 << 20 // of all documents
	MaxDocuments = 2_000
)

// Document is one thing.
type Document struct {
	Kind   string          `json:"kind"`
	Name   string          `json:"name"`             // of a variable: its key, and @environment where it has one
	Fields json.RawMessage `json:"fields,omitempty"` // all of it but the kind, as JSON
	File   string          `json:"file,omitempty"`   // where it was read
	Line   int             `json:"line,omitempty"`   // from 1
}

// ID is what tells a document from others: its kind and name.
func (d Document) ID() string { return d.Kind + " " + d.Name }
