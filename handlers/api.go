package handlers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"cronium.dev/auth"
	"cronium.dev/cronium"
)

// apiPrefix is before every address of the API.
const apiPrefix = "/api/v1"

// maxAPIBody lets an event's files and input through, in bytes.
const maxAPIBody = 8 << 20

// api gathers the operations of /api/v1. Each is a route of the one table and a
// part of the OpenAPI document, both made from the same Go types.
type api struct {
	*Handlers
	huma  huma.API
	table operations
	spec  []byte // JSON
	yaml  []byte
	// searches has a place for each search that may be under way: one reads as
	// fast as it can.
	searches chan struct{}
}

// maxSearches is how many outputs are searched at once.
const maxSearches = 4

// operation is what an operation of the API is declared with.
type operation struct {
	method, path string // path without apiPrefix
	permission   cronium.Permission
	id           string // the name for generated clients
	summary      string
	description  string
	status       int // of success; 0 = 200
	tag          string
	kind         Kind // "" = KindAPI
	responses    map[string]*huma.Response
	maxBody      int64 // bytes; 0 = maxAPIBody
}

func (h *Handlers) apiRoutes() []Route {
	a := &api{Handlers: h, searches: make(chan struct{}, maxSearches)}
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Cronium", Version: h.Version,
				Description: "Events, their runs and their output. Errors are problem+json (RFC 9457). Lists are read page by page: " +
					"pass next as cursor, or follow the header Link. An unknown id and one of another workspace are the same 404.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "An API token, made under Settings."},
					"session": {Type: "apiKey", In: "cookie", Name: auth.CookieName, Description: "The cookie of a signed-in browser."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": jsonFormat(), "json": jsonFormat()},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{a.problemOfInput},
		// A filter that is misspelt would otherwise find everything.
		RejectUnknownQueryParameters: true,
	}
	a.table.shape = a.shape
	a.huma = huma.NewAPI(config, &a.table)
	a.relaxContent()
	a.eventOperations()
	a.versionOperations()
	a.jobOperations()
	a.queueOperations()
	a.bundleOperations()
	a.scheduleOperations()
	a.webhookOperations()
	a.outboundOperations()
	a.variableOperations()
	a.executionOperations()
	a.artifactOperations()
	a.mergedOperations()
	a.serverOperations()
	a.overviewOperations()
	a.agentOperations()
	a.terminalOperations()
	a.fileOperations()
	a.accountOperations()
	a.sessionOperations()
	a.peopleOperations()
	a.documentOperations()
	h.openAPI = a.huma.OpenAPI()
	return withCompatible(a.table.routes)
}

// schemaName names a type in the OpenAPI document.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	return strings.TrimPrefix(strings.TrimPrefix(name, "Api"), "API")
}

// jsonFormat is JSON with a bound on its depth, whose errors say what would be
// right.
func jsonFormat() huma.Format {
	format := huma.DefaultJSONFormat
	format.Unmarshal = func(data []byte, v any) error {
		if cronium.JSONDepth(data) > maxJSONDepth {
			return fmt.Errorf("must be nested at most %d deep", maxJSONDepth)
		}
		return jsonProblem(json.Unmarshal(data, v))
	}
	return format
}

const maxJSONDepth = 100

// add declares an operation. handle gets an input that fits its type.
func add[I, O any](a *api, o operation, handle func(context.Context, *I) (*O, error)) {
	if o.kind == "" {
		o.kind = KindAPI
	}
	op := huma.Operation{
		Method: o.method, Path: apiPrefix + o.path, OperationID: o.id, Summary: o.summary, Description: o.description,
		Tags: []string{o.tag}, DefaultStatus: o.status, MaxBodyBytes: cmp.Or(o.maxBody, maxAPIBody),
		Metadata:  map[string]any{metaPermission: o.permission, metaKind: o.kind},
		Responses: map[string]*huma.Response{"default": a.problemResponse()},
	}
	for status, response := range o.responses {
		op.Responses[status] = response
	}
	if o.permission != cronium.PermissionPublic {
		op.Security = []map[string][]string{{"session": {}}}
		if cronium.ScopeFor(o.permission) != "" {
			op.Security = append(op.Security, map[string][]string{"token": {}})
		}
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.failed(ctx, &op, err)
		}
		return out, nil
	})
}

func (a *api) problemResponse() *huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "Problem")
	return &huma.Response{
		Description: "What went wrong",
		Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
	}
}

// apiError is a problem as huma writes it.
type apiError struct{ problem }

func (e *apiError) Error() string             { return e.Detail }
func (e *apiError) GetStatus() int            { return e.Status }
func (e *apiError) ContentType(string) string { return "application/problem+json" }

// failed turns an error of an operation into its answer, and logs it where it
// is ours: what fail does for the other routes.
func (a *api) failed(ctx context.Context, op *huma.Operation, err error) error {
	info, ok := ctx.Value(requestKey{}).(*request)
	if !ok {
		info = &request{}
	}
	p := problemOf(err, info.id)
	if p.Status >= 500 && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		a.Log.ErrorContext(ctx, "request failed", "request", info.id, "method", op.Method, "pattern", op.Path, "error", err)
	}
	var e *cronium.Error
	if errors.As(err, &e) && e.Wait > 0 {
		return huma.ErrorWithHeaders(&apiError{p}, http.Header{"Retry-After": {retryAfter(e.Wait)}})
	}
	return &apiError{p}
}

// raw is JSON as it was sent, or nil for null and for nothing.
func raw(sent json.RawMessage) json.RawMessage {
	if sent = bytes.TrimSpace(sent); len(sent) == 0 || string(sent) == "null" {
		return nil
	}
	return sent
}

// apiID reads an id from a path. What is not an id is not found.
func apiID(s string) (cronium.ID, error) {
	id, ok := cronium.ParseID(s)
	if !ok {
		return id, cronium.ErrNotFound
	}
	return id, nil
}

// who is the principal of an operation that needs one.
func who(ctx context.Context) *cronium.Principal { return auth.FromContext(ctx) }
