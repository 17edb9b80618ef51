package handlers

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"cronium.dev/cronium"
)

func (h *Handlers) artifactRoutes() []Route {
	return []Route{
		{Method: http.MethodGet, Pattern: "/executions/{id}/artifact", Permission: cronium.PermissionRead, Kind: KindStream, Handle: h.downloadArtifact},
	}
}

// downloadArtifact is for browsers what the API's is for programs: errors are
// pages.
func (h *Handlers) downloadArtifact(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		h.fail(w, r, KindPage, err)
		return nil
	}
	a, content, err := h.openArtifact(r.Context(), id, r.URL.Query().Get("name"))
	if err != nil {
		h.fail(w, r, KindPage, err)
		return nil
	}
	h.sendArtifact(w, r, a, content)
	return nil
}

func (h *Handlers) openArtifact(ctx context.Context, execution cronium.ID, name string) (*cronium.Artifact, io.ReadCloser, error) {
	a, err := h.Store.Artifact(ctx, who(ctx).WorkspaceID, execution, name)
	if err != nil {
		return nil, nil, err
	}
	content, err := h.Artifacts.Open(ctx, a, 0)
	return a, content, err
}

// sendArtifact sends a file as something to be saved: whatever is in it, a browser
// shows none of it as a page of ours.
func (h *Handlers) sendArtifact(w http.ResponseWriter, r *http.Request, a *cronium.Artifact, content io.ReadCloser) {
	defer content.Close()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Name}))
	header.Set("Content-Length", strconv.FormatInt(a.Size, 10))
	header.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(a.SHA256)+":")
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(h.patientWriter(w), content); err != nil {
		if r.Context().Err() == nil && !errors.Is(err, context.Canceled) {
			h.Log.WarnContext(r.Context(), "download cut", "artifact", a.ID, "error", err)
		}
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	}
}

// apiArtifact is a file as the API shows it.
type apiArtifact struct {
	ID          cronium.ID `json:"id"`
	ExecutionID cronium.ID `json:"execution_id"`
	Name        string     `json:"name" doc:"Unique in its execution"`
	Size        int64      `json:"size" doc:"Bytes"`
	SHA256      string     `json:"sha256" doc:"Hexadecimal"`
	CreatedAt   time.Time  `json:"created_at"`
}

func (a *api) artifactOperations() {
	add(a, operation{method: http.MethodGet, path: "/jobs/{id}/artifacts", permission: cronium.PermissionRead, id: "list-artifacts", tag: "Artifacts",
		summary: "List the files that a job's executions have kept", description: "By execution and name, the first 1,000."}, a.listArtifacts)
	add(a, operation{method: http.MethodGet, path: "/executions/{id}/artifact", permission: cronium.PermissionRead, id: "get-artifact", tag: "Artifacts", kind: KindStream,
		summary: "Read a file that an execution has kept", description: "Its bytes as they are, as an attachment; Repr-Digest is their SHA-256.",
		responses: map[string]*huma.Response{"200": {Description: "The file", Content: map[string]*huma.MediaType{
			"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		}}}}, a.getArtifact)
}

type artifactsOutput struct {
	Body struct {
		Artifacts []apiArtifact `json:"artifacts"`
	}
}

func (a *api) listArtifacts(ctx context.Context, in *jobInput) (*artifactsOutput, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := a.Store.Job(ctx, who(ctx).WorkspaceID, id); err != nil {
		return nil, err
	}
	list, err := a.Store.Artifacts(ctx, who(ctx).WorkspaceID, id)
	if err != nil {
		return nil, err
	}
	out := &artifactsOutput{}
	out.Body.Artifacts = make([]apiArtifact, 0, len(list))
	for _, f := range list {
		out.Body.Artifacts = append(out.Body.Artifacts, apiArtifact{
			ID: f.ID, ExecutionID: f.ExecutionID, Name: f.Name, Size: f.Size, SHA256: hex.EncodeToString(f.SHA256), CreatedAt: f.CreatedAt,
		})
	}
	return out, nil
}

type getArtifactInput struct {
	ID   string `path:"id"`
	Name string `query:"name" doc:"As list-artifacts names it"`
}

func (a *api) getArtifact(ctx context.Context, in *getArtifactInput) (*huma.StreamResponse, error) {
	id, err := apiID(in.ID)
	if err != nil {
		return nil, err
	}
	file, content, err := a.openArtifact(ctx, id, in.Name)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humachi.Unwrap(ctx)
		a.sendArtifact(w, r, file, content)
	}}, nil
}
