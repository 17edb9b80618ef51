package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"cronium.dev/cronium"
)

// CookieName is the name of the session's cookie.
const CookieName = "cronium_session"

// SessionLength is after what time a session ends in any case. Where it is kept
// (store.Sessions) it also ends after some days without a request.
const SessionLength = 30 * 24 * time.Hour

// Keys of a session's values.
const (
	sessionUser      = "user"
	sessionWorkspace = "workspace"
	sessionEpoch     = "epoch"
	sessionBegan     = "began" // seconds since 1970
)

// newSessions makes the manager. It is used by its Load and Commit alone:
// sessions change in few places, which write the cookie themselves, so an
// ordinary request writes nothing.
func newSessions(store scs.CtxStore) *scs.SessionManager {
	m := scs.New()
	m.Lifetime = SessionLength
	m.Store = store
	m.HashTokenInStore = true
	return m
}

// Authenticate finds out who sent r and returns it with that in its context.
// An API token counts only where tokens is set, and then the cookie does not
// count beside it. The error is cronium.CodeUnauthorized for a token that is
// wrong, expired or revoked; for a session that ended there is no error and
// nobody signed in. A long stream asks again from time to time, with a request
// of a fresh context.
func (s *Service) Authenticate(r *http.Request, tokens bool) (*http.Request, error) {
	if token, ok := bearer(r); ok && tokens {
		p, err := s.tokenPrincipal(r.Context(), token)
		if err != nil {
			return nil, err
		}
		return r.WithContext(WithPrincipal(r.Context(), p)), nil
	}
	ctx, err := s.sessions.Load(r.Context(), cookieValue(r))
	if err != nil {
		return nil, fmt.Errorf("load session: %w", err)
	}
	p, err := s.sessionPrincipal(ctx)
	if err != nil {
		return nil, err
	}
	return r.WithContext(WithPrincipal(ctx, p)), nil
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

func (s *Service) sessionPrincipal(ctx context.Context) (*cronium.Principal, error) {
	user, ok := cronium.ParseID(s.sessions.GetString(ctx, sessionUser))
	workspace, ok2 := cronium.ParseID(s.sessions.GetString(ctx, sessionWorkspace))
	if !ok || !ok2 {
		return nil, nil
	}
	p, err := s.store.SessionPrincipal(ctx, user, workspace, s.sessions.GetInt(ctx, sessionEpoch))
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up who is signed in: %w", err)
	}
	return p, nil
}

// Begin signs the person in on this browser: a new session under a new name,
// whatever cookie came with the request. secure says that the browser speaks
// TLS.
func (s *Service) Begin(w http.ResponseWriter, r *http.Request, user *cronium.User, secure bool) error {
	ctx := r.Context()
	workspace, err := s.store.HomeWorkspace(ctx, user.ID)
	if errors.Is(err, cronium.ErrNotFound) {
		return cronium.Errorf(cronium.CodeForbidden, "You are not a member of any workspace. Ask an administrator to add you.")
	}
	if err != nil {
		return fmt.Errorf("find workspace of %s: %w", user.ID, err)
	}
	if err := s.sessions.Clear(ctx); err != nil {
		return fmt.Errorf("clear session: %w", err)
	}
	s.sessions.Put(ctx, sessionUser, user.ID.String())
	s.sessions.Put(ctx, sessionWorkspace, workspace.String())
	s.sessions.Put(ctx, sessionBegan, time.Now().Unix())
	return s.renew(ctx, w, user.SessionEpoch, secure)
}

// renew gives the session a new name and writes it and its cookie.
func (s *Service) renew(ctx context.Context, w http.ResponseWriter, epoch int, secure bool) error {
	s.sessions.Put(ctx, sessionEpoch, epoch)
	if err := s.sessions.RenewToken(ctx); err != nil {
		return fmt.Errorf("renew session: %w", err)
	}
	token, _, err := s.sessions.Commit(ctx)
	if err != nil {
		return fmt.Errorf("store session: %w", err)
	}
	http.SetCookie(w, cookie(token, int(SessionLength/time.Second), secure))
	return nil
}

// End signs this browser out.
func (s *Service) End(w http.ResponseWriter, r *http.Request, secure bool) error {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	http.SetCookie(w, cookie("", -1, secure))
	return nil
}

// EndEverywhere signs the person out on every browser, this one included.
func (s *Service) EndEverywhere(w http.ResponseWriter, r *http.Request, secure bool) error {
	if _, err := s.store.EndSessions(r.Context(), FromContext(r.Context()).UserID); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return s.End(w, r, secure)
}

// SignedInSince is when this browser's session began.
func (s *Service) SignedInSince(r *http.Request) time.Time {
	if began := s.sessions.GetInt64(r.Context(), sessionBegan); began > 0 {
		return time.Unix(began, 0).UTC()
	}
	return time.Time{}
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
