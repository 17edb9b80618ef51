package handlers

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
)

// Keys of an operation's metadata. The permission is a cronium.Permission; the
// kind is KindAPI unless it says KindStream.
const (
	metaPermission = "permission"
	metaKind       = "kind"
)

// operations is where huma puts the API's operations: as routes of the one
// table, so that they pass the one check and are seen by whoever walks it. It
// is a huma.Adapter.
//
//	var table operations
//	api := huma.NewAPI(config, &table)
//	huma.Register(api, huma.Operation{…, Metadata: map[string]any{metaPermission: cronium.PermissionRead}}, h.apiJobs)
//	return table.routes
type operations struct {
	routes []Route
	shape  func(*huma.Operation) shaped // what else a reading operation can do
}

// Handle adds an operation. One without a permission stops the start of the
// server like any route without one.
func (o *operations) Handle(op *huma.Operation, handle func(huma.Context)) {
	permission, _ := op.Metadata[metaPermission].(cronium.Permission)
	kind, ok := op.Metadata[metaKind].(Kind)
	if !ok {
		kind = KindAPI
	}
	limit := op.MaxBodyBytes
	if limit > 0 {
		limit++ // so that huma sees that it is over the limit, and says it
	}
	answer := func(w http.ResponseWriter, r *http.Request) { handle(inputStatus{humachi.NewContext(op, r, w)}) }
	o.routes = append(o.routes, Route{
		Method: op.Method, Pattern: op.Path, Permission: permission, Kind: kind, MaxBody: limit,
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			answer(w, r)
			return nil
		},
	})
	if s := o.shape(op); kind == KindAPI && s.has != nil {
		o.routes[len(o.routes)-1].Handle = func(w http.ResponseWriter, r *http.Request) error { return s.answer(w, r, answer) }
	}
}

// inputStatus answers every input that is not accepted with 422, also one that
// is not JSON or not there at all.
type inputStatus struct{ operationContext }

// operationContext is huma's under a name that does not hide its method Context.
type operationContext = huma.Context

// SetStatus puts 422 in place of 400.
func (c inputStatus) SetStatus(status int) {
	if status == http.StatusBadRequest {
		status = http.StatusUnprocessableEntity
	}
	c.operationContext.SetStatus(status)
}

// Unwrap leads huma's adapter to the request.
func (c inputStatus) Unwrap() huma.Context { return c.operationContext }

// ServeHTTP is asked of an adapter and not used: the router serves the table.
func (o *operations) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
