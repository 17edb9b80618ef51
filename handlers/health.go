package handlers

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"cronium.dev/cronium"
)

// readyLimit is how long the database may take to answer before the server
// counts as not ready.
const readyLimit = 3 * time.Second

func (h *Handlers) healthRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/healthz", Permission: cronium.PermissionPublic, Kind: KindStatic, Handle: h.healthz},
		{Method: http.MethodGet, Pattern: "/readyz", Permission: cronium.PermissionPublic, Kind: KindStatic, Handle: h.readyz},
		{Method: http.MethodGet, Pattern: "/metrics", Permission: cronium.PermissionMetrics, Kind: KindAPI, Handle: h.serveMetrics},
	}
}

// healthz says that the process lives. It asks nobody, so that a database that
// is away does not get the process restarted.
func (h *Handlers) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeHealth(w, http.StatusOK, map[string]string{"status": "alive"})
}

// readyz says whether requests may be sent here. Why not is in the log: this
// address is open to everybody.
func (h *Handlers) readyz(w http.ResponseWriter, r *http.Request) error {
	state := map[string]string{"status": "ready", "database": "ready"}
	status := http.StatusOK
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	if err := h.Store.Ping(ctx); err != nil {
		h.Log.WarnContext(r.Context(), "not ready", "error", err)
		state["status"], state["database"], status = "not ready", "does not answer", http.StatusServiceUnavailable
	}
	if h.Draining != nil && h.Draining.Err() != nil {
		state["status"], status = "stopping", http.StatusServiceUnavailable
	}
	return writeHealth(w, status, state)
}

func writeHealth(w http.ResponseWriter, status int, state map[string]string) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(state)
}
