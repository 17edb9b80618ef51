package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"cronium.dev/cronium"
)

// CookieName is the name of the session's cookie.
const CookieName = "cronium_session"

// SessionLength is after what time a session ends in any case. Where it is kept
// it also ends after some days without a request.
const SessionLength = 30 * 24 * time.Hour

// cookieLength is the length of a cookie's value, in characters of five bits.
const cookieLength = 52

// SessionStore keeps sessions by the SHA-256 of their cookies' values.
type SessionStore interface {
	// HomeWorkspace is the workspace that a person sees after signing in.
	HomeWorkspace(ctx context.Context, user cronium.ID) (cronium.ID, error)
	// BeginSession fails with cronium.ErrNotFound when all sessions of the
	// person have ended since the epoch, or they are no member any more.
	BeginSession(ctx context.Context, session *cronium.Session, hash []byte, epoch int, length time.Duration) error
	// SessionPrincipal fails with cronium.ErrNotFound when no open session has
	// the hash or the person is no member any more. It notes the use.
	SessionPrincipal(ctx context.Context, hash []byte) (*cronium.Principal, error)
	// EndSession ends one session of the person.
	EndSession(ctx context.Context, user, session cronium.ID) error
	// EndSessions ends all sessions of the person and returns the epoch of new ones.
	EndSessions(ctx context.Context, user cronium.ID) (epoch int, err error)
}

// Visit is from where a request comes.
type Visit struct {
	Address netip.Addr
	Secure  bool // the browser speaks TLS
}

// Authenticate finds out who sent r and returns it with that in its context.
// An API token counts only where tokens is set, and then the cookie does not
// count beside it. The error is cronium.CodeUnauthorized for a token that is
// wrong, expired or revoked; for a session that ended there is no error and
// nobody signed in. A long stream asks again from time to time, with a request
// of a fresh context.
func (s *Service) Authenticate(r *http.Request, tokens bool) (*http.Request, error) {
	find := s.sessionPrincipal
	secret := cookieValue(r)
	if token, ok := bearer(r); ok && tokens {
		find, secret = s.tokenPrincipal, token
	}
	p, err := find(r.Context(), secret)
	if err != nil {
		return nil, err
	}
	return r.WithContext(WithPrincipal(r.Context(), p)), nil
}

func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

func (s *Service) tokenPrincipal(ctx context.Context, token string) (*cronium.Principal, error) {
	wrong := cronium.Errorf(cronium.CodeUnauthorized,
		"The API token is not valid: it is mistyped, expired or revoked. Make a new one under Settings, Tokens.")
	hash, ok := TokenHash(token)
	if !ok {
		return nil, wrong
	}
	p, err := s.store.TokenPrincipal(ctx, hash)
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, wrong
	}
	if err != nil {
		return nil, fmt.Errorf("look up API token: %w", err)
	}
	return p, nil
}

// sessionPrincipal is who has the cookie; nil: nobody.
func (s *Service) sessionPrincipal(ctx context.Context, cookie string) (*cronium.Principal, error) {
	if cookie == "" {
		return nil, nil
	}
	p, err := s.store.SessionPrincipal(ctx, hashText(cookie))
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up who is signed in: %w", err)
	}
	return p, nil
}

// Begin signs the person in on this browser: a new session under a new name,
// whatever cookie came with the request. The session of that one ends.
func (s *Service) Begin(w http.ResponseWriter, r *http.Request, user *cronium.User, visit Visit) error {
	ctx := r.Context()
	workspace, err := s.store.HomeWorkspace(ctx, user.ID)
	if errors.Is(err, cronium.ErrNotFound) {
		return cronium.Errorf(cronium.CodeForbidden, "You are not a member of any workspace. Ask an administrator to add you.")
	}
	if err != nil {
		return fmt.Errorf("find workspace of %s: %w", user.ID, err)
	}
	if err := s.endPresent(r); err != nil {
		return err
	}
	return s.begin(w, r, &cronium.Session{UserID: user.ID, WorkspaceID: workspace}, user.SessionEpoch, visit)
}

// begin stores a session and writes its cookie.
func (s *Service) begin(w http.ResponseWriter, r *http.Request, session *cronium.Session, epoch int, visit Visit) error {
	session.ID, session.Address, session.Browser = cronium.NewID(), visit.Address.String(), BrowserName(r.UserAgent())
	name := randomText(cookieLength)
	err := s.store.BeginSession(r.Context(), session, hashText(name), epoch, SessionLength)
	if errors.Is(err, cronium.ErrNotFound) {
		return cronium.Errorf(cronium.CodeUnauthorized, "Your password or your membership was changed at this moment. Sign in again.")
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(name, int(SessionLength/time.Second), visit.Secure))
	return nil
}

// End signs this browser out.
func (s *Service) End(w http.ResponseWriter, r *http.Request, secure bool) error {
	if err := s.endPresent(r); err != nil {
		return err
	}
	http.SetCookie(w, cookie("", -1, secure))
	return nil
}

// endPresent ends the session that the request came with, if it did.
func (s *Service) endPresent(r *http.Request) error {
	p, err := s.sessionPrincipal(r.Context(), cookieValue(r))
	if err != nil || p == nil {
		return err
	}
	if err := s.store.EndSession(r.Context(), p.UserID, p.SessionID); err != nil && !errors.Is(err, cronium.ErrNotFound) {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndEverywhere signs the person out on every browser, this one included.
func (s *Service) EndEverywhere(w http.ResponseWriter, r *http.Request, secure bool) error {
	if _, err := s.store.EndSessions(r.Context(), FromContext(r.Context()).UserID); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	http.SetCookie(w, cookie("", -1, secure))
	return nil
}

func cookie(value string, maxAge int, secure bool) *http.Cookie {
	return &http.Cookie{
		Name: CookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
}

func cookieValue(r *http.Request) string {
	c, err := r.Cookie(CookieName)
	if err != nil || len(c.Value) > 200 {
		return ""
	}
	return c.Value
}
