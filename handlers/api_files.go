package handlers

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
	"cronium.dev/files"
)

// apiServerFile is a file on a server as the API shows it.
type apiServerFile struct {
	Name     string    `json:"name" doc:"As it can be shown; url leads to the file also when its name is no text"`
	Size     int64     `json:"size" doc:"Bytes"`
	Mode     string    `json:"mode" doc:"As ls -l writes it"`
	Owner    string    `json:"owner"`
	Link     string    `json:"link,omitempty" doc:"Where a symbolic link points"`
	Folder   bool      `json:"folder"`
	Modified time.Time `json:"modified"`
	URL      string    `json:"url" doc:"Of the file's content, or of the folder's list"`
}

func (a *api) fileOperations() {
	operate := func(method, path, id, summary string, kind Kind) operation {
		return operation{method: method, path: "/servers/{id}/files" + path, permission: cronium.PermissionTerminal, id: id, tag: "Files", summary: summary, kind: kind}
	}
	add(a, operate(http.MethodGet, "", "list-files", "List a folder of a server, at most 5,000 files", KindAPI), a.listFiles)
	read := operate(http.MethodGet, "/content", "read-file", "Download a file from a server", KindStream)
	anything := map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
	read.responses = map[string]*huma.Response{"200": {Description: "The file", Content: anything}}
	add(a, read, a.readFile)
	write := operate(http.MethodPut, "/content", "write-file", "Upload a file to a server", KindStream)
	write.description = "The body is the file, 1 GiB at most, with its Content-Length. A file that is there is replaced only with replace=true. Nothing is written unless all has come."
	write.status, write.maxBody = http.StatusNoContent, files.MaxUpload
	add(a, write, a.writeFile)
}

type filesInput struct {
	ID   string `path:"id"`
	Path string `query:"path" doc:"Absolute; without it, the home of the agent's user"`
}

type filesOutput struct {
	Body struct {
		Path      string          `json:"path"`
		Files     []apiServerFile `json:"files" doc:"Folders first, then by name"`
		Truncated bool            `json:"truncated" doc:"The folder has more"`
	}
}

// filesOf is a server whose files this process may be asked for.
func (h *Handlers) filesOf(ctx context.Context, id cronium.ID) (*cronium.Server, error) {
	server, err := h.Store.Server(ctx, who(ctx).WorkspaceID, id)
	if err == nil && h.Files == nil {
		err = cronium.Errorf(cronium.CodeUnavailable, "This server process reaches no servers.")
	}
	return server, err
}

func (a *api) listFiles(ctx context.Context, in *filesInput) (*filesOutput, error) {
	folder, server, err := a.folder(ctx, in.ID, in.Path)
	if err != nil {
		return nil, err
	}
	out := &filesOutput{}
	out.Body.Path, out.Body.Truncated = files.Shown(folder.Path), folder.Truncated
	out.Body.Files = make([]apiServerFile, 0, len(folder.Files))
	for _, f := range folder.Files {
		one := apiServerFile{Name: files.Shown(f.Name), Size: f.Size, Mode: f.Mode.String(), Owner: f.Owner, Link: files.Shown(f.Link), Folder: f.Mode.IsDir(), Modified: f.Modified}
		one.URL = apiPrefix + "/servers/" + server.ID.String() + "/files"
		if !one.Folder {
			one.URL += "/content"
		}
		one.URL += "?path=" + url.QueryEscape(folder.Join(f.Name))
		out.Body.Files = append(out.Body.Files, one)
	}
	return out, nil
}

// folder lists a folder for whoever asks, and notes it.
func (h *Handlers) folder(ctx context.Context, id, path string) (*files.Folder, *cronium.Server, error) {
	server, err := h.fileServer(ctx, id)
	if err != nil {
		return nil, server, err
	}
	folder, err := h.Files.List(ctx, server, path)
	h.noteFile(ctx, "a folder was listed", server, path, err)
	return folder, server, err
}

func (h *Handlers) fileServer(ctx context.Context, text string) (*cronium.Server, error) {
	id, err := apiID(text)
	if err != nil {
		return nil, err
	}
	return h.filesOf(ctx, id)
}

// noteFile logs who did what to which file, also when it was refused.
func (h *Handlers) noteFile(ctx context.Context, what string, server *cronium.Server, path string, err error, more ...any) {
	p := who(ctx)
	attrs := []any{"server", server.ID, "name", server.Name, "path", path, "workspace", p.WorkspaceID, "user", p.UserID, "by", p.DisplayName()}
	if err != nil {
		attrs = append(attrs, "refused", err)
	}
	h.Log.InfoContext(ctx, what, append(attrs, more...)...)
}

func (a *api) readFile(ctx context.Context, in *filesInput) (*huma.StreamResponse, error) {
	download, server, err := a.openFile(ctx, in.ID, in.Path)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		a.sendFile(c.Context(), c.BodyWriter(), c.SetHeader, server, in.Path, download)
	}}, nil
}

// openFile begins to read a file for whoever asks.
func (h *Handlers) openFile(ctx context.Context, id, path string) (*files.Download, *cronium.Server, error) {
	server, err := h.fileServer(ctx, id)
	if err != nil {
		return nil, server, err
	}
	download, err := h.Files.Open(ctx, server, path)
	if err != nil {
		h.noteFile(ctx, "a file was asked for", server, path, err)
	}
	return download, server, err
}

// sendFile sends what a server gives as something to be saved: a browser shows
// none of it.
func (h *Handlers) sendFile(ctx context.Context, w io.Writer, header func(name, value string), server *cronium.Server, path string, download *files.Download) {
	defer download.Close()
	header("Content-Type", "application/octet-stream")
	header("Content-Security-Policy", "default-src 'none'; sandbox")
	header("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": files.Shown(download.Name)}))
	header("Content-Length", strconv.FormatInt(download.Size, 10))
	n, err := io.Copy(w, download)
	h.noteFile(ctx, "a file was downloaded", server, path, err, "bytes", n)
	if err != nil {
		panic(http.ErrAbortHandler) // cut, so that nobody takes it for whole
	}
}

type writeFileInput struct {
	ID      string `path:"id"`
	Path    string `query:"path" required:"true" doc:"Absolute"`
	Replace bool   `query:"replace" doc:"Replace a file that is there"`
	size    int64
	body    io.Reader
}

// Resolve takes the body as a stream.
func (in *writeFileInput) Resolve(c huma.Context) []error {
	size, err := strconv.ParseInt(c.Header("Content-Length"), 10, 64)
	if err != nil {
		size = -1 // it came without
	}
	in.size, in.body = size, c.BodyReader()
	return nil
}

func (a *api) writeFile(ctx context.Context, in *writeFileInput) (*struct{}, error) {
	server, err := a.fileServer(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if in.size < 0 {
		return nil, cronium.Errorf(cronium.CodeInvalid, "Say how long the file is in the header Content-Length.")
	}
	err = a.Files.Put(ctx, server, files.Upload{Path: in.Path, Size: in.size, Replace: in.Replace}, in.body)
	a.noteFile(ctx, "a file was uploaded", server, in.Path, err, "bytes", in.size, "replace", in.Replace)
	return nil, err
}
