// Package handlers is HTTP in: pages, /api/v1, live streams. A handler parses,
// calls a package that does the work, and renders; it decides nothing.
//
// There is one table of routes (router.go). Each names its method, pattern,
// kind and the permission it needs, and one function (serve, middleware.go)
// admits requests to all of them: origin, body limit, who asks, may they. A
// file of handlers adds its routes by a method like jobRoutes. Operations of
// the API are routes of the same table (operations.go).
//
// A handler returns an error; fail (errors.go) turns it into a page, a fragment
// or problem+json, by the kind of the route. Pages are rendered into a buffer
// before the first byte is sent (render.go).
package handlers
