package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/bundle"
	"cronium.dev/cronium"
	"cronium.dev/live"
)

// maxApplied bounds the documents of one call, in bytes: all scripts are in it.
const maxApplied = bundle.MaxBytes * 2

func (a *api) bundleOperations() {
	add(a, operation{method: http.MethodGet, path: "/bundle", permission: cronium.PermissionRead, id: "export-bundle", tag: "Files",
		summary:     "Give the workspace as documents",
		description: "Events that are not archived with their schedules and webhooks, variables without the values of secrets, servers over SSH without what signs in to them. cronium export writes them as YAML."}, a.exportBundle)
	add(a, operation{method: http.MethodPost, path: "/bundle", permission: cronium.PermissionWrite, id: "apply-bundle", tag: "Files", maxBody: maxApplied,
		summary: "Make the workspace what documents say",
		description: "All of it in one transaction, or nothing. Fields that are left out are as in a new thing; a variable's value stays as it is unless it is given. " +
			"What no document has stays, unless prune asks for it to go: events and servers are archived, the rest is deleted. dry_run says what would change, and whether it could be done. " +
			"Servers may be changed by administrators."}, a.postBundle)
	add(a, operation{method: http.MethodGet, path: "/bundle/schema", permission: cronium.PermissionPublic, id: "get-bundle-schema", tag: "Files",
		summary: "The JSON Schema of such documents, for editors", responses: map[string]*huma.Response{"200": {Description: "JSON Schema 2020-12",
			Content: map[string]*huma.MediaType{"application/schema+json": {Schema: &huma.Schema{Type: "object"}}}}}}, a.bundleSchema)
}

type exportBundleOutput struct {
	Body struct {
		Documents []apiDocument `json:"documents"`
	}
}

// apiDocument is a document as the API has it.
type apiDocument struct {
	Kind   string          `json:"kind" enum:"variable,server,event"`
	Name   string          `json:"name" doc:"Of a variable its key, with @ and its environment where it has one"`
	Fields json.RawMessage `json:"fields" doc:"As /bundle/schema describes them"`
	File   string          `json:"file,omitempty" doc:"Where it was read, for messages"`
	Line   int             `json:"line,omitempty"`
}

func (a *api) exportBundle(ctx context.Context, _ *struct{}) (*exportBundleOutput, error) {
	now, err := a.workspaceAsDocuments(ctx, who(ctx).WorkspaceID)
	if err != nil {
		return nil, err
	}
	out := &exportBundleOutput{}
	out.Body.Documents = make([]apiDocument, 0, len(now.documents))
	for _, d := range now.documents {
		out.Body.Documents = append(out.Body.Documents, apiDocument(d))
	}
	return out, nil
}

type applyBundleInput struct {
	Body struct {
		Documents []apiDocument `json:"documents,omitempty" doc:"Required, at most 2,000"`
		DryRun    bool          `json:"dry_run,omitempty" doc:"Change nothing"`
		Prune     bool          `json:"prune,omitempty" doc:"Take out what no document has"`
	}
}

type applyBundleOutput struct {
	Body struct {
		Applied bool            `json:"applied" doc:"false after a dry run"`
		Changes []bundle.Change `json:"changes" doc:"What became, or would become, of each thing"`
	}
}

func (a *api) postBundle(ctx context.Context, in *applyBundleInput) (*applyBundleOutput, error) {
	var problems cronium.Problems
	problems.Add(len(in.Body.Documents) > 0, "documents", "must be there")
	problems.Add(len(in.Body.Documents) <= bundle.MaxDocuments, "documents", "must be at most %d", bundle.MaxDocuments)
	if err := problems.Err("The documents"); err != nil {
		return nil, err
	}
	documents := make([]bundle.Document, len(in.Body.Documents))
	for i, d := range in.Body.Documents {
		documents[i] = bundle.Document(d)
		if len(d.Fields) == 0 {
			documents[i].Fields = json.RawMessage("{}")
		}
	}
	changes, err := a.applyBundle(ctx, documents, in.Body.DryRun, in.Body.Prune)
	if err != nil {
		return nil, err
	}
	out := &applyBundleOutput{}
	out.Body.Applied, out.Body.Changes = !in.Body.DryRun, changes
	return out, nil
}

// bundleApplied tells the pages that show what may have changed.
func (h *Handlers) bundleApplied(ctx context.Context) {
	workspace := who(ctx).WorkspaceID
	h.Hub.Publish(live.WebhooksTopic(workspace), live.ServersTopic(workspace))
	h.Log.InfoContext(ctx, "files applied", "workspace", workspace, "by", who(ctx).UserID)
}

func (a *api) bundleSchema(context.Context, *struct{}) (*huma.StreamResponse, error) {
	text, err := bundleSchema()
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", "application/schema+json")
		_, _ = c.BodyWriter().Write(text) // the client may be gone
	}}, nil
}

// bundleSchema describes documents, from the types that they are read into.
func bundleSchema() ([]byte, error) {
	registry := huma.NewMapRegistry("#/$defs/", func(t reflect.Type, hint string) string { return schemaName(t, hint) })
	var kinds []any
	for _, k := range []struct {
		kind     string
		form     reflect.Type
		required []string
	}{
		{bundle.KindEvent, reflect.TypeFor[bundledEvent](), []string{"kind", "name", "type", "content"}},
		{bundle.KindVariable, reflect.TypeFor[bundledVariable](), []string{"kind", "key"}},
		{bundle.KindServer, reflect.TypeFor[bundledServer](), []string{"kind", "name", "address", "user"}},
	} {
		schema := registry.SchemaFromRef(registry.Schema(k.form, true, k.kind).Ref)
		schema.Properties["kind"] = &huma.Schema{Extensions: map[string]any{"const": k.kind}}
		schema.Required = k.required
		if k.kind == bundle.KindVariable {
			schema.Properties["value_env"] = &huma.Schema{Type: "string", Description: "Instead of a value: the environment variable of cronium apply that has it"}
		}
		kinds = append(kinds, map[string]any{"$ref": "#/$defs/" + schemaName(k.form, k.kind)})
	}
	defs := registry.Map()
	for name, schema := range defs { // what is left out has its default
		if schema.Properties["kind"] == nil {
			schema.Required = nil
		}
		if name == "File" {
			schema.Properties["from"] = &huma.Schema{Type: "string", Description: "Instead of a content: the file beside this one that has it"}
		}
	}
	text, err := json.MarshalIndent(map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A thing of a Cronium workspace", "oneOf": kinds, "$defs": defs}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe documents: %w", err)
	}
	return text, nil
}
