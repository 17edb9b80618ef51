package auth_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"cronium.dev/auth"
	"cronium.dev/cronium"
	"cronium.dev/store"
)

// invited makes somebody without a password and gives the code of their link.
func invited(t *testing.T, s *store.Store, now time.Time) (code string, user cronium.ID) {
	t.Helper()
	workspace, err := s.WorkspaceBySlug(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	code, link := auth.NewPasswordLink("Mira", now)
	added, err := s.AddPerson(t.Context(), workspace.ID, cronium.ID{}, &cronium.User{ID: cronium.NewID(), Email: "jo@example.com", Name: "Jo"}, cronium.RoleUser, link)
	if err != nil || !added.Linked {
		t.Fatalf("added %+v, %v", added, err)
	}
	return code, added.ID
}

func TestALinkSetsAPasswordOnce(t *testing.T) {
	t.Parallel()
	service, s := withPerson(t)
	code, _ := invited(t, s, time.Now())
	for _, empty := range []string{"", password} {
		_, err := service.SignIn(t.Context(), "jo@example.com", empty, home)
		wantCode(t, err, cronium.CodeUnauthorized) // without a password nobody gets in
	}
	_, err := service.UsePasswordLink(t.Context(), code, "short", home)
	wantCode(t, err, cronium.CodeInvalid) // and the link is still good
	user, err := service.UsePasswordLink(t.Context(), " "+code+"\n", password, home)
	if err != nil || user.Name != "Jo" {
		t.Fatalf("got %+v, %v", user, err)
	}
	if _, err := service.SignIn(t.Context(), "jo@example.com", password, home); err != nil {
		t.Errorf("sign in: %v", err)
	}
	_, err = service.UsePasswordLink(t.Context(), code, "quite another password", home)
	wantCode(t, err, cronium.CodeInvalid)
}

func TestOfUsesOfALinkAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	service, s := withPerson(t)
	code, _ := invited(t, s, time.Now())
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() { _, errs[i] = service.UsePasswordLink(t.Context(), code, password, home) })
	}
	all.Wait()
	used := 0
	for _, err := range errs {
		if err == nil {
			used++
		}
	}
	if used != 1 {
		t.Errorf("the link was used %d times: %v", used, errs)
	}
}

func TestALinkEndsWhenItIsReplacedExpiresOrThePasswordIsSet(t *testing.T) {
	t.Parallel()
	service, s := withPerson(t)
	first, id := invited(t, s, time.Now())
	workspace, err := s.HomeWorkspace(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	make := func(now time.Time) string {
		t.Helper()
		code, link := auth.NewPasswordLink("Mira", now)
		if err := s.PutPasswordLink(t.Context(), workspace, cronium.ID{}, id, link); err != nil {
			t.Fatal(err)
		}
		return code
	}
	expired := make(time.Now().Add(-auth.LinkLength))
	for _, code := range []string{first, expired} {
		_, err := service.UsePasswordLink(t.Context(), code, password, home)
		wantCode(t, err, cronium.CodeInvalid)
	}
	beforeSet := make(time.Now())
	if err := service.ResetPassword(t.Context(), &cronium.User{ID: id, Email: "jo@example.com"}, password); err != nil {
		t.Fatal(err)
	}
	_, err = service.UsePasswordLink(t.Context(), beforeSet, password, home)
	wantCode(t, err, cronium.CodeInvalid)
	beforeRemoval := make(time.Now())
	if err := s.RemovePerson(t.Context(), workspace, cronium.ID{}, id); err != nil {
		t.Fatal(err)
	}
	_, err = service.UsePasswordLink(t.Context(), beforeRemoval, password, home)
	wantCode(t, err, cronium.CodeInvalid)
}

func TestGuessingLinksIsSlowed(t *testing.T) {
	t.Parallel()
	service, _ := withPerson(t)
	answers := map[cronium.Code]int{}
	for range 22 {
		_, err := service.UsePasswordLink(t.Context(), "0000-0000-0000-0000-0000-0000", password, netip.MustParseAddr("203.0.113.5"))
		answers[cronium.CodeOf(err)]++
	}
	if answers[cronium.CodeInvalid] != 20 || answers[cronium.CodeLimited] != 2 {
		t.Errorf("22 guesses were answered %v, want 20 checked and 2 told to wait", answers)
	}
}
