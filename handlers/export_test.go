package handlers

import (
	"net/http"

	"github.com/a-h/templ"
)

// Mount puts other routes in place of the table, after those for signing in.
func (h *Handlers) Mount(routes []Route) {
	h.mount(append(h.signInRoutes(), routes...))
}

// CheckTable is what refuses an incomplete table.
var CheckTable = checkTable

// Render is what every page goes through.
func (h *Handlers) Render(w http.ResponseWriter, r *http.Request, status int, component templ.Component) error {
	return h.render(w, r, status, component)
}
