package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"cronium.dev/cronium"
)

// LinkStore keeps the links with which people set their passwords.
type LinkStore interface {
	// LinkedUser fails with cronium.ErrNotFound for a link that was used,
	// replaced or expired.
	LinkedUser(ctx context.Context, hash []byte) (*cronium.User, error)
	// UsePasswordLink sets the password and uses the link up, once. It fails
	// like LinkedUser.
	UsePasswordLink(ctx context.Context, hash []byte, passwordHash string) (user cronium.ID, epoch int, err error)
}

// LinkLength is how long a link to set a password is good.
const LinkLength = 72 * time.Hour

// NewPasswordLink makes a link that by makes for somebody, and its code, which
// is to be shown once.
func NewPasswordLink(by string, now time.Time) (code string, link *cronium.PasswordLink) {
	plain := randomText(codeLength)
	return grouped(plain), &cronium.PasswordLink{Hash: hashText(plain), CreatedBy: by, ExpiresAt: now.Add(LinkLength)}
}

// UsePasswordLink sets the password of the person who was given the code, ends
// their sessions, and returns them as somebody who may sign in now. Problems
// name the fields link_code and password.
func (s *Service) UsePasswordLink(ctx context.Context, code, password string, address netip.Addr) (*cronium.User, error) {
	limit := addressLimit("link", address)
	if err := s.take(ctx, []cronium.TryLimit{limit}); err != nil {
		return nil, err
	}
	wrong := cronium.Problems{{Field: "link_code", Message: "is not valid any more: it was used, it has expired, or a newer one was made. Ask your administrator for another one"}}
	hash := hashText(plainCode(code))
	user, err := s.store.LinkedUser(ctx, hash)
	if errors.Is(err, cronium.ErrNotFound) {
		return nil, wrong.Err("The password")
	}
	if err != nil {
		return nil, fmt.Errorf("look up password link: %w", err)
	}
	if err := s.store.ReturnTry(ctx, nil, limit.Key, ""); err != nil {
		return nil, err
	}
	if err := CheckPassword("password", password, user.Email).Err("The password"); err != nil {
		return nil, err
	}
	passwordHash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	if user.ID, user.SessionEpoch, err = s.store.UsePasswordLink(ctx, hash, passwordHash); errors.Is(err, cronium.ErrNotFound) {
		return nil, wrong.Err("The password")
	}
	return user, err
}
