package handlers

import (
	"net/http"

	"cronium.dev/cronium"
	"cronium.dev/views/layout"
)

// frame is what every page has around its content. Fields that only some pages
// need (Path, Modules, Live, Said, counts) are set by those.
func (h *Handlers) frame(r *http.Request, title string, nav layout.Nav) layout.Frame {
	f := layout.Frame{Title: title, Nav: nav, Principal: principal(r), Assets: h.Static}
	if c, err := r.Cookie("theme"); err == nil {
		f.Theme = c.Value
	}
	if h.ProcessTarget && f.Principal != nil {
		f.Notices = append(f.Notices, layout.Notice{
			Class: "is-warning", Icon: "alert",
			Text: "The target “process” is switched on: its events run on this machine without isolation. For development only.",
		})
	}
	return f
}

func (h *Handlers) staticRoutes() []Route {
	return []Route{{
		Method: http.MethodGet, Pattern: "/static/*", Permission: cronium.PermissionPublic, Kind: KindStatic,
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			h.Static.ServeHTTP(w, r)
			return nil
		},
	}}
}
