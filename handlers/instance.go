package handlers

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"cronium.dev/executor/container"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

// aboutPage says which programs these are.
func (h *Handlers) aboutPage(w http.ResponseWriter, r *http.Request) error {
	database, err := h.Store.Version(r.Context())
	if err != nil {
		return err
	}
	frame, err := h.settingsFrame(r, "About")
	if err != nil {
		return err
	}
	page := views.SettingsAbout{
		Frame: frame, Version: h.Version, Commit: commit(), Go: runtime.Version(),
		Database: database, Started: h.Started,
	}
	if h.Containers != nil {
		page.Engine = engineName(h.Containers.Status(r.Context()))
	}
	return h.render(w, r, http.StatusOK, page.Page())
}

// commit is the source that the program was built from, if the build noted it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return ""
}

// enginePage says where scripts run and how full it is.
func (h *Handlers) enginePage(w http.ResponseWriter, r *http.Request) error {
	database, err := h.Store.Version(r.Context())
	if err != nil {
		return err
	}
	processes, err := h.Store.Processes(r.Context())
	if err != nil {
		return err
	}
	counts, err := h.Store.Counts(r.Context())
	if err != nil {
		return err
	}
	frame, err := h.settingsFrame(r, "Engine")
	if err != nil {
		return err
	}
	status := h.Engine.Status()
	page := views.SettingsEngine{
		Slots: status.MaxRuns, Running: status.Running, Queued: counts.Queued,
		Frame: frame, ProcessTarget: h.ProcessTarget,
		Database: views.DatabaseState{OK: true, Name: database},
	}
	for _, p := range processes {
		page.Processes = append(page.Processes, views.ServerProcess{
			Hostname: p.Hostname, PID: p.PID, Version: p.Version, StartedAt: p.StartedAt, Alive: p.Alive, This: p.ID == status.ProcessID,
		})
	}
	h.describeContainers(r, &page)
	return h.render(w, r, http.StatusOK, page.Page())
}

func (h *Handlers) describeContainers(r *http.Request, page *views.SettingsEngine) {
	if h.Containers == nil {
		page.Engine.Problem = "This server process runs no containers."
		return
	}
	status := h.Containers.Status(r.Context())
	page.Engine = views.EngineState{OK: status.Error == "", Name: engineName(status), Problem: status.Error}
	page.Image, page.ImageReady = status.Image, status.ImageReady
	for _, warning := range status.Warnings {
		page.Notices = append(page.Notices, layout.Notice{Class: "is-warning", Icon: "alert", Text: warning})
	}
	for _, idle := range status.Pool {
		page.Warm = append(page.Warm, views.WarmPlaces{
			Image: idle.Image, Network: idle.Network, Memory: idle.MemoryMiB, Ready: idle.Count, Wanted: idle.Target,
		})
	}
}

func engineName(status container.Status) string {
	if status.Engine == "" {
		return ""
	}
	return "Docker " + status.Engine
}
