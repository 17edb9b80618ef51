package auth_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
)

func TestSignInWithTheRightPassword(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	user, err := service.SignIn(t.Context(), "  Mira@Example.com ", password, home)
	if err != nil || user.Name != "Mira" {
		t.Fatalf("got %v, %v", user, err)
	}
}

func TestUnknownAccountAndWrongPasswordAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	_, unknown := service.SignIn(t.Context(), "nobody@example.com", password, home)
	_, wrong := service.SignIn(t.Context(), "mira@example.com", "not the password", home)
	wantCode(t, wrong, cronium.CodeUnauthorized)
	if unknown == nil || unknown.Error() != wrong.Error() {
		t.Errorf("unknown account: %v; wrong password: %v", unknown, wrong)
	}
}

func TestGuessingAnAccountIsSlowedHoweverManyAtOnce(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	answers := guess(t, service, 25, func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) // each from an address of its own
	})
	// Hashing on a busy machine may take longer than the first wait.
	if checked := answers[cronium.CodeUnauthorized]; checked < 5 || checked > 8 || checked+answers[cronium.CodeLimited] != 25 {
		t.Errorf("25 guesses at once were answered %v, want 5 checked and 20 told to wait", answers)
	}
}

func TestTriesAtOnceAreCountedOneByOne(t *testing.T) {
	t.Parallel()
	_, s := newService(t)
	limits := []cronium.TryLimit{{Key: "x", Free: 5, First: time.Hour, Longest: time.Hour, Forget: time.Hour}}
	for range 3 {
		var all sync.WaitGroup
		var taken atomic.Int32
		for range 40 {
			all.Go(func() {
				wait, err := s.TakeTry(t.Context(), limits)
				if err != nil {
					t.Error(err)
				}
				if wait == 0 {
					taken.Add(1)
				}
			})
		}
		all.Wait()
		if taken.Load() != 5 {
			t.Errorf("%d of 40 tries were taken, want 5", taken.Load())
		}
		if err := s.ReturnTry(t.Context(), nil, "x", ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGuessingFromAnAddressIsSlowedWhateverTheAccount(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	answers := map[cronium.Code]int{}
	for i := range 22 {
		_, err := service.SignIn(t.Context(), string(rune('a'+i))+"@example.com", "a guess at it", elsewhere)
		answers[cronium.CodeOf(err)]++
	}
	if answers[cronium.CodeUnauthorized] != 20 || answers[cronium.CodeLimited] != 2 {
		t.Errorf("22 guesses were answered %v, want 20 checked and 2 told to wait", answers)
	}
	same6 := []string{"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"}
	for i := range 21 {
		_, err := service.SignIn(t.Context(), "a@example.org", "a guess at it", netip.MustParseAddr(same6[i%2]))
		if i == 20 {
			wantCode(t, err, cronium.CodeLimited) // one /64 is one place
		}
	}
}

func TestTheAnswerSaysHowLongToWait(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	guess(t, service, 8, func(int) netip.Addr { return elsewhere })
	_, err := service.SignIn(t.Context(), "mira@example.com", password, elsewhere)
	wantCode(t, err, cronium.CodeLimited)
	var e *cronium.Error
	if !errors.As(err, &e) || e.Wait <= 0 {
		t.Errorf("no time to wait in %v", err)
	}
}

func TestStrangersCannotLockAPersonOut(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	if _, err := service.SignIn(t.Context(), "mira@example.com", password, home); err != nil {
		t.Fatal(err)
	}
	guess(t, service, 12, func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) })
	if _, err := service.SignIn(t.Context(), "mira@example.com", password, home); err != nil {
		t.Errorf("from where she signed in before: %v", err)
	}
}

func TestUnknownAccountsTakeTheirTurnAtHashing(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// With no time left nobody is told anything: the answer needs the hash.
	_, err := service.SignIn(ctx, "nobody@example.com", password, home)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// guess makes n wrong tries at once and counts the answers.
func guess(t *testing.T, service *auth.Service, n int, from func(int) netip.Addr) map[cronium.Code]int {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	answers := map[cronium.Code]int{}
	for i := range n {
		all.Go(func() {
			_, err := service.SignIn(t.Context(), "mira@example.com", "a guess at it", from(i))
			mu.Lock()
			defer mu.Unlock()
			answers[cronium.CodeOf(err)]++
		})
	}
	all.Wait()
	return answers
}
