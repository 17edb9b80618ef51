package handlers

// compatible are addresses of earlier Cronium clients, and the operations of
// /api/v1 that answer there as well, in their own shapes. docs/api.md lists them.
var compatible = []struct{ old, path string }{
	{"/api/events", "/events"},
	{"/api/events/{id}", "/events/{id}"},
	{"/api/events/{id}/execute", "/events/{id}/run"},
	{"/api/logs", "/jobs"},
	{"/api/logs/{id}", "/jobs/{id}"},
	{"/api/variables", "/variables"},
	{"/api/variables/{id}", "/variables/{id}"},
	{"/api/servers", "/servers"},
	{"/api/servers/{id}", "/servers/{id}"},
}

// withCompatible adds the old addresses to routes of the API: the same
// permission, the same handler.
func withCompatible(routes []Route) []Route {
	for _, c := range compatible {
		for _, route := range routes {
			if route.Pattern == apiPrefix+c.path {
				route.Pattern = c.old
				routes = append(routes, route)
			}
		}
	}
	return routes
}
