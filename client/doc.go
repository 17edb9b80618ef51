// Package client calls a Cronium server's API, /api/v1, as its command line does.
//
// A Client is an address and a token. Do asks one question; List reads a list
// page by page; Follow reads a stream of events and comes back behind the last
// one when the connection is cut. What the server refuses is an *Error with the
// server's own words.
package client
