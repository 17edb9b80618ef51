package handlers

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
)

// defaultMaxBody is the most that a request may carry unless its route says
// otherwise, in bytes.
const defaultMaxBody = 1 << 20

// contentSecurity lets a page load what this server serves and nothing else:
// no inline script or style, no foreign origin, no frame around it.
const contentSecurity = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"

// request is what is known of a request from its start; serve adds to it, and
// observe logs it in the end.
type request struct {
	id        string // for the log, and for a person to quote
	address   netip.Addr
	secure    bool   // the browser speaks TLS
	origin    string // "https://cronium.example", as the sender of the request reaches this server
	pattern   string
	kind      Kind
	principal *cronium.Principal
}

// visit is where it comes from, for who is signed in.
func (r *request) visit() auth.Visit { return auth.Visit{Address: r.address, Secure: r.secure} }

type requestKey struct{}

func requestOf(r *http.Request) *request {
	info, ok := r.Context().Value(requestKey{}).(*request)
	if !ok {
		return &request{}
	}
	return info
}

// observe is around everything: headers that every answer has, the log line,
// and the answer to a panic.
func (h *Handlers) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := cronium.NewID().String()
		info := &request{id: id[:8] + id[32:]}
		info.address, info.secure = h.Proxies.Origin(r)
		if info.origin = h.Origin; info.origin == "" {
			info.origin = "http://" + r.Host
			if info.secure {
				info.origin = "https://" + r.Host
			}
		}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, info))
		recorder := &recorder{ResponseWriter: w}
		secureHeaders(w.Header(), info)
		defer func() {
			cause := recover()
			cut := cause != nil && !h.recovered(recorder, r, info, cause)
			h.logRequest(r, info, recorder, time.Since(start))
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(recorder, r)
	})
}

func secureHeaders(header http.Header, info *request) {
	header.Set("Content-Security-Policy", contentSecurity)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	header.Set("X-Request-Id", info.id)
	if info.secure {
		header.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// recovered answers a request whose handler panicked. It returns false for an
// answer that had begun: that is cut, so that nobody takes it for whole.
func (h *Handlers) recovered(w *recorder, r *http.Request, info *request, cause any) bool {
	if cause == http.ErrAbortHandler {
		return false
	}
	h.Log.ErrorContext(r.Context(), "handler panicked", "request", info.id, "panic", cause, "stack", string(debug.Stack()))
	if w.status != 0 {
		return false
	}
	h.fail(w, r, info.kind, errPanic)
	return true
}

func (h *Handlers) logRequest(r *http.Request, info *request, w *recorder, took time.Duration) {
	level := slog.LevelInfo
	if info.kind == KindStatic {
		level = slog.LevelDebug
	}
	// The query is left out: people paste secrets into addresses.
	attrs := []slog.Attr{
		slog.String("request", info.id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took),
		slog.String("address", info.address.String()),
	}
	if p := info.principal; p != nil {
		attrs = append(attrs, slog.String("workspace", p.WorkspaceID.String()), slog.String("user", p.UserID.String()))
		if p.TokenID != nil {
			attrs = append(attrs, slog.String("token", p.TokenID.String()))
		}
	}
	h.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// serve is the one way to a handler.
func (h *Handlers) serve(route Route) http.HandlerFunc {
	limit := route.MaxBody
	if limit == 0 {
		limit = defaultMaxBody
	}
	return func(w http.ResponseWriter, r *http.Request) {
		info := requestOf(r)
		info.pattern, info.kind = route.Pattern, route.Kind
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		r, err := h.admit(route, w, r)
		if err == nil && r != nil {
			if route.Kind == KindStream {
				var end func()
				r, end = h.guard(route, w, r)
				defer end()
			}
			err = route.Handle(w, r)
		}
		if err != nil {
			h.fail(w, r, route.Kind, err)
		}
	}
}

// admit decides whether the request may go on. It returns no request when it
// has answered itself.
func (h *Handlers) admit(route Route, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if route.Kind == KindStatic {
		return r, nil
	}
	if route.Kind == KindAgent { // there is no session that another site could use
		w.Header().Set("Cache-Control", "no-store")
		return r, nil
	}
	if err := h.csrf.Check(r); err != nil {
		return r, &cronium.Error{Code: cronium.CodeForbidden, Message: "The request came from another site, so it was not carried out.", Err: err}
	}
	w.Header().Set("Cache-Control", "no-store")
	if route.Kind == KindHook { // who sends has no session
		return r, nil
	}
	w.Header().Add("Vary", "Cookie")
	known, err := h.Auth.Authenticate(r, route.Kind != KindPage)
	if err != nil {
		return r, err
	}
	p := principal(known)
	requestOf(r).principal = p
	err = authorize(p, route.Permission)
	if err == nil && (route.Kind == KindAPI || route.Kind == KindStream && p != nil && p.TokenID != nil) {
		err = h.rates.count(w, p)
	}
	if err != nil && p == nil && route.Kind == KindPage {
		return nil, h.askToSignIn(w, r)
	}
	return known, err
}

// authorize is the one check of what somebody may do.
func authorize(p *cronium.Principal, permission cronium.Permission) error {
	switch {
	case p.Can(permission):
		return nil
	case p == nil:
		return cronium.Errorf(cronium.CodeUnauthorized, "Sign in, or send an API token in the header Authorization: Bearer crn_….")
	case p.TokenID != nil && cronium.ScopeFor(permission) == "":
		return cronium.Errorf(cronium.CodeForbidden, "Tokens, sessions and people are changed by a person who is signed in, never with a token.")
	case p.TokenID != nil:
		return cronium.Errorf(cronium.CodeForbidden,
			"The token has the scope %s and its owner the role %s; together they do not allow this. It needs a token of the scope %s whose owner may do it.",
			p.Scope, p.Role, cronium.ScopeFor(permission))
	case permission == cronium.PermissionMetrics:
		return cronium.Errorf(cronium.CodeForbidden, "These figures are of the whole instance, so only its administrators may see them.")
	}
	return cronium.Errorf(cronium.CodeForbidden,
		"Your role here is %s, which does not allow this. Ask an administrator of the workspace.", p.Role)
}

// guard ends a stream soon after its viewer has signed out, lost their role or
// had their token revoked, and takes off the time-outs of ordinary answers.
func (h *Handlers) guard(route Route, w http.ResponseWriter, r *http.Request) (*http.Request, func()) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // not supported only by test recorders
	_ = control.SetWriteDeadline(time.Time{})
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(h.Recheck)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if !h.stillMay(ctx, route, r) {
					cancel()
				}
			}
		}
	}()
	return r.WithContext(ctx), func() { cancel(); <-done }
}

// stillMay asks again who is behind a request. When the database cannot say,
// the answer is yes: nothing new can be read without it either.
func (h *Handlers) stillMay(ctx context.Context, route Route, r *http.Request) bool {
	// A context without what Authenticate left in it.
	fresh, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	again, err := h.Auth.Authenticate(r.WithContext(fresh), true)
	if err != nil {
		return cronium.CodeOf(err) != cronium.CodeUnauthorized
	}
	return authorize(auth.FromContext(again.Context()), route.Permission) == nil
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController what it needs to flush.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// retryAfter formats a time to wait for the header Retry-After, in whole seconds.
func retryAfter(wait time.Duration) string {
	return strconv.Itoa(int((wait + time.Second - 1) / time.Second))
}
