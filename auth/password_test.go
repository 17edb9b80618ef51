package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"cronium.dev/cronium"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		password string
		ok       bool
	}{
		{"short", false},
		{"123456789", false},
		{"ten chars!", true},
		{strings.Repeat("ä1", 100), true},
		{strings.Repeat("ä1", 100) + "x", false},
		{"Mira.Lund@example.com", false},
		{"mira.lund@example.com", false},
		{"MIRA.LUNDx", true},
		{"aaaaaaaaaaaa", false},
		{"\xff\xfe binary rubbish", false},
	} {
		problems := CheckPassword("password", c.password, "mira.lund@example.com")
		if (len(problems) == 0) != c.ok {
			t.Errorf("%q: %v", c.password, problems)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.hash(t.Context(), "the password")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("hash %s", hash)
	}
	for _, c := range []struct {
		password, hash string
		want           bool
	}{{"the password", hash, true}, {"another", hash, false}, {"the password", "", false}, {"", "", false}} {
		if got, err := h.verify(t.Context(), c.password, c.hash); got != c.want || err != nil {
			t.Errorf("verify(%q, %q) = %v, %v", c.password, c.hash, got, err)
		}
	}
}

// An unknown account must cost what a known one costs: with every slot taken,
// its check waits like any other.
func TestVerifyWithoutAnAccountHashesToo(t *testing.T) {
	t.Parallel()
	h, err := newHasher()
	if err != nil {
		t.Fatal(err)
	}
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.verify(ctx, "x", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a wait for a slot", err)
	}
}

func TestTooManyPasswordsAtOnceAreTurnedAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hasher{slots: make(chan struct{}, 1)}
		h.slots <- struct{}{}
		_, err := h.verify(context.Background(), "x", "")
		if cronium.CodeOf(err) != cronium.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})
}
