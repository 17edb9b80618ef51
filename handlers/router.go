package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"cronium.dev/artifacts"
	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/executor/container"
	"cronium.dev/files"
	"cronium.dev/jobs"
	"cronium.dev/live"
	"cronium.dev/schedule"
	"cronium.dev/secrets"
	"cronium.dev/static"
	"cronium.dev/store"
	"cronium.dev/terminal"
)

// Config is what the handlers need.
type Config struct {
	Store   *store.Store
	Auth    *auth.Service
	Engine  Engine
	Hub     *live.Hub
	Tails   *live.Tails
	Log     *slog.Logger
	Version string
	Static  *static.Files
	Proxies auth.Proxies // whose X-Forwarded headers count
	Origin  string       // "https://cronium.example" where browsers do not reach the server by the Host they send; may be empty
	Started time.Time    // of this process
	// Containers is the container engine's side; nil if this process has none.
	Containers interface {
		Status(ctx context.Context) container.Status
	}
	// Agents are those that dial in; nil if this process takes none.
	Agents Agents
	// Box seals the passwords and private keys of servers.
	Box *secrets.Box
	// Tester tries connections to servers over SSH before they are saved; nil if
	// this process has none.
	Tester ServerTester
	// Terminals joins people to shells on servers; nil if this process has none.
	Terminals *terminal.Service
	// Files moves files to and from servers; nil if this process has none.
	Files *files.Service
	// Artifacts reads the files that scripts have kept; nil: those alone that are in
	// the database.
	Artifacts *artifacts.Keeper
	// ProcessTarget says that events may run on this machine without isolation.
	ProcessTarget bool
	// Draining ends when the server begins to stop: streams end then, and
	// /readyz says so. nil never ends.
	Draining context.Context
	// Recheck is how often a live stream asks whether its viewer may still see
	// it; 0 means every 15 s.
	Recheck time.Duration
	// APIRate is how many requests to the API a token, or a person's browsers, may
	// make in a minute; 0 means no limit.
	APIRate int
	// Patience is how long a browser may not take what a stream sends to it
	// before its connection is cut; 0 means 10 s.
	Patience time.Duration
}

// Engine runs jobs: *jobs.Engine.
type Engine interface {
	Enqueue(ctx context.Context, r jobs.Request) (*cronium.Job, error)
	Cancel(ctx context.Context, workspace, job cronium.ID, by string) error
	Content(ctx context.Context, workspace, event cronium.ID, version int) (cronium.Content, error)
	Deliver(ctx context.Context, d *cronium.Delivery, r jobs.Request, seen []store.Seen) (job *cronium.Job, first *cronium.ID, err error)
	Status() jobs.Status
}

// Kind says how a route is called and how it answers an error.
type Kind string

// The kinds. API tokens count for APIs and streams alone: a page is for a
// browser, and there for its session.
const (
	KindPage   Kind = "page"   // HTML; nobody signed in: to the sign-in page
	KindAPI    Kind = "api"    // JSON; errors are problem+json
	KindStream Kind = "stream" // an answer that stays open; errors are problem+json
	KindStatic Kind = "static" // files; nobody is asked who they are
	KindHook   Kind = "hook"   // a sender that shows who it is by a signature or a key; errors are problem+json
	KindAgent  Kind = "agent"  // an agent that shows who it is inside of what it opens; errors are problem+json
)

// Handler answers a request. What it returns before it has written anything is
// turned into an answer by the one adapter.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one line of the table.
type Route struct {
	Method     string
	Pattern    string // as chi takes it: "/jobs/{id}"
	Permission cronium.Permission
	Kind       Kind
	Handle     Handler
	MaxBody    int64 // bytes; 0 means 1 MiB
}

// Handlers is the server's http.Handler.
type Handlers struct {
	Config
	routes  []Route
	router  http.Handler
	csrf    *http.CrossOriginProtection
	metrics http.Handler
	rates   *rateLimits
	hooks   *hookLimits
	openAPI *huma.OpenAPI // what the page of the API shows
	// peopled is set once it is known that there are people: there are ever after.
	peopled atomic.Bool
	plans   schedule.Plans
	gzips   sync.Pool // of *gzip.Writer: each is 800 KB to make
}

// New makes the handler. It panics when a line of the table or the origin
// is not complete, because then the program is wrong.
func New(config Config) *Handlers {
	if config.Recheck == 0 {
		config.Recheck = 15 * time.Second
	}
	if config.Patience == 0 {
		config.Patience = 10 * time.Second
	}
	if config.Artifacts == nil {
		config.Artifacts = artifacts.New(artifacts.Config{Records: config.Store})
	}
	h := &Handlers{Config: config, csrf: http.NewCrossOriginProtection()}
	if config.Origin != "" {
		if err := h.csrf.AddTrustedOrigin(config.Origin); err != nil {
			panic(err)
		}
	}
	h.metrics = newMetrics(h)
	h.rates = newRateLimits(config.APIRate)
	h.hooks = newHookLimits()
	h.mount(h.table())
	return h
}

