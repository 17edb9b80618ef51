package handlers

// Mount puts other routes in place of the table, after those for signing in.
func (h *Handlers) Mount(routes []Route) {
	h.mount(append(h.signInRoutes(), routes...))
}

// CheckTable is what refuses an incomplete table.
var CheckTable = checkTable
