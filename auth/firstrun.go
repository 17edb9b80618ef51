package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"cronium.dev/cronium"
)

// FirstRunStore keeps the codes of the first run and takes them back.
type FirstRunStore interface {
	// NeedsFirstRun tells whether there is no person yet.
	NeedsFirstRun(ctx context.Context) (bool, error)
	// AddFirstRunCode adds a code's hash; several processes may start at once
	// and each prints its own.
	AddFirstRunCode(ctx context.Context, hash []byte) error
	// CheckFirstRunCode tells whether the hash is one of them.
	CheckFirstRunCode(ctx context.Context, hash []byte) (bool, error)
	// MakeFirstAdmin makes the workspace "default" and the person as its
	// administrator, and removes all codes, in one transaction. Of several at
	// once one succeeds; the others fail with cronium.ErrNotFound.
	MakeFirstAdmin(ctx context.Context, hash []byte, user *cronium.User) error
}

const codeLength = 24 // characters of five bits

// FirstRunCode makes a one-time code with which the first administrator may be
// made. needed is false, and there is no code, once there is a person.
func (s *Service) FirstRunCode(ctx context.Context) (code string, needed bool, err error) {
	needed, err = s.store.NeedsFirstRun(ctx)
	if err != nil || !needed {
		return "", needed, err
	}
	plain := randomText(codeLength)
	err = s.store.AddFirstRunCode(ctx, hashText(plain))
	if errors.Is(err, cronium.ErrNotFound) {
		return "", false, nil // somebody has become the first meanwhile
	}
	if err != nil {
		return "", false, fmt.Errorf("store first-run code: %w", err)
	}
	return grouped(plain), true, nil
}

// grouped is a code as it is easier to read out and to type.
func grouped(plain string) string {
	var groups []string
	for i := 0; i < codeLength; i += 4 {
		groups = append(groups, plain[i:i+4])
	}
	return strings.Join(groups, "-")
}

// NeedsFirstRun tells whether there is no person yet.
func (s *Service) NeedsFirstRun(ctx context.Context) (bool, error) {
	return s.store.NeedsFirstRun(ctx)
}

// MakeFirstAdmin makes the first administrator for whoever knows the code.
// Problems name the fields code, name, email and password; when there is a
// person already it fails with cronium.ErrNotFound.
func (s *Service) MakeFirstAdmin(ctx context.Context, code, name, email, password string, address netip.Addr) (*cronium.User, error) {
	if err := s.mustNeedFirstRun(ctx); err != nil {
		return nil, err
	}
	limit := addressLimit("setup", address)
	if err := s.take(ctx, []cronium.TryLimit{limit}); err != nil {
		return nil, err
	}
	hash := hashText(plainCode(code))
	right, err := s.store.CheckFirstRunCode(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("check first-run code: %w", err)
	}
	if !right {
		// Somebody else may have been the first just now, which ends all codes.
		if err := s.mustNeedFirstRun(ctx); err != nil {
			return nil, err
		}
		return nil, cronium.Problems{{Field: "code", Message: "is not the code that the server printed when it started; a new start prints a new one"}}.Err("The account")
	}
	if err := s.store.ReturnTry(ctx, nil, limit.Key, ""); err != nil {
		return nil, err
	}
	user, err := s.NewUser(ctx, name, email, password)
	if err != nil {
		return nil, err
	}
	user.InstanceAdmin = true
	if err := s.store.MakeFirstAdmin(ctx, hash, user); err != nil {
		return nil, err
	}
	return user, nil
}

func (s *Service) mustNeedFirstRun(ctx context.Context) error {
	needed, err := s.store.NeedsFirstRun(ctx)
	if err == nil && !needed {
		err = cronium.ErrNotFound
	}
	return err
}

// plainCode forgives how a code was typed: case, dashes, spaces, and letters
// that look like digits.
func plainCode(code string) string {
	if len(code) > 100 {
		return ""
	}
	return strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(strings.TrimSpace(code)))
}
