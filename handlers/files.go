package handlers

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"cronium.dev/cronium"
	"cronium.dev/files"
	"cronium.dev/views"
	"cronium.dev/views/layout"
)

func (h *Handlers) fileRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/servers/{id}/files", Permission: cronium.PermissionTerminal, Kind: KindPage, Handle: h.filesPage},
		{Method: http.MethodGet, Pattern: "/servers/{id}/files/download", Permission: cronium.PermissionTerminal, Kind: KindStream, Handle: h.downloadFile},
	}
}

// filesPage shows a folder of a server, or says why it cannot.
func (h *Handlers) filesPage(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Query().Get("path")
	folder, server, err := h.folder(r.Context(), chi.URLParam(r, "id"), path)
	if server == nil {
		return err
	}
	page := views.Files{Server: *server, Path: path, Shown: files.Shown(path)}
	status := http.StatusOK
	if err != nil {
		var public *cronium.Error
		if !errors.As(err, &public) || public.Code == cronium.CodeInternal {
			return err
		}
		// What a link leads to is known only now.
		if public.Code == cronium.CodeInvalid && r.URL.Query().Has("link") {
			return redirect(w, r, "/servers/"+server.ID.String()+"/files/download?path="+url.QueryEscape(path))
		}
		status, page.Problem = public.Code.Status(), public.Message
	} else {
		page.Path, page.Shown, page.Truncated = folder.Path, files.Shown(folder.Path), folder.Truncated
		for _, f := range folder.Files {
			page.Rows = append(page.Rows, views.FileRow{
				Name: files.Shown(f.Name), Path: folder.Join(f.Name), Mode: f.Mode, Size: f.Size, Owner: f.Owner, Link: files.Shown(f.Link), Modified: f.Modified,
			})
		}
	}
	if page.Frame, err = h.serversFrame(r, "Files", serversCrumb(), layout.Crumb{Label: server.Name, URL: "/servers/" + server.ID.String()}); err != nil {
		return err
	}
	page.Modules = []string{"js/upload.js"}
	return h.render(w, r, status, page.Page())
}

// downloadFile is for browsers what the API's content is for programs: errors
// are pages.
func (h *Handlers) downloadFile(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Query().Get("path")
	download, server, err := h.openFile(r.Context(), chi.URLParam(r, "id"), path)
	if err != nil {
		h.fail(w, r, KindPage, err)
		return nil
	}
	h.sendFile(r.Context(), w, w.Header().Set, server, path, download)
	return nil
}
