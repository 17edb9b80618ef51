package auth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"cronium.dev/cronium"
)

// Store is what the service keeps. *store.Store is one.
type Store interface {
	// UserByEmail fails with cronium.ErrNotFound.
	UserByEmail(ctx context.Context, email string) (*cronium.User, error)
	// TokenPrincipal fails with cronium.ErrNotFound when no valid token has
	// the hash. It notes that the token was used.
	TokenPrincipal(ctx context.Context, hash []byte) (*cronium.Principal, error)
	// SetPassword ends all sessions and returns the epoch of new ones.
	SetPassword(ctx context.Context, user cronium.ID, hash string) (epoch int, err error)
	FirstRunStore
	LinkStore
	SessionStore
	TryStore
}

// Service finds out who asks. Its methods may be called concurrently.
type Service struct {
	store  Store
	hasher *hasher
	log    *slog.Logger
}

// New makes a service. It fails only when the system has no randomness.
func New(store Store, log *slog.Logger) (*Service, error) {
	h, err := newHasher()
	if err != nil {
		return nil, fmt.Errorf("prepare password hashing: %w", err)
	}
	return &Service{store: store, hasher: h, log: log}, nil
}

// Sweep forgets old tries and ended sessions every hour until ctx ends.
func (s *Service) Sweep(ctx context.Context) {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if err := s.store.SweepSignIns(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "forget old sessions and tries to sign in", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
