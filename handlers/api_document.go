package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/cronium"
)

// documentOperations serves the OpenAPI document, which names these addresses
// too. It is the last to be declared: the document is made when all is.
func (a *api) documentOperations() {
	for _, format := range []struct{ path, mediaType string }{{"/openapi.json", "application/openapi+json"}, {"/openapi.yaml", "application/openapi+yaml"}} {
		content := map[string]*huma.MediaType{format.mediaType: {Schema: &huma.Schema{Type: "object"}}}
		if format.path == "/openapi.yaml" {
			content[format.mediaType].Schema.Type = "string"
		}
		add(a, operation{
			method: http.MethodGet, path: format.path, permission: cronium.PermissionPublic, id: "openapi-" + format.path[len("/openapi."):], tag: "Document",
			summary: "This document", responses: map[string]*huma.Response{"200": {Description: "OpenAPI 3.1", Content: content}},
		}, func(context.Context, *struct{}) (*huma.StreamResponse, error) {
			document := a.spec
			if format.path == "/openapi.yaml" {
				document = a.yaml
			}
			return &huma.StreamResponse{Body: func(ctx huma.Context) {
				ctx.SetHeader("Content-Type", format.mediaType)
				_, _ = ctx.BodyWriter().Write(document) // the client may be gone
			}}, nil
		})
	}
	var err error
	if a.spec, err = json.Marshal(a.huma.OpenAPI()); err == nil {
		a.yaml, err = a.huma.OpenAPI().YAML()
	}
	if err != nil {
		panic(fmt.Errorf("make the OpenAPI document: %w", err)) // the program is wrong
	}
}

// OpenAPI describes the API without a server: for what is generated from it.
func OpenAPI() *huma.OpenAPI {
	h := &Handlers{}
	h.apiRoutes()
	return h.openAPI
}
