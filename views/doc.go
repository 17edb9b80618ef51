// Package views holds the pages: one page, one file. A page is a struct that a
// handler fills, embedding layout.Frame, and its method Page gives the HTML.
// Pieces of a page that are sent alone, for live updates, are methods too.
//
// Views know the domain's types and nothing of requests or the store. What was
// typed into a form comes back in the struct together with the problems, so
// that nothing is lost when it is not accepted.
package views
