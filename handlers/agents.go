package handlers

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"

	"cronium.dev/cronium"
	"cronium.dev/executor/installed"
)

// Agents are the agents that dial in: *installed.Backend.
type Agents interface {
	// Accept answers an agent that dials in or joins. After an error nothing
	// has been answered yet.
	Accept(w http.ResponseWriter, r *http.Request, address netip.Addr) error
	NewCode() (code string, hash []byte)
	Binary(arch string) (installed.Binary, error)
}

// agentArchs are the machines that there are agents for.
var agentArchs = []string{"amd64", "arm64"}

const agentBinaryPath = "/agent/v1/binary/"

func (h *Handlers) agentRoutes() []Route {
	routes := []Route{
		{Method: http.MethodGet, Pattern: installed.Path, Permission: cronium.PermissionPublic, Kind: KindAgent, Handle: h.acceptAgent},
	}
	for _, arch := range agentArchs {
		routes = append(routes, Route{
			Method: http.MethodGet, Pattern: agentBinaryPath + arch, Permission: cronium.PermissionPublic, Kind: KindAgent,
			Handle: func(w http.ResponseWriter, r *http.Request) error { return h.agentBinary(w, r, arch) },
		})
	}
	return routes
}

// acceptAgent lets an agent in, or not: that is decided by what it shows inside.
func (h *Handlers) acceptAgent(w http.ResponseWriter, r *http.Request) error {
	if h.Agents == nil {
		return cronium.ErrNotFound
	}
	return h.Agents.Accept(w, r, requestOf(r).address)
}

// agentBinary serves the agent's program. It is the same for everybody and holds
// no secret.
func (h *Handlers) agentBinary(w http.ResponseWriter, r *http.Request, arch string) error {
	if h.Agents == nil {
		return cronium.ErrNotFound
	}
	binary, err := h.Agents.Binary(arch)
	if err != nil {
		return err
	}
	file, err := os.Open(binary.File)
	if err != nil {
		return fmt.Errorf("open the agent for %s: %w", arch, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open the agent for %s: %w", arch, err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="cronium-agent"`)
	w.Header().Set("X-Content-Sha256", binary.SHA256)
	http.ServeContent(w, r, "", info.ModTime(), file)
	return nil
}
