package handlers

import (
	"net/http"
	"runtime"
	"runtime/debug"

	"cronium.dev/views"
)

// aboutPage says which programs these are.
func (h *Handlers) aboutPage(w http.ResponseWriter, r *http.Request) error {
	database, err := h.Store.Version(r.Context())
	if err != nil {
		return err
	}
	page := views.SettingsAbout{
		Frame: h.settingsFrame(r, "About"), Version: h.Version, Commit: commit(), Go: runtime.Version(),
		Database: database, Started: h.Started,
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
	page := views.SettingsEngine{Frame: h.settingsFrame(r, "Engine"), ProcessTarget: h.ProcessTarget}
	database, err := h.Store.Version(r.Context())
	if err != nil {
		return err
	}
	page.Database = views.DatabaseState{OK: true, Name: database}
	processes, err := h.Store.Processes(r.Context())
	if err != nil {
		return err
	}
	for _, p := range processes {
		page.Processes = append(page.Processes, views.ServerProcess{
			Hostname: p.Hostname, PID: p.PID, Version: p.Version, StartedAt: p.StartedAt, Alive: p.Alive,
		})
	}
	return h.render(w, r, http.StatusOK, page.Page())
}
