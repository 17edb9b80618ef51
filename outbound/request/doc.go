// Package request is an HTTP request as an event of the type HTTP request has
// it, in a file request.json: what is sent, what is expected of the answer, and
// the sending itself.
//
// Texts of a request may hold {{input.customer}}, {{variables.KEY}} and
// {{secrets.KEY}}. Each value is put in as the place needs it: escaped in an
// address, as a whole value or a text in JSON, encoded in a form. No value can
// become another part of the request, except one at the very beginning of the
// address, which may be all of it.
//
// Server and agent have this package: the server checks what is saved, the agent
// sends. It uses the standard library alone.
package request
