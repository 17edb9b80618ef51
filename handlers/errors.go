package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"cronium.dev/cronium"
	"cronium.dev/views"
	"cronium.dev/webhook"
)

var (
	errPanic  = errors.New("handler panicked") // logged where it was caught
	errMethod = errors.New("the address does not take this method")
)

// problem is an answer of the API that is an error: RFC 9457.
type problem struct {
	Type      string               `json:"type" doc:"Always about:blank; code tells the kinds apart"`
	Title     string               `json:"title" doc:"The status in words"`
	Status    int                  `json:"status"`
	Detail    string               `json:"detail" doc:"What happened and what would be right, for a person"`
	Code      string               `json:"code" doc:"invalid, unauthorized, forbidden, not_found, conflict, limited, unavailable, too_large, method, media_type, failed or internal"`
	Fields    []cronium.FieldError `json:"fields,omitempty" doc:"Each wrong field, for code invalid"`
	RequestID string               `json:"request_id,omitempty" doc:"Names the request in the server's log"`
}

// problemOf is what may be told of an error.
func problemOf(err error, requestID string) problem {
	var e *cronium.Error
	var tooLarge *http.MaxBytesError
	p := problem{Type: "about:blank", RequestID: requestID}
	switch {
	case errors.As(err, &tooLarge):
		p.Status, p.Code, p.Detail = http.StatusRequestEntityTooLarge, "too_large", "What was sent is larger than this address takes."
	case errors.Is(err, webhook.ErrType):
		p.Status, p.Code, p.Detail = http.StatusUnsupportedMediaType, "media_type", "Send application/json, application/x-www-form-urlencoded or text/plain, and say so in Content-Type."
	case errors.Is(err, errMethod):
		p.Status, p.Code, p.Detail = http.StatusMethodNotAllowed, "method", "This address does not take that method; the header Allow says which it takes."
	case errors.As(err, &e) && e.Code != cronium.CodeInternal:
		p.Status, p.Code, p.Detail, p.Fields = e.Code.Status(), string(e.Code), e.Message, e.Fields
	default:
		p.Status, p.Code = http.StatusInternalServerError, string(cronium.CodeInternal)
		p.Detail = "Something went wrong in the server: this is our fault, not yours. Running scripts go on. Try again; if it stays, the server's log says what it is."
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// fail is the one adapter from errors to answers. It also is where errors are
// logged, once.
func (h *Handlers) fail(w http.ResponseWriter, r *http.Request, kind Kind, err error) {
	info := requestOf(r)
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		return // nobody is there to be told
	}
	p := problemOf(err, info.id)
	if p.Status >= 500 && !errors.Is(err, errPanic) {
		h.Log.ErrorContext(r.Context(), "request failed", "request", info.id, "method", r.Method, "path", r.URL.Path, "error", err)
	}
	var e *cronium.Error
	if errors.As(err, &e) && e.Wait > 0 {
		w.Header().Set("Retry-After", retryAfter(e.Wait))
	}
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		panic(http.ErrAbortHandler) // half an answer was sent: cut it
	}
	if kind == KindAPI || kind == KindStream || kind == KindAgent || kind == KindHook {
		writeProblem(w, p)
		return
	}
	h.failPage(w, r, p)
}

func writeProblem(w http.ResponseWriter, p problem) {
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="cronium"`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone
}

// askToSignIn sends a browser to the sign-in page, or to the first-run page
// while there is nobody who could sign in, and back afterwards.
func (h *Handlers) askToSignIn(w http.ResponseWriter, r *http.Request) error {
	first, err := h.firstRun(r.Context())
	if err != nil {
		return err
	}
	to := "/setup"
	if !first {
		back := r.URL.RequestURI()
		if isFragment(r) || r.Method != http.MethodGet {
			back = currentPage(r)
		}
		to = "/signin"
		if back != "/" && localAddress(back) {
			to += "?next=" + url.QueryEscape(back)
		}
	}
	return redirect(w, r, to)
}

// firstRun tells whether there is no person yet.
func (h *Handlers) firstRun(ctx context.Context) (bool, error) {
	if h.peopled.Load() {
		return false, nil
	}
	first, err := h.Auth.NeedsFirstRun(ctx)
	if err == nil && !first {
		h.peopled.Store(true)
	}
	return first, err
}

// redirect sends the browser to another page of ours, by a header where htmx
// asked, because a fetch follows a redirect unseen.
func redirect(w http.ResponseWriter, r *http.Request, to string) error {
	if isFragment(r) {
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// isFragment tells whether htmx asked, for a part of a page.
func isFragment(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// currentPage is the page on which htmx made a request.
func currentPage(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("HX-Current-URL"))
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.RequestURI()
}

// localAddress tells whether a browser that is sent to the address stays here.
func localAddress(address string) bool {
	if !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\r\n\t") {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && u.Host == "" && u.Scheme == ""
}

// failPage shows an error to a person: over the page where htmx asked for a
// part of it, else as a page of its own.
func (h *Handlers) failPage(w http.ResponseWriter, r *http.Request, p problem) {
	page := views.ErrorPage{Frame: h.frame(r, p.Title, ""), Status: p.Status, Message: p.Detail}
	if p.Status >= 500 {
		page.TraceID = p.RequestID
	}
	component := page.Page()
	if isFragment(r) {
		component = page.Toast()
	}
	if err := h.render(w, r, p.Status, component); err != nil {
		h.Log.ErrorContext(r.Context(), "render error page", "request", p.RequestID, "error", err)
		http.Error(w, p.Detail, p.Status)
	}
}

// formProblems splits an error of a form into what belongs to its fields and
// what to say above them, with the status to answer. ok is false for an error
// that the person cannot mend by changing the form; fail answers that.
func formProblems(w http.ResponseWriter, err error) (problems cronium.Problems, message string, status int, ok bool) {
	var e *cronium.Error
	if !errors.As(err, &e) {
		return nil, "", 0, false
	}
	switch e.Code {
	case cronium.CodeInvalid, cronium.CodeConflict, cronium.CodeLimited, cronium.CodeUnauthorized:
	default:
		return nil, "", 0, false
	}
	if e.Wait > 0 {
		w.Header().Set("Retry-After", retryAfter(e.Wait))
	}
	return e.Fields, e.Message, e.Code.Status(), true
}

// fieldProblems is formProblems for a page that says what is wrong at its fields:
// a message only where there are none.
func fieldProblems(w http.ResponseWriter, err error) (problems cronium.Problems, message string, status int, ok bool) {
	problems, message, status, ok = formProblems(w, err)
	if len(problems) > 0 {
		message = ""
	}
	return problems, message, status, ok
}

// readForm parses what a form sent.
func readForm(r *http.Request) error {
	err := r.ParseForm()
	var tooLarge *http.MaxBytesError
	if err == nil || errors.As(err, &tooLarge) {
		return err
	}
	return &cronium.Error{Code: cronium.CodeInvalid, Message: "The form could not be read.", Err: err}
}
