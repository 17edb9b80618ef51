package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"cronium.dev/cronium"
)

// NormalEmail is the form in which an e-mail address is kept and compared.
func NormalEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// SignIn returns the person with the e-mail address if the password is right.
// A wrong password and an unknown address give the same answer
// (cronium.CodeUnauthorized) after the same work; too many tries give
// cronium.CodeLimited with the time to wait.
func (s *Service) SignIn(ctx context.Context, email, password string, address netip.Addr) (*cronium.User, error) {
	email = NormalEmail(email)
	limits := signInLimits(email, address)
	if err := s.take(ctx, limits); err != nil {
		return nil, err
	}
	user, err := s.store.UserByEmail(ctx, email)
	if err != nil && !errors.Is(err, cronium.ErrNotFound) {
		return nil, fmt.Errorf("look up account: %w", err)
	}
	hash := ""
	if user != nil && utf8.RuneCountInString(password) <= MaxPassword {
		hash = user.PasswordHash
	}
	right, err := s.hasher.verify(ctx, clip(password), hash)
	if err != nil {
		return nil, err
	}
	if !right {
		return nil, cronium.Errorf(cronium.CodeUnauthorized, "The e-mail address or the password is wrong.")
	}
	if err := s.store.ReturnTry(ctx, limits, accountKey(email), knownMark(email, address)); err != nil {
		return nil, fmt.Errorf("note sign-in: %w", err)
	}
	return user, nil
}

// ChangePassword sets a new password if the current one is right, and ends all
// other sessions of the person. Problems name the fields current_password and
// new_password.
func (s *Service) ChangePassword(w http.ResponseWriter, r *http.Request, current, next string, visit Visit) error {
	ctx, p := r.Context(), FromContext(r.Context())
	if err := CheckPassword("new_password", next, p.Email).Err("The new password"); err != nil {
		return err
	}
	limit := cronium.TryLimit{Key: "change:" + p.UserID.String(), Free: 5, First: time.Second, Longest: time.Minute, Forget: time.Hour}
	if err := s.take(ctx, []cronium.TryLimit{limit}); err != nil {
		return err
	}
	user, err := s.store.UserByEmail(ctx, p.Email)
	if err != nil {
		return fmt.Errorf("look up account: %w", err)
	}
	right, err := s.hasher.verify(ctx, clip(current), user.PasswordHash)
	if err != nil {
		return err
	}
	if !right {
		return cronium.Problems{{Field: "current_password", Message: "is not your password"}}.Err("The new password")
	}
	epoch, err := s.setPassword(ctx, user.ID, next)
	if err != nil {
		return err
	}
	if err := s.store.ReturnTry(ctx, nil, limit.Key, ""); err != nil {
		return fmt.Errorf("note password change: %w", err)
	}
	return s.begin(w, r, &cronium.Session{UserID: p.UserID, WorkspaceID: p.WorkspaceID}, epoch, visit)
}

// ResetPassword sets a password without asking for the old one, for an
// administrator at the command line, and ends all of the person's sessions.
func (s *Service) ResetPassword(ctx context.Context, user *cronium.User, password string) error {
	if err := CheckPassword("password", password, user.Email).Err("The password"); err != nil {
		return err
	}
	_, err := s.setPassword(ctx, user.ID, password)
	return err
}

func (s *Service) setPassword(ctx context.Context, user cronium.ID, password string) (epoch int, err error) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return 0, err
	}
	if epoch, err = s.store.SetPassword(ctx, user, hash); err != nil {
		return 0, fmt.Errorf("set password: %w", err)
	}
	return epoch, nil
}

// NewUser makes a person from what was typed; it is not stored yet. Problems
// name the fields name, email and password.
func (s *Service) NewUser(ctx context.Context, name, email, password string) (*cronium.User, error) {
	email = NormalEmail(email)
	problems := cronium.ValidatePerson(name, email)
	problems = append(problems, CheckPassword("password", password, email)...)
	if err := problems.Err("The account"); err != nil {
		return nil, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	return &cronium.User{ID: cronium.NewID(), Email: email, Name: name, PasswordHash: hash}, nil
}

// clip bounds what is hashed. A password longer than MaxPassword is nobody's.
func clip(password string) string {
	if len(password) > 4*MaxPassword {
		return password[:4*MaxPassword]
	}
	return password
}