func (h *Handlers) mount(routes []Route) {
	if err := checkTable(routes); err != nil {
		panic(err)
	}
	h.routes = routes
	router := chi.NewRouter()
	for _, route := range routes {
		router.Method(route.Method, route.Pattern, h.serve(route))
		if route.Method == http.MethodGet && route.Kind != KindStream {
			router.Method(http.MethodHead, route.Pattern, h.serve(route))
		}
	}
	router.NotFound(h.serveOutside(func(http.ResponseWriter, *http.Request) error { return cronium.ErrNotFound }))
	router.MethodNotAllowed(h.serveOutside(func(w http.ResponseWriter, r *http.Request) error {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
			if router.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
			}
		}
		return errMethod
	}))
	h.router = h.observe(router)
}

// table is every route there is. The files of handlers add theirs here.
func (h *Handlers) table() []Route {
	return slices.Concat(
		h.staticRoutes(),
		h.setupRoutes(),
		h.signInRoutes(),
		h.settingsRoutes(),
		h.peopleRoutes(),
		h.homeRoutes(),
		h.eventsRoutes(),
		h.eventRoutes(),
		h.jobRoutes(),
		h.queueRoutes(),
		h.scheduleRoutes(),
		h.thenRoutes(),
		h.referenceRoutes(),
		h.hookRoutes(),
		h.webhookRoutes(),
		h.outboundRoutes(),
		h.serversRoutes(),
		h.variableRoutes(),
		h.agentRoutes(),
		h.agentPageRoutes(),
		h.terminalRoutes(),
		h.fileRoutes(),
		h.artifactRoutes(),
		h.apiRoutes(),
		h.liveRoutes(),
		h.healthRoutes(),
	)
}

// Routes returns the table, for tests that walk it.
func (h *Handlers) Routes() []Route { return slices.Clone(h.routes) }

func (h *Handlers) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.router.ServeHTTP(w, r) }

var allPermissions = []cronium.Permission{
	cronium.PermissionPublic, cronium.PermissionAccount, cronium.PermissionRead, cronium.PermissionRun,
	cronium.PermissionWrite, cronium.PermissionAdmin, cronium.PermissionToken,
	cronium.PermissionPeople, cronium.PermissionMetrics, cronium.PermissionTerminal,
}

func checkTable(routes []Route) error {
	seen := map[string]bool{}
	for _, r := range routes {
		name := r.Method + " " + r.Pattern
		switch {
		case seen[name]:
			return fmt.Errorf("route %s is there twice", name)
		case !slices.Contains(allPermissions, r.Permission):
			return fmt.Errorf("route %s names no permission", name)
		case r.Kind != KindPage && r.Kind != KindAPI && r.Kind != KindStream && r.Kind != KindStatic && r.Kind != KindAgent && r.Kind != KindHook:
			return fmt.Errorf("route %s names no kind", name)
		case (r.Kind == KindAgent || r.Kind == KindHook) && r.Permission != cronium.PermissionPublic:
			return fmt.Errorf("route %s is for %ss and not public", name, r.Kind)
		case r.Kind == KindStatic && r.Permission != cronium.PermissionPublic:
			return fmt.Errorf("route %s is static and not public", name)
		case r.Handle == nil:
			return fmt.Errorf("route %s has no handler", name)
		}
		seen[name] = true
	}
	return nil
}

// serveOutside answers requests that match no route, in the kind that they
// seem to expect.
func (h *Handlers) serveOutside(handle Handler) http.HandlerFunc {
	page := h.serve(Route{Kind: KindPage, Permission: cronium.PermissionPublic, Handle: handle})
	api := h.serve(Route{Kind: KindAPI, Permission: cronium.PermissionPublic, Handle: handle})
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api(w, r)
			return
		}
		page(w, r)
	}
}

// pathID reads an id from the path. What is not an id is not found, like an id
// that does not exist.
func pathID(r *http.Request, name string) (cronium.ID, error) {
	id, ok := cronium.ParseID(chi.URLParam(r, name))
	if !ok {
		return id, cronium.ErrNotFound
	}
	return id, nil
}

// principal is who asks. It is nil only on public routes.
func principal(r *http.Request) *cronium.Principal { return auth.FromContext(r.Context()) }
