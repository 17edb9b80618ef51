package auth

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"cronium.dev/cronium"
)

// Bounds of a password, in characters.
const (
	MinPassword = 10
	MaxPassword = 200
)

// hashWait is how long a sign-in waits for its turn before it is turned away.
const hashWait = 10 * time.Second

// hashing follows OWASP's advice for Argon2id: 19 MiB, two passes, one lane.
var hashing = argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// CheckPassword tells what is wrong with a new password of the person with the
// e-mail address. The problems name the field given.
func CheckPassword(field, password, email string) cronium.Problems {
	var p cronium.Problems
	n := utf8.RuneCountInString(password)
	p.Add(utf8.ValidString(password) && n >= MinPassword && n <= MaxPassword, field,
		"must have %d to %d characters", MinPassword, MaxPassword)
	name, _, _ := strings.Cut(email, "@")
	p.Add(email == "" || !strings.EqualFold(password, email) && !strings.EqualFold(password, name), field,
		"must not be your e-mail address")
	p.Add(password == "" || strings.Trim(password, password[:1]) != "", field, "must not be one character repeated")
	return p
}

// hasher bounds how many passwords are hashed at once, and with that the
// memory that strangers can make the server use.
type hasher struct {
	slots chan struct{}
	dummy string // hash that no password has
}

func newHasher() (*hasher, error) {
	dummy, err := argon2id.CreateHash(randomText(24), &hashing)
	if err != nil {
		return nil, err
	}
	return &hasher{slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))), dummy: dummy}, nil
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	hash, err := argon2id.CreateHash(password, &hashing)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// verify takes the same time for an account that does not exist (hash "") as
// for one that does.
func (h *hasher) verify(ctx context.Context, password, hash string) (bool, error) {
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	known := hash != ""
	if !known {
		hash = h.dummy
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return match && known, nil
}

func (h *hasher) enter(ctx context.Context) error {
	timer := time.NewTimer(hashWait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return cronium.Errorf(cronium.CodeUnavailable, "Too many people are signing in at this moment. Try again in a minute.")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hasher) leave() { <-h.slots }
